"""Which file a path means. A few system calls on the loop, no state.

A file is served only if what is opened lies below the real directory: the kernel says where that
is, after all links were followed, so nothing can be changed between look and use. Dot-dot,
encoded separators, NUL and links that lead out find nothing; a pipe or a device is not opened.
"""

from __future__ import annotations

import io
import os
import stat
from typing import NamedTuple

import msgspec

INDEXES = ("index.htm", "index.html")

Stamp = tuple[int, int, int, int, int]


class Candidate(NamedTuple):
    """A file that is there; whether it may be served is seen when it is opened."""

    path: str
    status: os.stat_result


class IndexBelow(msgspec.Struct, frozen=True):
    """The path is a directory with an index file, but lacks the slash: redirect to it."""


def find(directory: str, rest: str) -> Candidate | IndexBelow | None:
    """The file for a decoded path below a directory; None if there is none to be served.

    rest: starts with "/", or is "" for the directory itself.
    """
    if "\0" in rest or "\\" in rest or ("/." in rest and _has_hidden(rest)):
        return None
    path = directory + rest
    found = status_of(path.rstrip("/") if rest.endswith("/") else path)
    if found is None:
        return None
    if stat.S_ISREG(found.st_mode):
        return None if rest.endswith("/") else Candidate(path, found)
    if not stat.S_ISDIR(found.st_mode):
        return None
    for name in INDEXES:
        index = os.path.join(path, name)
        at = status_of(index)
        if at is not None and stat.S_ISREG(at.st_mode):
            return Candidate(index, at) if rest.endswith("/") else _redirect(directory, index)
    return None


def open_below(directory: str, path: str) -> tuple[io.FileIO, os.stat_result]:
    """A regular file, and what it is. Raises OSError; FileNotFoundError if it may not be served."""
    file = io.FileIO(path, opener=_open)
    try:
        status = os.fstat(file.fileno())
        real = os.readlink(f"/proc/self/fd/{file.fileno()}")
        if not stat.S_ISREG(status.st_mode) or not _is_within(os.path.realpath(directory), real):
            raise FileNotFoundError(f"{path} is not a file below {directory}")
    except BaseException:
        file.close()
        raise
    return file, status


def _open(path: str, flags: int) -> int:
    # Were it a pipe by now, the loop would wait for its other end.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def stamp(status: os.stat_result) -> Stamp:
    """What is another when a file is another, or was written to.

    The time of the inode's change is part of it, as nobody can set that back.
    """
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_dev


def status_of(path: str) -> os.stat_result | None:
    """Of what is there, links followed."""
    try:
        return os.stat(path)
    except (OSError, ValueError):  # not there, not readable, a name too long, a surrogate
        return None


def _has_hidden(rest: str) -> bool:
    """Dot-dot, and files that are not meant for clients: .git, .env; RFC 8615 is for them."""
    return any(part.startswith(".") and part != ".well-known" for part in rest.split("/"))


def _redirect(directory: str, index: str) -> IndexBelow | None:
    """Not for an index elsewhere: that would tell that there is something."""
    is_inside = _is_within(os.path.realpath(directory), os.path.realpath(index))
    return IndexBelow() if is_inside else None


def _is_within(root: str, path: str) -> bool:
    return root == "/" or path.startswith(root + "/")
