"""When a log file makes room for a new one, and what the old one is called.

Several processes append to one file. Who finds that it is due takes a lock and looks again, so
just one of them renames it; the others see at their next write that the path leads elsewhere.
Nobody waits for the lock: its file belongs to workers, who must not be able to hold a master up.
A small file beside the log is the lock, and holds the day on which the log was begun: the times of
the log itself say when it was written last, which may be after midnight already.

    request.log -> request-20261122.log, and if there is one, request-20261122-000001.log
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

from skitaid.workers.settings import Logs

from .owned import open_owned

NEVER = float("inf")


class Rotation:
    """Of one log file, as one process sees it."""

    def __init__(self, path: Path, settings: Logs) -> None:
        self._path = path
        self._settings = settings
        self._looked_until = 0.0 if settings.rotate == "daily" else NEVER  # a time of the clock
        self._size_max = settings.max_size if settings.rotate == "size" else NEVER

    def is_due(self, size: int, now: float) -> bool:
        """Whether `rotate` should look, for a log of so many bytes."""
        return now >= self._looked_until or size >= self._size_max

    def rotate(self, now: float) -> None:
        """Rename the log if that is due and no other process does it. Raises OSError."""
        name = self._path.with_name(f".{self._path.stem}.day")
        lock = open_owned(name, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._rotate(lock, now)
        except BlockingIOError:
            pass  # another is at it just now, or holds a lock for ever: the next write looks again
        finally:
            os.close(lock)

    def _rotate(self, lock: int, now: float) -> None:
        if self._settings.rotate == "size":
            is_due = _size(self._path) >= self._size_max
        else:
            is_due = self._is_of_another_day(lock, now)
            self._looked_until = _midnight_after(now)
        if is_due:
            self._path.rename(self._free_name(now))
            self._prune()

    def _is_of_another_day(self, lock: int, now: float) -> bool:
        """Notes today as the day of the log that will be written now."""
        today = _day(now)
        begun = os.pread(lock, 8, 0).decode("ascii", "replace")
        if begun != today:
            os.pwrite(lock, today.encode("ascii"), 0)
        if not _size(self._path):
            return False
        return (begun or _day(self._path.stat().st_mtime)) != today

    def _free_name(self, now: float) -> Path:
        stem = self._path.stem
        first = f"{stem}-{_day(now)}"
        second = f"{first}-{time.strftime('%H%M%S', time.localtime(now))}"
        name, number = first, 1
        while (path := self._path.with_name(f"{name}.log")).exists():
            name = second if name == first else f"{second}-{number}"
            number += name != second
        return path

    def _prune(self) -> None:
        pattern = re.compile(rf"{re.escape(self._path.stem)}-[0-9]{{8}}[-0-9]*\.log(\..+)?")
        old = [each for each in self._path.parent.iterdir() if pattern.fullmatch(each.name)]
        old.sort(key=lambda each: each.stat().st_mtime, reverse=True)
        for each in old[self._settings.keep :]:
            each.unlink()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _day(moment: float) -> str:
    return time.strftime("%Y%m%d", time.localtime(moment))


def _midnight_after(moment: float) -> float:
    today = time.localtime(moment)
    return time.mktime((today.tm_year, today.tm_mon, today.tm_mday + 1, 0, 0, 0, 0, 0, -1))
