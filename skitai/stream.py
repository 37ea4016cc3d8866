"""What a handler returns to be sent piece by piece, made one kind of thing.

    return rows()                # a generator of str or bytes, or any other iterator
    return events()              # an async generator, from a plain handler too
    return open(path, "rb")      # a file
    return Video(path)           # an object with more(), and with abort() or close() if it likes

A `Stream` belongs to one response. It is used by one thread at a time, though each piece may be
taken by another one. It is let go once, by `end` or by `abort`: the second call does nothing.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

FILE_PIECE = 256 * 1024  # bytes, or characters of a text file, that are read at once

_WHOLE = (str, bytes, dict, list, tuple)


class BadPiece(TypeError):
    """A stream gave something that is not text or bytes."""


class Stream:
    """The pieces of one response.

    length: bytes of all of them together, None if that is not known.
    is_async: the pieces come from `anext`, and `aclose` lets go, both on the event loop; else they
        come from `next`, and `end` or `abort` let go, on handler threads.
    is_over: it was let go.
    is_unwanted: set, from any thread, when its client has left: `next` then looks no longer for a
        piece that is not empty.
    """

    __slots__ = ("_abort", "_end", "_pieces", "is_async", "is_over", "is_unwanted", "length")

    def __init__(
        self,
        pieces: Iterator[object] | AsyncIterator[object],
        end: Callable[[], Any] | None,
        abort: Callable[[], Any] | None,
        length: int | None = None,
    ) -> None:
        """end, abort: what the app wants called, after the last piece and before it."""
        self._pieces = pieces
        self._end = end
        self._abort = abort
        self.length = length
        self.is_async = isinstance(pieces, AsyncIterator)
        self.is_over = False
        self.is_unwanted = False

    def next(self) -> bytes:
        """The next piece, b"" at the end. Raises BadPiece, or what the app raises."""
        for piece in cast(Iterator[object], self._pieces):
            data = _encoded(piece)
            if data or self.is_unwanted:
                return data
        return b""

    async def anext(self) -> bytes:
        """The same of an async stream."""
        async for piece in cast(AsyncIterator[object], self._pieces):
            data = _encoded(piece)
            if data:
                return data
        return b""

    def end(self) -> None:
        """After the last piece, unless that is unwanted too. Raises what the app raises."""
        self._let_go(self._abort if self.is_unwanted else self._end)

    def abort(self) -> None:
        """Nobody wants the rest. Raises what the app raises."""
        self._let_go(self._abort)

    def _let_go(self, how: Callable[[], Any] | None) -> None:
        if not self.is_over:
            self.is_over = True
            if how is not None:
                how()

    async def aclose(self) -> None:
        """Either of them, of an async stream."""
        if not self.is_over:
            self.is_over = True
            if self._end is not None:
                await self._end()


def of(value: object) -> Stream | None:
    """What a handler has returned as a stream; None if it is something else."""
    if isinstance(value, _WHOLE):
        return None
    close = getattr(value, "close", None)
    more = getattr(value, "more", None)
    if callable(more):
        return Stream(_asked(more), close, getattr(value, "abort", None) or close)
    if isinstance(value, AsyncIterator):  # before files: there are async ones
        aclose = getattr(value, "aclose", None)
        return Stream(value, aclose, aclose)
    if callable(getattr(value, "read", None)):  # before iterators: files are some, of lines
        length = _length(value)
        return Stream(_read(value, length), close, close, length)
    if isinstance(value, Iterator):
        return Stream(value, close, close)
    return None


def _encoded(piece: object) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, str):
        return piece.encode("utf-8", "surrogatepass")
    if isinstance(piece, bytearray | memoryview):
        return bytes(piece)
    raise BadPiece(
        f"gave a piece of type {type(piece).__name__}; the pieces of a stream are str or bytes"
    )


def _asked(more: Callable[[], object]) -> Iterator[bytes]:
    """The pieces of an object with `more`, up to its first empty one or None."""
    while (piece := more()) is not None and (data := _encoded(piece)):
        yield data


def _read(file: Any, length: int | None) -> Iterator[object]:
    """A file from where it stands: `length` of it, or all."""
    read = getattr(file, "read1", file.read)  # a pipe's read() waits for all that it was asked
    left = length
    while left is None or left > 0:
        piece = read(FILE_PIECE if left is None else min(left, FILE_PIECE))
        if not piece:
            return
        yield piece
        if left is not None:
            left -= len(piece)


def _length(file: object) -> int | None:
    """Bytes between where a regular file stands and its end.

    None for whatever only reads from one: the size of a compressed file says nothing.
    """
    raw = file.raw if isinstance(file, io.BufferedReader | io.BufferedRandom) else file
    if not isinstance(raw, io.FileIO):
        return None
    about = os.fstat(raw.fileno())
    if not stat.S_ISREG(about.st_mode) or not about.st_size:  # those of /proc claim to be empty
        return None
    return max(0, about.st_size - cast(io.BufferedReader, file).tell())
