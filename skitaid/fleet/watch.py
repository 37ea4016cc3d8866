"""Notices changes in directories, by inotify: the kernel says when, so nobody looks in vain.

Lives in the fleet's only thread. A watch belongs to a directory itself, not to its name, so
after every change that may have moved things about it is aimed anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from inotify_simple import INotify, flags

# A file's content counts when its writer closes it.
CHANGES = (
    flags.CLOSE_WRITE
    | flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.ATTRIB
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)

log = logging.getLogger(__name__)


class Watch:
    """Watches nothing until it is aimed."""

    def __init__(self, changes: int = CHANGES) -> None:
        """Raises `OSError` if the kernel has no inotify instance left for this user."""
        self._changes = changes
        self._inotify = INotify(nonblocking=True)
        self._names: dict[int, frozenset[str] | None] = {}  # by watch; None is all names

    def fileno(self) -> int:
        """Readable when something has changed."""
        fd: int = self._inotify.fileno()
        return fd

    def aim(self, directories: Mapping[Path, frozenset[str] | None]) -> None:
        """Watch these directories and no others; of each only these names, or all (None).

        A directory that is not there, or cannot be watched, is left out.
        """
        names: dict[int, frozenset[str] | None] = {}
        for directory, wanted in directories.items():
            watch = self._add(directory)
            if watch is not None:
                names[watch] = _both(names.get(watch, frozenset()), wanted)
        for watch in self._names.keys() - names.keys():
            self._remove(watch)
        self._names = names

    def take(self) -> bool:
        """Read what has happened, without waiting; whether any of it matters."""
        return any(self._matters(event) for event in self._inotify.read(timeout=0))

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()

    def _matters(self, event: tuple[int, int, int, str]) -> bool:
        watch, mask, _, name = event
        if mask & flags.Q_OVERFLOW:  # too much has happened to be told
            return True
        if mask & flags.IGNORED or watch not in self._names:
            return False
        wanted = self._names[watch]
        return not name or wanted is None or name in wanted

    def _add(self, directory: Path) -> int | None:
        try:
            watch: int = self._inotify.add_watch(directory, self._changes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:  # no permission, or no watch left for this user
            log.warning("changes of %s are not noticed: %s", directory, error.strerror)
            return None
        return watch

    def _remove(self, watch: int) -> None:
        try:
            self._inotify.rm_watch(watch)
        except OSError:
            pass  # its directory is gone, and the watch with it


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """Two paths may be one directory."""
    return None if one is None or other is None else one | other
