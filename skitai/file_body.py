"""Request bodies of files and iterators: nothing is held that a file holds.

Made on the handler's thread, read on threads of the loop's, by several members at once if need
be. A file is read at places of our own (pread), by a descriptor of our own: so the app may read on
in it, or close it, as soon as the call is made.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from skitai.errors import WrongUse

PIECE = 64 * 1024  # bytes that are read at once
IN_MEMORY = 1024 * 1024  # bytes of an iterator; beyond them it goes to a temporary file


class _Descriptor:
    """One of our own, closed with the last call that needs it."""

    __slots__ = ("name", "number")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name

    def __del__(self) -> None:
        os.close(self.number)


class FilePart:
    """A stretch of a file."""

    __slots__ = ("_file", "_length", "_start")

    def __init__(self, file: _Descriptor, start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length

    def __len__(self) -> int:
        return self._length

    def pieces(self) -> Iterator[bytes]:
        """See `Upload`."""
        at, end = self._start, self._start + self._length
        while at < end:
            piece = os.pread(self._file.number, min(PIECE, end - at), at)
            if not piece:
                raise OSError(f"{self._file.name} has become shorter while it was sent")
            at += len(piece)
            yield piece


class FileBody:
    """An `Upload` of bytes and stretches of files, one after the other."""

    __slots__ = ("_parts", "length")

    def __init__(self, parts: Sequence[bytes | FilePart]) -> None:
        self._parts = parts
        self.length = sum(len(part) for part in parts)

    def pieces(self) -> Iterator[bytes]:
        """See `Upload`."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()


def part_of(file: Any) -> bytes | FilePart:
    """An open file, from where it stands to its end; read at once if it is no regular one.

    Of one in text mode it is the bytes that count; text that is in no file is sent as UTF-8.
    Raises OSError for one that cannot be read.
    """
    file = getattr(file, "buffer", file)
    raw = getattr(file, "raw", file)
    if not isinstance(raw, io.FileIO):  # a compressed file reads something else than is there
        return _whole(file)
    about = os.fstat(raw.fileno())
    if not stat.S_ISREG(about.st_mode) or not about.st_size:  # those of /proc claim to be empty
        return _whole(file)
    start = file.tell()
    copy = _Descriptor(os.dup(raw.fileno()), str(raw.name))
    return FilePart(copy, start, max(0, about.st_size - start))


def spooled(pieces: Iterable[object]) -> FileBody:
    """All that an iterator gives, read now. Raises WrongUse for a piece that is not str or bytes.

    So its code runs on the handler's own thread, its length is known, and it can be sent to
    several members and once more.
    """
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
        for piece in pieces:
            if isinstance(piece, str):
                piece = piece.encode()
            if not isinstance(piece, bytes):
                raise WrongUse(
                    f"the iterator for a body gave a {type(piece).__name__}; its pieces are str or"
                    " bytes"
                )
            spool.write(piece)
        length = spool.tell()
        spool.seek(0)
        if length <= IN_MEMORY:
            return FileBody([spool.read()])
        spool.flush()
        copy = _Descriptor(os.dup(spool.fileno()), "the temporary file")
        return FileBody([FilePart(copy, 0, length)])


def _whole(file: Any) -> bytes:
    data: bytes | str = file.read()
    return data.encode() if isinstance(data, str) else data
