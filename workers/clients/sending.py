"""A request body that is not held in memory, on its way to one server.

Its pieces are read by a thread of the loop's, as reading may block; the connection is written on
the loop. Only as much is read as the server takes, and one piece ahead at the most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice

from skitai.engine import Upload

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
        self._task = loop.create_task(_send(loop, connection, body, failed))

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


def _next(pieces: Iterator[bytes]) -> bytes:
    """Some more; b"" at the end."""
    return b"".join(islice(pieces, AT_ONCE))
