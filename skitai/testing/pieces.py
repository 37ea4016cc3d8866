"""A stream as its client takes it: piece by piece, in the thread of the test.

The pieces of an async one are awaited in one task, as they are by a worker, since what an async
generator opens before a piece and closes after another belongs to its task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from skitai.stream import Stream

from .worker import Worker


class Pieces(Iterator[bytes]):
    """The pieces of a plain stream. Raises what the app raises, when the stream was let go."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __next__(self) -> bytes:
        stream = self._stream
        if stream.is_over:
            raise StopIteration
        try:
            piece = stream.next()
        except BaseException:
            stream.abort()
            raise
        if not piece:
            stream.end()
            raise StopIteration
        return piece

    def close(self) -> None:
        """The client leaves. Raises what the app raises."""
        self._stream.abort()


class AsyncPieces(Iterator[bytes]):
    """Those of an async one."""

    def __init__(self, stream: Stream, worker: Worker) -> None:
        self._stream = stream
        self._worker = worker
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._made: asyncio.Future[bytes]

    def __next__(self) -> bytes:
        if self._stream.is_over:
            raise StopIteration
        piece: bytes = self._worker.run(self._take())
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """The client leaves. Raises what the app raises."""
        self._worker.run(self._leave())

    async def _take(self) -> bytes:
        self._made = asyncio.get_running_loop().create_future()
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.create_task(self._make())
        return await self._made

    async def _make(self) -> None:
        """The task."""
        piece = b"begin"
        try:
            while piece:
                await self._wanted.wait()
                self._wanted.clear()
                piece = await self._stream.anext()
                if piece:
                    self._made.set_result(piece)
            await self._stream.aclose()
        except BaseException as error:
            await self._stream.aclose()
            if self._made.done():  # nobody waits: the client leaves
                raise
            self._made.set_exception(error)
        else:
            self._made.set_result(b"")

    async def _leave(self) -> None:
        if self._task is None:
            await self._stream.aclose()
        elif not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()


def of(stream: Stream, worker: Worker) -> Pieces | AsyncPieces:
    """The pieces of a stream."""
    return AsyncPieces(stream, worker) if stream.is_async else Pieces(stream)
