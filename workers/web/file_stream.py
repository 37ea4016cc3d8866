"""A file on its way to a client, piece by piece, as fast as the client takes it."""

from __future__ import annotations

import asyncio
import io
import os

from .connection import ClientConnection
from .ranges import Span

CHUNK = 256 * 1024  # bytes that are read at once


async def stream(
    loop: asyncio.AbstractEventLoop,
    connection: ClientConnection,
    file: io.FileIO,
    pieces: list[bytes | Span],
) -> None:
    """Send the pieces of a body; spans are of the file.

    Raises ConnectionResetError when the client has gone, OSError or EOFError when the file cannot
    be read to the end of a span.
    """
    for piece in pieces:
        if not isinstance(piece, Span):
            await connection.send(piece)
            continue
        start, stop = piece
        while start < stop:
            content = await _read(loop, file, start, min(stop - start, CHUNK))
            if not content:
                raise EOFError(f"it is {stop - start} bytes shorter than when it was opened")
            start += len(content)
            await connection.send(content)
            await asyncio.sleep(0)  # a client as fast as we are would never make us wait


async def _read(
    loop: asyncio.AbstractEventLoop, file: io.FileIO, start: int, size: int
) -> bytes | bytearray:
    """On the loop if the kernel has it in memory, else on an executor thread."""
    descriptor = file.fileno()
    content = bytearray(size)
    try:
        count = os.preadv(descriptor, [content], start, os.RWF_NOWAIT)
    except OSError:  # it would have to wait, or its file system cannot tell
        return await loop.run_in_executor(None, os.pread, descriptor, size, start)
    del content[count:]
    return content
