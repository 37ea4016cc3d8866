"""One outgoing connection: bytes of one request out, one response in, again and again.

Runs on the loop. It knows no pool and no cluster: it tells its `Exchange` what came, and its
keeper when it is free or gone. At most one exchange is on it at a time. What a peer sends is
held in memory until it is whole, so there are limits to all of it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from skitaid.workers.settings import ClientLimits

HEADER_MAX = 256 * 1024  # bytes of a response header, interim responses before it included

# Header fields that are looked at here are known by the lengths of their names, so that all
# others cost one comparison.
_CONTENT_LENGTH = len("content-length")
_KEEP_ALIVE = len("keep-alive")


class Exchange(Protocol):
    """Whoever has the connection now."""

    def responded(self, code: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole response is here. The connection has been given back already."""

    def broke(self, reason: str, had_bytes: bool, *, is_silent: bool = False) -> None:
        """The connection failed before the response was whole.

        reason: what the member did, to be put behind its name. had_bytes: some of the response
        had come. is_silent: it did nothing at all, for as long as one may.
        """


class Keeper(Protocol):
    """Whoever keeps the connection when no exchange has it."""

    def freed(self, connection: HttpConnection) -> None:
        """The response is complete and the connection can be used again."""

    def gone(self, connection: HttpConnection) -> None:
        """The connection is closed."""


class HttpConnection(asyncio.Protocol):
    """An HTTP/1.1 client connection (RFC 9112)."""

    __slots__ = (
        "_body",
        "_code",
        "_complaint",
        "_drain",
        "_exchange",
        "_expects_body",
        "_fields",
        "_has_surplus",
        "_heard_at",
        "_in_body",
        "_is_done",
        "_is_sending",
        "_keeper",
        "_limits",
        "_loop",
        "_may_stay",
        "_parser",
        "_silence",
        "_size",
        "_transport",
        "good_until",
        "keepalive",
        "uses",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, keeper: Keeper, limits: ClientLimits
    ) -> None:
        self._loop = loop
        self._keeper = keeper
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._drain: asyncio.Future[None] | None = None  # there while writing is paused
        self._silence: asyncio.TimerHandle | None = None
        self._heard_at = 0.0  # loop time; kept only if there is a read_timeout
        self.good_until = 0.0  # monotonic; while it is idle, see `ConnectionKeeper`
        self.keepalive: float | None = None  # seconds the peer says it waits for the next request
        self.uses = 0  # requests sent on it
        self._parser = httptools.HttpResponseParser(self)
        # Of the exchange. Those without a value are set by `start`.
        self._expects_body: bool
        self._fields: list[tuple[bytes, bytes]]
        self._body: list[bytes]
        self._size: int  # bytes that have come
        self._in_body: bool  # the header of the final response is complete
        self._is_done: bool  # the response is whole
        self._complaint: str  # why no more of the response is wanted
        self._is_sending = False  # not all of the request's body has been written
        self._code = 0  # of the final response, and so the next one
        self._may_stay = False  # it says that the connection stays open
        self._has_surplus = False  # more came behind the response, so this was the last one

    # --- the request ---

    def start(
        self, exchange: Exchange, data: bytes, expects_body: bool, has_more: bool = False
    ) -> None:
        """Send a request; the exchange will hear of its response or of the connection's end.

        has_more: its body follows by `send`.
        """
        assert self._exchange is None and self._transport is not None
        self._exchange = exchange
        self._expects_body = expects_body
        self._fields = []
        self._body = []
        self._size = 0
        self._in_body = self._is_done = False
        self._complaint = ""
        self._is_sending = has_more
        self.uses += 1
        self._transport.write(data)
        if self._limits.read_timeout:
            self._heard_at = self._loop.time()
            self._listen(self._limits.read_timeout)

    def send(self, piece: bytes, is_last: bool) -> None:
        """More of the request's body."""
        assert self._transport is not None
        self._heard_at = self._loop.time()  # the peer has taken what was sent before
        self._is_sending = not is_last
        self._transport.write(piece)

    async def drained(self) -> None:
        """Return when the peer has taken enough for more to be sent, or is gone."""
        if self._drain is not None:
            await asyncio.shield(self._drain)

    def abort(self) -> None:
        """Close at once; the exchange, if any, hears nothing more."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def cut(self, reason: str) -> None:
        """Close at once; the exchange, if any, hears why, and does not try another connection."""
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is not None:
            exchange.broke(reason, had_bytes=True)  # else it could be a stale one

    @property
    def is_closing(self) -> bool:
        """Whether it cannot be used any more."""
        return self._transport is None or self._transport.is_closing()

    @property
    def has_bytes(self) -> bool:
        """Whether anything of the response has come."""
        return self._size > 0

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._drain = self._loop.create_future()

    def resume_writing(self) -> None:
        drain, self._drain = self._drain, None
        if drain is not None:
            drain.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # nobody asked: a notice of a timeout, or worse
            self.abort()
            return
        self._size += len(data)
        if self._silence is not None:
            self._heard_at = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._is_done:
                self._break(_complaint(error))
                return
            self._has_surplus = True
        # Only now, with all of `data` parsed, may the connection go to somebody else: bytes
        # behind the response must never count as the answer to the next request.
        if self._is_done:
            self._complete()
        elif self._complaint:
            self._break(self._complaint)
        elif self._size > HEADER_MAX:
            if not self._in_body:
                self._break(f"sent a response header of more than {HEADER_MAX} bytes")
            elif self._size > self._limits.response_size:
                self._break(f"sent more than {self._limits.response_size} bytes")

    def connection_lost(self, error: Exception | None) -> None:
        exchange, self._exchange = self._exchange, None
        self._transport = None
        self._stop_listening()
        self.resume_writing()
        if exchange is not None and self._ends_with_connection(error):
            exchange.responded(self._code, self._fields, b"".join(self._body))
        elif exchange is not None:
            when = "in the middle of its answer" if self._size else "before it answered"
            what = f": {error}" if error else ""
            exchange.broke(f"closed the connection {when}{what}", self._size > 0)
        self._keeper.gone(self)

    def _ends_with_connection(self, error: Exception | None) -> bool:
        # RFC 9112 section 6.3, rule 8: neither length nor chunks, so the end is the end.
        return error is None and self._in_body and not _is_framed(self._fields)

    # --- httptools callbacks ---

    def on_message_begin(self) -> None:
        if self._is_done:
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:  # surplus, or trailers: no header fields (RFC 9110 section 6.5.1)
            return
        self._fields.append((name, value))
        length = len(name)
        if length == _CONTENT_LENGTH:
            if len(value) > 6 and name.lower() == b"content-length":
                self._announced(value)
        elif length == _KEEP_ALIVE and name.lower() == b"keep-alive":
            self.keepalive = _keepalive(value)

    def on_headers_complete(self) -> None:
        code = self._parser.get_status_code()
        if code < 200 or self._is_done:
            return
        self._code = code
        # Asked here, since at the end of a message the parser forgets its header.
        self._may_stay = self._parser.should_keep_alive()
        self._in_body = True
        if not self._expects_body:
            self._is_done = True

    def on_body(self, piece: bytes) -> None:
        if self._is_done:
            self._has_surplus = True
        else:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        if self._in_body:
            self._is_done = True
        else:  # an interim response, RFC 9110 section 15.2
            self._fields.clear()

    def _announced(self, length: bytes) -> None:
        if length.isdigit() and int(length) > self._limits.response_size:
            most = self._limits.response_size
            self._complaint = f"announced a body of {int(length)} bytes, and {most} are taken"

    # --- silence ---

    def _listen(self, seconds: float) -> None:
        self._silence = self._loop.call_later(seconds, self._hear)

    def _hear(self) -> None:
        left = self._heard_at + self._limits.read_timeout - self._loop.time()
        if left > 0.0:
            self._listen(left)
        else:
            self._silence = None
            what = f"was silent for {self._limits.read_timeout:g} s"
            self._break(what, is_silent=True)

    def _stop_listening(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    # --- ends ---

    def _complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if self._silence is not None:
            self._stop_listening()
        code, fields, body = self._code, self._fields, self._body
        # Who answers before it has heard all of a body may yet read the rest as a request.
        reusable = self._may_stay and not (self._has_surplus or self._is_sending)
        if not self._expects_body:
            # The parser does not know that this was a HEAD and would wait for a body.
            self._parser = httptools.HttpResponseParser(self)
        if reusable and not self.is_closing:
            self._keeper.freed(self)
        else:
            self.abort()
        exchange.responded(code, fields, body[0] if len(body) == 1 else b"".join(body))

    def _break(self, reason: str, is_silent: bool = False) -> None:
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is not None:
            exchange.broke(reason, self._size > 0, is_silent=is_silent)


def _complaint(error: Exception) -> str:
    if isinstance(error, httptools.HttpParserUpgrade):
        return "wants to switch protocols"
    return f"sent something that is not HTTP: {error}"


def _is_framed(fields: list[tuple[bytes, bytes]]) -> bool:
    """Whether a body says where it ends."""
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-length":
            return True
        if lower == b"transfer-encoding" and b"chunked" in value.lower():
            return True
    return False


def _keepalive(value: bytes) -> float | None:
    """Seconds of `Keep-Alive: timeout=5`; None if it does not say."""
    for part in value.split(b","):
        name, _, seconds = part.partition(b"=")
        if name.strip().lower() == b"timeout" and seconds.strip().isdigit():
            return float(seconds)
    return None
