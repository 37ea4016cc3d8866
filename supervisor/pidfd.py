"""A process held by a descriptor: it cannot be mistaken for a later one with the same pid."""

from __future__ import annotations

import os
import select
import signal


class Pidfd:
    """Readable when the process is dead. Raises `ProcessLookupError` if there is none."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def fileno(self) -> int:
        """For a `Waiter`."""
        return self._descriptor

    def send(self, number: signal.Signals) -> None:
        """Send a signal. `ProcessLookupError` if the process is dead and reaped."""
        signal.pidfd_send_signal(self._descriptor, number)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the process is dead, at most `timeout` seconds; whether it is."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def close(self) -> None:
        """Let go; the process lives on."""
        os.close(self._descriptor)
