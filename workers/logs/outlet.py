"""Where lines go: a log file that several processes append to, or the screen.

Each process has its own `LogFile` of the same path, open for appending, and gives it whole lines
in one write, so lines of several processes never mix. Before each write it is looked whether
the path still leads to the open file: another process may have rotated it, or logrotate.

A server under the fleet has its server.log as standard output and error too, for what apps
print and for stack dumps; these follow the file when it is rotated.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

from skitaid.workers.settings import Logs

from .owned import open_owned
from .rotation import Rotation

STDERR = 2
STANDARD = (1, 2)


class Outlet(Protocol):
    """Takes lines. One thread writes."""

    name: str  # for messages

    def write(self, data: bytes) -> None:
        """Append whole lines. Raises OSError; what could not be written is lost."""

    def reopen(self) -> None:
        """The file was moved away: have a new one at once."""

    def close(self) -> None:
        """Hold no descriptor; the next write has a new one."""


class Screen:
    """Standard error."""

    name = "the screen"

    def write(self, data: bytes) -> None:
        """See `Outlet`."""
        _write_all(STDERR, data)

    def reopen(self) -> None:
        """See `Outlet`."""

    def close(self) -> None:
        """See `Outlet`."""


class LogFile:
    """One of the logs of a server."""

    def __init__(self, path: Path, settings: Logs) -> None:
        self.name = path.name
        self._path = path
        self._rotation = Rotation(path, settings)
        self._descriptor = -1
        self._identity = (-1, -1)  # device and inode
        self._is_torn = False  # the last write broke off within a line
        self._followers = tuple(each for each in STANDARD if leads_to(each, path))

    def write(self, data: bytes) -> None:
        """See `Outlet`."""
        self._find(time.time())
        if self._is_torn:
            data = b"\n" + data
        self._is_torn = True
        _write_all(self._descriptor, data)
        self._is_torn = False

    def reopen(self) -> None:
        """See `Outlet`."""
        self._find(time.time())

    def close(self) -> None:
        """See `Outlet`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._identity = -1, (-1, -1)

    def _find(self, now: float) -> None:
        """Have the file open that the path leads to, a new one if it is time for that."""
        there = _look(self._path)
        if there is not None and self._rotation.is_due(there.st_size, now):
            self._rotation.rotate(now)
            there = _look(self._path)
        if there is None or (there.st_dev, there.st_ino) != self._identity:
            self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_owned(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.close()
        self._descriptor = descriptor
        there = os.fstat(descriptor)
        self._identity = (there.st_dev, there.st_ino)
        for each in self._followers:
            os.dup2(descriptor, each)


def leads_to(descriptor: int, path: Path) -> bool:
    """Whether a descriptor is open on a log, under this name or one it had before rotation."""
    try:
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        return False
    return target.parent == path.parent and target.name.startswith(path.stem)


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    """The kernel may take a part, when the disk is nearly full or the screen is a pipe."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
