"""Signals as something to wait for.

The handlers do nothing: Python's C handler writes the signal's number into a socket pair
(`signal.set_wakeup_fd`), which wakes the loop and is the queue at once. All thinking is in the
loop. Belongs to the main thread; a process has at most one `Signals`.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from types import FrameType

QUEUE_MAX = 4096  # bytes read at once; a signal is one byte


class Signals:
    """Catches `numbers` and hands them out through `take`."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self.numbers = tuple(numbers)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in self.numbers:
            signal.signal(number, _only_wake)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.numbers)  # see `hold`

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._reader.fileno()

    def take(self) -> list[signal.Signals]:
        """The signals that came, in order, without waiting."""
        try:
            numbers = self._reader.recv(QUEUE_MAX)
        except BlockingIOError:  # somebody has taken them already
            return []
        return [signal.Signals(number) for number in numbers if number in self.numbers]

    def close(self) -> None:
        """Back to how a process begins. A forked child calls this before it lives."""
        signal.set_wakeup_fd(-1)
        for number in self.numbers:
            signal.signal(number, signal.SIG_DFL)
        self._reader.close()
        self._writer.close()


def hold(numbers: Iterable[signal.Signals]) -> None:
    """Until there is a `Signals` they wait in the kernel, and kill nobody who only begins."""
    signal.pthread_sigmask(signal.SIG_BLOCK, tuple(numbers))


def _only_wake(number: int, frame: FrameType | None) -> None:
    """The wakeup descriptor has it already."""
