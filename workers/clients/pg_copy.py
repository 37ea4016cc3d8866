"""COPY on a connection that a session has: data in pieces, as fast as the slower side takes them.

Runs on the loop. The connection is lent: it is read and written here until the COPY is over, which
the server says as of any statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from skitai import rows
from skitai.engine import Sql
from skitai.errors import TransactionFailed

from .pg_connection import PgConnection, plain
from .pg_waiting import Ending

PIECE = 64 * 1024  # bytes, about, that are handed on at once

_ERROR = ExecStatus.FATAL_ERROR


class Copying(Ending):
    """A `User` for COPY. begun: done when the server takes or gives data, or when all is over."""

    __slots__ = ("begun",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.begun: asyncio.Future[int] = loop.create_future()

    def copying(self, status: int) -> None:
        """`User`."""
        if not self.begun.done():
            self.begun.set_result(status)

    def _end(self, result: PGresult | None) -> None:
        super()._end(result)
        self.copying(-1)


async def copy_in(
    connection: PgConnection,
    loop: asyncio.AbstractEventLoop,
    ask: Sql,
    pieces: AsyncIterator[bytes],
) -> PGresult:
    """Send pieces. An error of the server is a result. Raises TransactionFailed, or as they do.

    What is not sent to its end is refused by us, so the server keeps nothing of it.
    """
    copying = await _begun(connection, loop, ask, ExecStatus.COPY_IN)
    if isinstance(copying, Copying):
        complaint: bytes | None = b"the app has not given all of it"
        try:
            async for piece in pieces:
                await _put(connection, loop, piece)
            complaint = None
        finally:
            if not connection.is_closed:
                await _finish(connection, loop, complaint)
        return _result(await copying.over, copying)
    return copying


async def copy_out(
    connection: PgConnection, loop: asyncio.AbstractEventLoop, ask: Sql
) -> AsyncIterator[bytes]:
    """Pieces of what the server sends; nothing is read while nobody takes one.

    Raises TransactionFailed.
    """
    copying = await _begun(connection, loop, ask, ExecStatus.COPY_OUT)
    if not isinstance(copying, Copying):
        raise _refused(copying)
    try:
        async for piece in _taken(connection, loop):
            yield piece
    finally:
        if not copying.over.done() and not connection.is_reading:
            connection.close()  # cheaper than to read what nobody wants
    result = _result(await copying.over, copying)
    if result.status == _ERROR:
        raise _refused(result)


async def _taken(connection: PgConnection, loop: asyncio.AbstractEventLoop) -> AsyncIterator[bytes]:
    """All pieces; then the connection reads by itself again."""
    connection.read(False)
    pgconn = connection.pgconn
    gathered: list[bytes] = []
    size = 0
    count = 1
    while count >= 0 and not connection.is_closed:
        try:
            count, data = pgconn.get_copy_data(1)
            if count == 0 and not gathered:
                await _readable(connection, loop)
                pgconn.consume_input()
                continue
        except psycopg.Error as error:
            connection.close(plain(error))
            return
        if count > 0:
            gathered.append(bytes(data))
            size += count
        if gathered and (count <= 0 or size >= PIECE):
            yield b"".join(gathered)
            gathered, size = [], 0
    if not connection.is_closed:
        connection.read(True)
        connection.take_results()


async def _begun(
    connection: PgConnection, loop: asyncio.AbstractEventLoop, ask: Sql, wanted: int
) -> Copying | PGresult:
    """Who waits for its end, or else the error it has ended with."""
    copying = Copying(loop)
    connection.start(copying, ask)
    status = await copying.begun
    if status == wanted:
        return copying
    if status != -1:
        connection.close("was given another COPY than the one that was called")
    result = _result(await copying.over, copying)
    if result.status != _ERROR:
        raise TransactionFailed("the statement is no COPY of this direction")
    return result


async def _put(connection: PgConnection, loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    try:
        while not connection.is_closed and not connection.pgconn.put_copy_data(data):
            await _drained(connection, loop)
        if not connection.is_closed and not connection.flush():
            await _drained(connection, loop)
    except psycopg.Error as error:
        connection.close(plain(error))
    if connection.is_closed:
        raise TransactionFailed(
            f"the connection was lost in the middle of a COPY: {connection.ended}"
        )


async def _finish(
    connection: PgConnection, loop: asyncio.AbstractEventLoop, complaint: bytes | None
) -> None:
    try:
        while not connection.is_closed and not connection.pgconn.put_copy_end(complaint):
            await _drained(connection, loop)
        if not connection.is_closed:
            connection.flush()
            connection.take_results()
    except psycopg.Error as error:
        connection.close(plain(error))


async def _drained(connection: PgConnection, loop: asyncio.AbstractEventLoop) -> None:
    gate: asyncio.Future[None] = loop.create_future()
    connection.when_drained = partial(_open, gate)
    if not connection.flush():
        await gate


async def _readable(connection: PgConnection, loop: asyncio.AbstractEventLoop) -> None:
    gate: asyncio.Future[None] = loop.create_future()
    connection.when_readable = partial(_open, gate)  # its own reader: it goes when it is closed
    connection.read(True)
    try:
        await gate
    finally:
        connection.when_readable = None
        connection.read(False)


def _open(gate: asyncio.Future[None]) -> None:
    if not gate.done():
        gate.set_result(None)


def _result(result: PGresult | None, copying: Copying) -> PGresult:
    if result is None:
        raise TransactionFailed(
            f"the connection was lost in the middle of a COPY: {copying.reason}"
        )
    return result


def _refused(result: PGresult) -> TransactionFailed:
    state, said = rows.error_of(result)
    return TransactionFailed(f"{said} (SQLSTATE {state})", state)
