"""Reading a PROXY protocol header from a socket that nobody else reads yet. Runs on the loop.

What is behind the header belongs to HTTP or TLS. So the kernel is asked what is there, without
taking it, and then that much is taken as is the header's: a transport that is made of the socket
afterwards finds the rest. As all that came before is taken, the socket is readable next when there
is something new, and nothing spins.
"""

from __future__ import annotations

import asyncio
import socket

from .proxy_protocol import Header

PEEK = 256  # bytes looked at; a usual header with the values behind it is shorter


async def read_address(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> str:
    """The address that the header names, "" for none.

    Raises NoHeader, ConnectionError when the proxy hangs up, or another OSError.
    """
    header = Header()
    while not header.is_complete:
        await _readable(loop, connection)
        try:
            data = connection.recv(PEEK, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            continue
        if not data:
            raise ConnectionResetError("the proxy has hung up before it said who its client is")
        eaten = header.feed(data)
        connection.recv(eaten)
    return header.address


async def _readable(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    woken: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection.fileno(), _wake, woken)
    try:
        await woken
    finally:
        loop.remove_reader(connection.fileno())


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
