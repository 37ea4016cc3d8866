"""From an address to a connection: its name, TCP, the way through a proxy, TLS.

Runs on the loop. Several addresses of one name are tried one after the other without waiting for
the end of each (RFC 8305, simplified): every `STAGGER` seconds, or when one fails, the next joins
the race, and the first to be connected wins. Whoever dials puts a limit to the time of it all.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

import msgspec

from .names import Names, Place
from .proxy import Proxy

STAGGER = 0.25  # seconds; RFC 8305 section 5
P = TypeVar("P", bound=asyncio.BaseProtocol)  # what the connection is made for
_ANSWER_MAX = 16 * 1024  # bytes of what a proxy answers to CONNECT


class Address(msgspec.Struct, frozen=True):
    """Where to connect: host and port, or a unix socket; directly or by a proxy.

    at: one of the host's IP addresses, if it is to be that one; requests and certificates go by
    the host all the same.
    """

    host: str
    port: int
    unix: str = ""
    tls: ssl.SSLContext | None = None
    proxy: Proxy | None = None
    at: str = ""

    @property
    def node(self) -> str:
        """ "host:port", or "unix:path"; of one that has an address that and the port."""
        if self.unix:
            return f"unix:{self.unix}"
        host = self.at or self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def host_field(self) -> bytes:
        """The Host line (RFC 9110 section 7.2); a default port is left out."""
        if self.unix:
            return b"Host: localhost\r\n"
        default = 443 if self.tls else 80
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"Host: {name if self.port == default else f'{name}:{self.port}'}\r\n".encode()


class NoTunnel(OSError):
    """A proxy does not let us through."""


async def dial(
    loop: asyncio.AbstractEventLoop,
    names: Names,
    address: Address,
    make: Callable[[], P],
    stagger: float = STAGGER,
) -> P:
    """A new connection. Raises OSError (ssl.SSLError is one), or ValueError for a bad name."""
    if address.unix:
        _, connection = await loop.create_unix_connection(
            make,
            address.unix,
            ssl=address.tls,
            server_hostname="localhost" if address.tls else None,
        )
        return connection
    proxy = address.proxy
    there = (address.at or address.host, address.port)
    host, port = (proxy.host, proxy.port) if proxy else there
    places = await names.places(host, port)
    try:
        sock = await _first(loop, places, stagger)
    except OSError:
        names.doubt(host, port)
        raise
    try:
        if proxy is not None and address.tls is not None:
            await _tunnel(loop, sock, proxy, address)
        _, connection = await loop.create_connection(
            make,
            sock=sock,
            ssl=address.tls,
            server_hostname=address.host if address.tls else None,
        )
    except BaseException:
        sock.close()
        raise
    return connection


async def _first(
    loop: asyncio.AbstractEventLoop, places: list[Place], stagger: float
) -> socket.socket:
    """A socket that is connected to one of the places. Raises the OSError of the first one."""
    if len(places) == 1:
        return await _connected(loop, places[0])
    waiting = list(reversed(places))
    racing: dict[asyncio.Task[socket.socket], None] = {}
    errors: list[BaseException] = []
    try:
        while True:
            if waiting:
                racing[loop.create_task(_connected(loop, waiting.pop()))] = None
            done, _ = await asyncio.wait(
                racing,
                timeout=stagger if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                del racing[task]
                error = task.exception()
                if error is None:
                    for other in done - {task}:
                        racing[other] = None
                    return task.result()
                errors.append(error)
            if not racing and not waiting:
                raise errors[0]
    finally:
        for task in racing:
            task.cancel()
            task.add_done_callback(_close)


def _close(loser: asyncio.Task[socket.socket]) -> None:
    """It may have been connected at the same moment."""
    if not loser.cancelled() and loser.exception() is None:
        loser.result().close()


async def _connected(loop: asyncio.AbstractEventLoop, place: Place) -> socket.socket:
    sock = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, place.address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _tunnel(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, proxy: Proxy, address: Address
) -> None:
    """Have a proxy pass on bytes to the server (RFC 9110 section 9.3.6). Raises NoTunnel."""
    target = address.node.encode()
    ask = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, target, proxy.field)
    await loop.sock_sendall(sock, ask)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = await loop.sock_recv(sock, _ANSWER_MAX)
        answer += piece
        if not piece or len(answer) > _ANSWER_MAX:
            raise NoTunnel(f"the proxy {proxy.node} did not answer CONNECT as HTTP wants it")
    line = answer.partition(b"\r\n")[0].decode("latin-1")
    version, _, status = line.partition(" ")
    if not version.startswith("HTTP/1.") or not status.startswith("2"):
        raise NoTunnel(f"the proxy {proxy.node} refused CONNECT: {line[:100]}")
