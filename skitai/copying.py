"""COPY from and to an app: its pieces, on the thread or the loop of the handler.

What is given row by row is written here in the text format of COPY; what is given as text or bytes
goes out as it is. A plain handler goes to the loop once for about `PIECE` bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

import psycopg
from psycopg.adapt import PyFormat

from skitai.engine import Engine, Held, Reply, Sql
from skitai.errors import TransactionFailed, WrongUse
from skitai.results import Result, Status
from skitai.sql import transformer_of_thread

PIECE = 64 * 1024  # bytes

_ESCAPES = {
    ord("\\"): rb"\\",
    ord("\b"): rb"\b",
    ord("\t"): rb"\t",
    ord("\n"): rb"\n",
    ord("\v"): rb"\v",
    ord("\f"): rb"\f",
    ord("\r"): rb"\r",
}
_SPECIAL = bytes(_ESCAPES)

Source = Iterable[Any] | AsyncIterable[Any]


class CopyIn:
    """A COPY ... FROM STDIN that is to be done: `getwait()` does it, or `await`. Once."""

    def __init__(
        self,
        engine: Engine,
        held: Held,
        ask: Sql,
        source: Source,
        decode: Callable[[Reply], Result],
        timeout: float,
    ) -> None:
        self._engine = engine
        self._held = held
        self._ask = ask
        self._source = source
        self._decode = decode
        self._timeout = timeout

    def getwait(self, timeout: float | None = None) -> Result:
        """Send all of it; `rowcount` of the result is the number of rows.

        timeout: seconds for all of it. Raises what the source raises, and TransactionFailed.
        """
        if isinstance(self._source, AsyncIterable):
            raise WrongUse("an async source is for an async handler: await tx.copy_in(...)")
        pieces = _ByJobs(_pieces(self._source))
        return self._decode(self._engine.run(self._copy(pieces.each(self._engine), timeout)))

    async def wait(self, timeout: float | None = None) -> Result:
        """The same for async handlers."""
        return self._decode(await self._copy(_async_pieces(self._source), timeout))

    def __await__(self) -> Generator[Any, None, Result]:
        return self.wait().__await__()

    async def _copy(self, pieces: AsyncIterator[bytes], timeout: float | None) -> Reply:
        began, limit = time.monotonic(), self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(limit):
                return await self._held.copy_in(self._ask, pieces)
        except TimeoutError:
            node, msg = self._held.node, f"COPY was not over within {limit:g} s"
            elapsed = time.monotonic() - began
            return Reply(0, node, Status.TIMEOUT, 0, f"{node}: {msg}", (), b"", elapsed)


class CopyOut:
    """The pieces of a COPY ... TO STDOUT."""

    def __init__(self, engine: Engine, held: Held, ask: Sql, timeout: float) -> None:
        self._engine = engine
        self._held = held
        self._ask = ask
        self._timeout = timeout

    def __iter__(self) -> Iterator[bytes]:
        pieces = aiter(self)
        try:
            while piece := self._engine.run(_next(pieces)):
                yield piece
        finally:
            self._engine.run(_close(pieces))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._held.copy_out(self._ask)
        try:
            while True:
                try:
                    async with asyncio.timeout(self._timeout):
                        piece = await _next(pieces)
                except TimeoutError:
                    raise TransactionFailed(
                        f"{self._held.node}: COPY gave nothing within {self._timeout:g} s"
                    ) from None
                if not piece:
                    return
                yield piece
        finally:
            await _close(pieces)


class _ByJobs:
    """The pieces of a plain source for a coroutine on the loop, while its handler waits for that.

    They are made by a thread of the loop's, one at a time, as the handler's own is parked.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    async def each(self, engine: Engine) -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(next, self._pieces, b""):
            yield piece


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")


async def _close(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


def _pieces(source: Iterable[Any]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for each in source:
        data = encoded(each)
        gathered.append(data)
        size += len(data)
        if size >= PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


async def _async_pieces(source: Source) -> AsyncIterator[bytes]:
    if not isinstance(source, AsyncIterable):
        for piece in _pieces(source):
            yield piece
        return
    async for each in source:
        yield encoded(each)


def encoded(piece: Any) -> bytes:
    """A row in the text format of COPY, or text or bytes as they are. Raises WrongUse."""
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    if isinstance(piece, str):
        return piece.encode()
    if not isinstance(piece, list | tuple):
        raise WrongUse(f"COPY takes rows (lists, tuples), str or bytes, not {type(piece).__name__}")
    try:
        values = transformer_of_thread().dump_sequence(piece, [PyFormat.TEXT] * len(piece))
    except psycopg.Error as error:
        raise WrongUse(f"a value cannot be sent to PostgreSQL: {error}") from None
    return (
        b"\t".join([rb"\N" if each is None else _escaped(bytes(each)) for each in values]) + b"\n"
    )


def _escaped(value: bytes) -> bytes:
    if value.translate(None, _SPECIAL) != value:
        return b"".join([_ESCAPES.get(each, bytes((each,))) for each in value])
    return value
