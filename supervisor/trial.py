"""A process that tries what the next program would do: load the conf, boot the apps, and leave."""

from __future__ import annotations

import os
import signal
import subprocess

from skitaid.supervisor.pidfd import Pidfd

TEXT_MAX = 32768  # bytes of what it says, from the end
COMES_UP = "it would come up"  # its last words; an app may end the process with exit code 0, too


class Trial:
    """Runs from `Trial(...)` until it is reaped. Readable when it has ended."""

    def __init__(self, command: list[str]) -> None:
        """Raises `OSError` if it cannot be run."""
        self._said = os.memfd_create("skitaid-trial")  # takes any amount, and nobody need read
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said
            )
            self._pidfd = _hold(self._process)
        except OSError:
            os.close(self._said)
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def fileno(self) -> int:
        """For a `Waiter`."""
        return self._pidfd.fileno()

    def kill(self) -> None:
        """It takes too long."""
        self._pidfd.send(signal.SIGKILL)

    def reap(self) -> tuple[int, str]:
        """When it has ended: its exit code, and what it said."""
        exit_code = self._process.wait()
        size = os.fstat(self._said).st_size
        text = os.pread(self._said, TEXT_MAX, max(0, size - TEXT_MAX))
        self.close()
        return exit_code, text.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Let go; all that a forked child may do."""
        self._pidfd.close()
        os.close(self._said)


def _hold(process: subprocess.Popen[bytes]) -> Pidfd:
    """A trial that cannot be watched must not live: nobody would ever know of it."""
    try:
        return Pidfd(process.pid)
    except OSError:  # out of descriptors
        process.kill()
        process.wait()
        raise
