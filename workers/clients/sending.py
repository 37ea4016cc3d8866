"""A request body that is not held in memory, on its way to one server.

Its pieces are read by a thread of the loop's, as reading may block; the connection is written on
the loop. Only as much is read as the server takes, and one piece ahead at the most. One that is
still being made (`skitai.live_body`) goes in chunks (RFC 9112 section 7.1); nobody's thread waits
for more of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice

from skitai.engine import Upload
from skitai.live_body import LiveBody

from .http_connection import HttpConnection

AT_ONCE = 4  # pieces of 64 KiB for one way to the thread and back


class Sending:
    """failed: told once if the body cannot be read; the connection is the caller's to close."""

    __slots__ = ("_task",)

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: HttpConnection,
        body: Upload,
        failed: Callable[[str], None],
    ) -> None:
        if isinstance(body, LiveBody):
            sending = _send_live(loop, connection, body, failed)
        else:
            sending = _send(loop, connection, body, failed)
        self._task = loop.create_task(sending)

    def stop(self) -> None:
        """The rest is not wanted any more."""
        self._task.cancel()


async def _send(
    loop: asyncio.AbstractEventLoop,
    connection: HttpConnection,
    body: Upload,
    failed: Callable[[str], None],
) -> None:
    left = body.length
    assert left is not None  # else it is a `LiveBody`
    try:
        pieces = body.pieces()
        while left:
            data = await loop.run_in_executor(None, _next, pieces)
            left -= len(data)
            if left < 0 or not data:
                failed(f"the body is not of {body.length} bytes, as when its length was sent")
                return
            connection.send(data, is_last=not left)
            await connection.drained()
    except OSError as error:
        failed(f"the body could not be read: {error}")


async def _send_live(
    loop: asyncio.AbstractEventLoop,
    connection: HttpConnection,
    body: LiveBody,
    failed: Callable[[str], None],
) -> None:
    at = 0
    try:
        while True:
            is_whole = body.is_whole  # before what there is: nothing comes after that
            data = await loop.run_in_executor(None, body.read, at)
            if data:
                at += len(data)
                connection.send(b"%x\r\n%b\r\n" % (len(data), data), is_last=False)
                await connection.drained()
            elif is_whole:
                connection.send(b"0\r\n\r\n", is_last=True)
                return
            elif body.has_failed:
                failed("the iterator that makes the body has raised")
                return
            else:
                await _more(loop, body, at)
    except OSError as error:
        failed(f"the body could not be read: {error}")


async def _more(loop: asyncio.AbstractEventLoop, body: LiveBody, at: int) -> None:
    there = asyncio.Event()

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(there.set)
        except RuntimeError:
            pass  # the loop is closed, as its worker leaves; the app's iterator need not know

    body.when_more(at, tell)
    await there.wait()


def _next(pieces: Iterator[bytes]) -> bytes:
    """Some more; b"" at the end."""
    return b"".join(islice(pieces, AT_ONCE))
