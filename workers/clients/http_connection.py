"""One outgoing connection: bytes of one request out, one response in, again and again.

Runs on the loop. It knows no pool and no cluster: it tells its `Exchange` what came, and its
keeper when it is free or gone. At most one exchange is on it at a time.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

RESPONSE_MAX = 64 * 1024 * 1024  # bytes of a response; more is refused: it is held in memory
HEADER_MAX = 256 * 1024  # bytes of a response header, interim responses before it included


class Exchange(Protocol):
    """Whoever has the connection now."""

    def responded(self, code: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole response is here. The connection has been given back already."""

    def broke(self, reason: str, had_bytes: bool) -> None:
        """The connection failed before the response was whole.

        reason: what the member did, to be put behind its name. had_bytes: some of the response
        had come.
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
        "_exchange",
        "_expects_body",
        "_fields",
        "_has_framing",
        "_has_surplus",
        "_in_body",
        "_is_done",
        "_keeper",
        "_may_stay",
        "_parser",
        "_size",
        "_transport",
        "idle_since",
        "keepalive",
        "uses",
    )

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self.idle_since = 0.0  # monotonic
        self.keepalive: float | None = None  # seconds the peer says it waits for the next request
        self.uses = 0  # requests sent on it
        self._parser = httptools.HttpResponseParser(self)
        self._reset(expects_body=True)

    def _reset(self, expects_body: bool) -> None:
        self._expects_body = expects_body
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._code = 0  # of the final response, once its header is complete
        self._size = 0  # bytes that have come
        self._in_body = False  # the header of the final response is complete
        self._has_framing = False
        self._may_stay = False  # the response says that the connection stays open
        self._is_done = False  # the response is whole
        self._has_surplus = False  # and more came behind it, which nobody asked for

    def start(self, exchange: Exchange, data: bytes, expects_body: bool) -> None:
        """Send a request; the exchange will hear of its response or of the connection's end."""
        assert self._exchange is None and self._transport is not None
        self._reset(expects_body)
        self._exchange = exchange
        self.uses += 1
        self._transport.write(data)

    def abort(self) -> None:
        """Close at once; the exchange, if any, hears nothing more."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_closing(self) -> bool:
        """Whether it cannot be used any more."""
        return self._transport is None or self._transport.is_closing()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # nobody asked: a notice of a timeout, or worse
            self.abort()
            return
        self._size += len(data)
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
        elif self._size > HEADER_MAX:
            if not self._in_body:
                self._break(f"sent a response header of more than {HEADER_MAX} bytes")
            elif self._size > RESPONSE_MAX:
                self._break(f"sent more than {RESPONSE_MAX} bytes")

    def connection_lost(self, error: Exception | None) -> None:
        exchange, self._exchange = self._exchange, None
        self._transport = None
        if exchange is not None and self._ends_with_connection(error):
            exchange.responded(self._code, self._fields, b"".join(self._body))
        elif exchange is not None:
            when = "in the middle of its answer" if self._size else "before it answered"
            what = f": {error}" if error else ""
            exchange.broke(f"closed the connection {when}{what}", self._size > 0)
        self._keeper.gone(self)

    def _ends_with_connection(self, error: Exception | None) -> bool:
        # RFC 9112 section 6.3, rule 8: neither length nor chunks, so the end is the end.
        return error is None and self._in_body and not self._has_framing

    # --- httptools callbacks ---

    def on_message_begin(self) -> None:
        if self._is_done:
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # Later ones are surplus, or trailers: those are not header fields (RFC 9110 section 6.5.1).
        if not self._in_body:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        code = self._parser.get_status_code()
        if code < 200 or self._is_done:
            return
        self._code = code
        # Asked here, since at the end of a message the parser forgets its header.
        self._may_stay = self._parser.should_keep_alive()
        for name, value in self._fields:
            lower = name.lower()
            if lower == b"content-length":
                self._has_framing = True
            elif lower == b"transfer-encoding":
                self._has_framing = b"chunked" in value.lower()
            elif lower == b"keep-alive":
                self.keepalive = _keepalive(value)
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

    # --- ends ---

    def _complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        code, fields, body = self._code, self._fields, self._body
        reusable = self._may_stay and not self._has_surplus
        if not self._expects_body:
            # The parser does not know that this was a HEAD and would wait for a body.
            self._parser = httptools.HttpResponseParser(self)
        if reusable and not self.is_closing:
            self._keeper.freed(self)
        else:
            self.abort()
        exchange.responded(code, fields, body[0] if len(body) == 1 else b"".join(body))

    def _break(self, reason: str) -> None:
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is not None:
            exchange.broke(reason, True)


def _complaint(error: Exception) -> str:
    if isinstance(error, httptools.HttpParserUpgrade):
        return "wants to switch protocols"
    return f"sent something that is not HTTP: {error}"


def _keepalive(value: bytes) -> float | None:
    """Seconds of `Keep-Alive: timeout=5`; None if it does not say."""
    for part in value.split(b","):
        name, _, seconds = part.partition(b"=")
        if name.strip().lower() == b"timeout" and seconds.strip().isdigit():
            return float(seconds)
    return None
