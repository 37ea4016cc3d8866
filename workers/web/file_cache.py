"""Small files in the memory of one worker, ready to be sent: a book, without I/O.

Used on the loop only. An entry is of one state of one file: whoever takes it from the book gives
the stamp that the file has now, and an entry with another stamp is thrown away. A file that was
changed a moment ago is not taken in, as it could change again without another stamp.
"""

from __future__ import annotations

import os

import msgspec
from msgspec import field

from .representation import Representation
from .static import Stamp

SETTLED = 2.0  # seconds; clocks of file systems tick in steps of 4 ms to 2 s (ext4, FAT)
OVERHEAD = 1024  # bytes that an entry costs besides its bodies, roughly

Offers = dict[str, Stamp | None]  # by content coding: its file's stamp, None if made on the fly


class Page(msgspec.Struct, frozen=True):
    """A file, or a coding of it, in memory."""

    representation: Representation
    body: bytes
    lines: bytes  # all fields of a plain 200

    @classmethod
    def of(cls, representation: Representation, body: bytes) -> Page:
        lines = b"%bContent-Length: %d\r\n" % (representation.lines, len(body))
        return cls(representation, body, lines)


class Entry(msgspec.Struct):
    """A file with what there is of it."""

    stamp: Stamp
    offers: Offers
    looked: float  # loop time at which the offers were looked up
    pages: dict[str, Page] = field(default_factory=dict)  # by coding, "" is the plain form

    @property
    def size(self) -> int:
        return OVERHEAD + sum(len(page.body) for page in self.pages.values())


class FileCache:
    """Entries by path, the least recently used are forgotten first."""

    def __init__(self, limit: int) -> None:
        """limit: bytes."""
        self._limit = limit
        self._size = 0
        self._entries: dict[str, Entry] = {}  # in the order of their last use

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes, never more than the limit."""
        return self._size

    def get(self, path: str, now: Stamp) -> Entry | None:
        """The entry, if its file is still as it was. now: the file's stamp."""
        entry = self._entries.pop(path, None)
        if entry is None:
            return None
        if entry.stamp != now:
            self._size -= entry.size
            return None
        self._entries[path] = entry
        return entry

    def keep(
        self, path: str, now: Stamp, offers: Offers, looked: float, coding: str, page: Page
    ) -> None:
        """Take in a page; the file's other pages stay if it is as it was. See `Entry`."""
        entry = self._entries.get(path)
        self.drop(path)
        if entry is None or entry.stamp != now or entry.offers != offers:
            entry = Entry(now, offers, looked)
        entry.pages[coding] = page
        if entry.size > self._limit:
            return
        self._entries[path] = entry
        self._size += entry.size
        while self._size > self._limit:
            self.drop(next(iter(self._entries)))

    def drop(self, path: str) -> None:
        """Forget a file."""
        entry = self._entries.pop(path, None)
        if entry is not None:
            self._size -= entry.size


def is_settled(status: os.stat_result, now: float) -> bool:
    """Whether a further change would be seen by its stamp. now: seconds since the epoch."""
    return max(status.st_mtime, status.st_ctime) + SETTLED <= now
