"""One connection to a Valkey or Redis server: commands out, replies in, one after the other.

Runs on the loop. It speaks RESP2, as much of it as plain commands need. Commands are sent as they
come and answered in that order, so one connection serves everybody. Every command ends: with its
reply, or with the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import NamedTuple, cast
from urllib.parse import parse_qs, unquote, urlsplit

PORT = 6379

Answer = bytes | int | None


class Refused(OSError):
    """The server has answered with an error, or with what is no RESP."""


class Place(NamedTuple):
    """Where a server is, and what to say first. hello: commands."""

    host: str
    port: int
    unix: str
    tls: bool
    hello: tuple[tuple[bytes, ...], ...]


def parse_url(url: str) -> Place:
    """A server of `valkey://[user:password@]host[:port][/number]`.

    The scheme may be redis; with an s at its end it is TLS; `unix:///path[?db=number]` is a socket.
    Raises ValueError for anything else.
    """
    parts = urlsplit(url)
    number = parts.path.strip("/")
    if parts.scheme == "unix":
        number = parse_qs(parts.query).get("db", [""])[0]
    elif parts.scheme not in ("valkey", "valkeys", "redis", "rediss") or not parts.hostname:
        raise ValueError("it is not of the form valkey://host:port/number")
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError(f"{number} is not the number of a database")
    hello: list[tuple[bytes, ...]] = []
    if parts.password:
        names = [unquote(parts.username).encode()] if parts.username else []
        hello.append((b"AUTH", *names, unquote(parts.password).encode()))
    if number:
        hello.append((b"SELECT", number.encode()))
    unix = parts.path if parts.scheme == "unix" else ""
    is_tls = parts.scheme in ("valkeys", "rediss")
    return Place(parts.hostname or "", parts.port or PORT, unix, is_tls, tuple(hello))


class Replies:
    """Reads replies from bytes as they come. Pure."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Answer | Refused]:
        """The replies that are whole now; an error is a `Refused`. Raises Refused for no RESP."""
        self._data += data
        found: list[Answer | Refused] = []
        at = 0
        while (end := self._data.find(b"\r\n", at)) >= 0:
            kind, line = self._data[at : at + 1], bytes(self._data[at + 1 : end])
            after = end + 2
            answer: Answer | Refused = line
            if kind == b"-":
                answer = Refused(line.decode("utf-8", "replace"))
            elif kind == b":":
                answer = _number(line)
            elif kind == b"$":
                length = _number(line)
                if length < 0:
                    answer = None
                elif len(self._data) < after + length + 2:
                    break
                else:
                    answer = bytes(self._data[after : after + length])
                    after += length + 2
            elif kind != b"+":
                raise Refused(f"it has sent {bytes(self._data[at:end])[:40]!r}, which is no RESP")
            found.append(answer)
            at = after
        del self._data[:at]
        return found


class RespConnection(asyncio.Protocol):
    """A connection, once it is made."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._replies = Replies()
        self._waiting: deque[asyncio.Future[Answer]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, *words: bytes) -> asyncio.Future[Answer]:
        """Send a command. The future fails with OSError: `Refused`, or the connection broke."""
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            reply.set_exception(ConnectionResetError("the connection is closed"))
            return reply
        self._waiting.append(reply)
        pieces = [b"*%d\r\n" % len(words)]
        pieces += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
        self._transport.write(b"".join(pieces))
        return reply

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._replies.feed(data)
            if len(replies) > len(self._waiting):
                raise Refused("it has answered what nobody asked")
        except Refused as error:
            self._fail(error)
            self.abort()
            return
        for reply in replies:
            waiting = self._waiting.popleft()
            if waiting.done():  # whoever asked has given up
                continue
            if isinstance(reply, Refused):
                waiting.set_exception(reply)
            else:
                waiting.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(error or ConnectionResetError("it has closed the connection"))

    def _fail(self, error: Exception) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error)
        self._waiting.clear()


async def connect(place: Place) -> RespConnection:
    """A connection that has said hello. Raises OSError."""
    loop = asyncio.get_running_loop()
    if place.unix:
        _, connection = await loop.create_unix_connection(RespConnection, place.unix)
    else:
        tls = ssl.create_default_context() if place.tls else None
        _, connection = await loop.create_connection(
            RespConnection, place.host, place.port, ssl=tls
        )
    try:
        for reply in [connection.ask(*words) for words in place.hello]:
            await reply
    except BaseException:
        connection.abort()
        raise
    return connection


def _number(line: bytes) -> int:
    try:
        return int(line)
    except ValueError:
        raise Refused(f"it has sent {line[:40]!r} for a number") from None
