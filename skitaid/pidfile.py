"""The pid file: a decimal pid for people and scripts, under a lock that tells the truth.

The lock (flock) is what counts: the kernel drops it however its holder ends, so a file that is
not locked is stale, whatever it says. The lock belongs to the open file, which a forked child
shares: a child must `close` it (which unlocks nothing), or its parent would look alive for ever.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from skitaid.errors import SkitaidError
from skitaid.supervisor.pidfd import Pidfd


class AlreadyRunning(SkitaidError):
    """Another process holds the pid file."""


class PidFile:
    """Held from `PidFile(...)` until `remove`, or the end of the process."""

    def __init__(self, path: Path, what: str, held: int | None = None) -> None:
        """Take the file. `what` is the one who runs, for messages: "server web".

        `held`: the descriptor, if this process took the file before it became another program.
        Raises `AlreadyRunning`, and `SkitaidError` if the file cannot be written.
        """
        self._path = path
        if held is not None:
            self.descriptor = held
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = _lock(path, what)
            os.ftruncate(self.descriptor, 0)
            os.write(self.descriptor, b"%d\n" % os.getpid())
        except OSError as error:
            message = f"{what} cannot write {path}: {error.strerror}; --var chooses the directory"
            raise SkitaidError(message) from None

    def remove(self) -> None:
        """The process ends cleanly: no file, no doubt."""
        self._path.unlink(missing_ok=True)  # somebody may have cleaned up behind our back
        self.close()

    def close(self) -> None:
        """Let go of the descriptor; all that a forked child may do."""
        os.close(self.descriptor)


def holder(path: Path) -> int | None:
    """The pid of the living process that holds the file; None if there is none.

    Looks by taking a shared lock for a blink: in just that blink nobody could take the file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def holding_process(path: Path) -> Pidfd | None:
    """Who holds the file, held so that its pid cannot become somebody else's."""
    pid = holder(path)
    if not pid:
        return None
    try:
        process = Pidfd(pid)
    except ProcessLookupError:
        return None
    if holder(path) == pid:
        return process
    process.close()
    return None


def _lock(path: Path, what: str) -> int:
    """An open, locked descriptor of the file that is at `path` now."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _pid(descriptor)
            os.close(descriptor)
            raise AlreadyRunning(f"{what} is already running (pid {pid})") from None
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder removed it between our open and our lock


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _pid(descriptor: int) -> int:
    """What the file says; 0 in the moment between lock and write."""
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
