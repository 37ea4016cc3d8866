"""Files from directories: which file a path means, and what its response header says.

Looking is a few system calls on the loop; the bytes of larger files are read on an executor
thread and sent as the client takes them. A file is served only if its real path lies below the
real directory: dot-dot, encoded separators, NUL and links that lead out find nothing.
"""

from __future__ import annotations

import mimetypes
import os
import stat
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from typing import BinaryIO

INDEXES = ("index.htm", "index.html")
AT_ONCE = 64 * 1024  # bytes: a file up to this size is read and sent in one piece
CHUNK = 256 * 1024

_TYPES = mimetypes.MimeTypes()  # Python's own table, the same on every machine
for _suffix, _type in (
    (".js", "text/javascript"),
    (".mjs", "text/javascript"),
    (".woff2", "font/woff2"),
    (".webp", "image/webp"),
    (".wasm", "application/wasm"),
    (".md", "text/markdown"),
):
    _TYPES.add_type(_type, _suffix)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that may be served."""

    path: str
    size: int
    mtime: int  # whole seconds, as HTTP dates have no more

    def fields(self, max_age: int) -> list[tuple[str, str]]:
        """The header fields of a 200 or 304."""
        return [
            ("Content-Type", content_type(self.path)),
            ("Last-Modified", formatdate(self.mtime, usegmt=True)),
            ("Cache-Control", f"max-age={max_age}"),
        ]

    def is_newer_than(self, if_modified_since: str | None) -> bool:
        """False when a client that has this date's copy needs no other (RFC 9110 13.1.3)."""
        if if_modified_since is None:
            return True
        try:
            since = parsedate_to_datetime(if_modified_since)
        except (ValueError, OverflowError):
            return True  # not a date: the field is ignored
        if since.tzinfo is None:  # the form of asctime() names no zone; all dates are GMT
            since = since.replace(tzinfo=UTC)
        return self.mtime > since.timestamp()

    def open(self) -> BinaryIO:
        """Raises OSError."""
        return open(self.path, "rb")


@dataclass(frozen=True, slots=True)
class IndexBelow:
    """The path is a directory with an index file, but lacks the slash: redirect to it."""


def find(directory: str, rest: str) -> StaticFile | IndexBelow | None:
    """The file for a decoded path below a directory; None if there is none to be served.

    rest: starts with "/", or is "" for the directory itself.
    """
    if "\0" in rest or "\\" in rest or ("/." in rest and _has_hidden(rest)):
        return None
    path = directory + rest
    found = _file(path.rstrip("/") if rest.endswith("/") else path)
    if found is None:
        return None
    if stat.S_ISREG(found.st_mode):
        return None if rest.endswith("/") else _within(directory, path, found)
    if not stat.S_ISDIR(found.st_mode):
        return None
    for name in INDEXES:
        index = os.path.join(path, name)
        at = _file(index)
        if at is not None and stat.S_ISREG(at.st_mode):
            file = _within(directory, index, at)
            return file if file is None or rest.endswith("/") else IndexBelow()
    return None


def _has_hidden(rest: str) -> bool:
    """Dot-dot, and files that are not meant for clients: .git, .env; RFC 8615 is for them."""
    return any(part.startswith(".") and part != ".well-known" for part in rest.split("/"))


def content_type(path: str) -> str:
    """By the suffix; text is UTF-8."""
    kind, encoding = _TYPES.guess_type(path)
    if kind is None or encoding is not None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _file(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):  # not there, not readable, a name too long, a NUL
        return None


def _within(directory: str, path: str, found: os.stat_result) -> StaticFile | None:
    root = os.path.realpath(directory)
    if os.path.commonpath((root, os.path.realpath(path))) != root:
        return None
    return StaticFile(path, found.st_size, int(found.st_mtime))
