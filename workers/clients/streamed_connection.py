"""One outgoing connection whose responses are passed on as they come: that of the reverse proxy.

Runs on the loop. Beside `HttpConnection`, which holds a response until it is whole and tells its
exchange once: a proxy wants each read as soon as it is here, interim responses, trailers, another
protocol, and to stop reading. Both are kept by a `ConnectionKeeper`. Its law:

- Of a response it holds what has come with one read, no more. The receiver is called once for each
  read, however many pieces the parser has cut it into.
- When the response is whole the connection goes back to its keeper first, then the receiver hears
  of it.
- Bytes behind a response never count as the answer to the next request.
- A member is silent only while it is its turn: not while nobody takes what it has sent, nor while
  it waits for more of the request.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from skitaid.workers.settings import ClientLimits

HEADER_MAX = 256 * 1024  # bytes of a response header, interim responses before it included
BODILESS = frozenset({204, 304})  # RFC 9110 section 6.4.1

_KEEP_ALIVE = len("keep-alive")
_TRANSFER_ENCODING = len("transfer-encoding")

Fields = list[tuple[bytes, bytes]]


class Answer:
    """The header of a final response. trailers: those behind its body, when it is whole."""

    __slots__ = ("code", "fields", "reason", "trailers")

    def __init__(self, code: int, reason: bytes, fields: Fields) -> None:
        self.code = code
        self.reason = reason
        self.fields = fields
        self.trailers: Fields = []


class Receiver(Protocol):
    """Whoever has the connection now."""

    def interim(self, code: int, reason: bytes, fields: Fields) -> None:
        """An interim response, 101 excepted (RFC 9110 section 15.2)."""

    def received(self, answer: Answer, pieces: list[bytes], is_whole: bool) -> None:
        """More of the final response; with the first call its header is complete.

        pieces: of the body, none with the first call if it has not begun. is_whole: that is all,
        and the connection is somebody else's.
        """

    def switched(self, answer: Answer, transport: asyncio.Transport, rest: bytes) -> None:
        """The answer is 101: the connection speaks another protocol and is the receiver's.

        rest: what came behind the answer.
        """

    def broke(self, reason: str, had_bytes: bool, is_silent: bool) -> None:
        """See `http_connection.Exchange`."""

    def slow(self, is_slow: bool) -> None:
        """The member takes no more of the body for now, or takes it again."""


class Keeper(Protocol):
    """See `http_connection.Keeper`."""

    def freed(self, connection: StreamedConnection) -> None:
        """It can be used again."""

    def gone(self, connection: StreamedConnection) -> None:
        """It is closed."""


class StreamedConnection(asyncio.Protocol):
    """An HTTP/1.1 client connection (RFC 9112)."""

    __slots__ = (
        "_answer",
        "_expects_body",
        "_fields",
        "_has_begun",
        "_has_surplus",
        "_heard_at",
        "_is_read_paused",
        "_is_sending",
        "_is_whole",
        "_keeper",
        "_limits",
        "_loop",
        "_may_stay",
        "_may_switch",
        "_needs_new_parser",
        "_parser",
        "_pieces",
        "_reason",
        "_receiver",
        "_silence",
        "_size",
        "_transport",
        "_waits",
        "good_until",
        "is_slow",
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
        self._receiver: Receiver | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._heard_at = 0.0  # loop time
        self.good_until = 0.0  # monotonic; while it is idle, see `ConnectionKeeper`
        self.keepalive: float | None = None  # seconds the member says it waits for a request
        self.uses = 0  # requests sent on it
        self._parser = httptools.HttpResponseParser(self)
        self.is_slow = False  # it takes no more for now
        self._is_read_paused = False
        self._may_stay = False
        self._has_surplus = False  # more came behind a response, so it was the last one
        self._pieces: list[bytes] = []
        # Of the request in hand, set by `start`.
        self._answer: Answer | None  # there when its header is complete
        self._reason: bytes
        self._fields: Fields
        self._may_switch: bool  # it asks for another protocol
        self._expects_body: bool
        self._is_sending: bool  # more of it is to come
        self._waits: bool  # and the member is to speak first
        self._has_begun: bool  # and the receiver knows
        self._is_whole: bool
        self._needs_new_parser: bool
        self._size: int  # bytes that have come, up to the end of the header

    # --- the request ---

    def start(
        self,
        receiver: Receiver,
        data: bytes,
        expects_body: bool,
        *,
        has_more: bool = False,
        waits: bool = False,
        may_switch: bool = False,
    ) -> None:
        """Send a request.

        has_more: its body follows by `send`. waits: but not before the member has spoken
        (RFC 9110 section 10.1.1). may_switch: it asks for another protocol.
        """
        assert self._receiver is None and self._transport is not None
        self._receiver = receiver
        self._answer = None
        self._reason = b""
        self._fields = []
        self._expects_body = expects_body
        self._is_sending = has_more
        self._waits = waits
        self._may_switch = may_switch
        self._has_begun = self._is_whole = self._needs_new_parser = False
        self._size = 0
        self.uses += 1
        self._transport.write(data)
        if self._limits.read_timeout:
            self._heard_at = self._loop.time()
            if self._silence is None:
                self._silence = self._loop.call_later(self._limits.read_timeout, self._hear)

    def send(self, data: bytes, is_last: bool) -> None:
        """More of the request's body."""
        assert self._transport is not None
        self._heard_at = self._loop.time()
        self._is_sending = not is_last
        self._waits = False
        if data:
            self._transport.write(data)

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._is_read_paused:
            self._is_read_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and self._is_read_paused:
            self._is_read_paused = False
            self._heard_at = self._loop.time()
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once; the receiver, if any, hears nothing more."""
        self._receiver = None
        if self._transport is not None:
            self._transport.abort()

    def cut(self, reason: str) -> None:
        """Close at once; the receiver, if any, hears why, and does not try another connection."""
        receiver, self._receiver = self._receiver, None
        self.abort()
        if receiver is not None:
            receiver.broke(reason, True, False)

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
        self.is_slow = True
        if self._receiver is not None:
            self._receiver.slow(True)

    def resume_writing(self) -> None:
        self.is_slow = False
        self._heard_at = self._loop.time()
        if self._receiver is not None:
            self._receiver.slow(False)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:  # nobody asked: a notice of a timeout, or worse
            self.abort()
            return
        self._heard_at = self._loop.time()
        if self._answer is None:
            self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as wish:
            if not self._is_whole:
                self._switch(data[wish.args[0] :])
                return
            self._has_surplus = True
        except httptools.HttpParserError as error:
            if not self._is_whole:
                self._break(f"sent something that is not HTTP: {error.__context__ or error}")
                return
            self._has_surplus = True
        # Only now, with all of `data` parsed, may the connection go to somebody else.
        answer = self._answer
        if answer is None:
            if self._size > HEADER_MAX:
                self._break(f"sent a response header of more than {HEADER_MAX} bytes")
        elif self._is_whole:
            self._complete(receiver, answer)
        else:
            pieces = self._pieces
            if pieces or not self._has_begun:
                self._has_begun = True
                self._pieces = []
                receiver.received(answer, pieces, False)

    def connection_lost(self, error: Exception | None) -> None:
        receiver, self._receiver = self._receiver, None
        self._transport = None
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        # The keeper holds it no longer when the receiver may ask for another one.
        self._keeper.gone(self)
        if receiver is None:
            return
        answer = self._answer
        if error is None and answer is not None and not is_framed(answer.fields):
            # RFC 9112 section 6.3, rule 8: neither length nor chunks, so the end is the end.
            receiver.received(answer, [], True)
        else:
            when = "in the middle of its answer" if self._size else "before it answered"
            what = f": {error}" if error else ""
            receiver.broke(f"closed the connection {when}{what}", self._size > 0, False)

    # --- httptools callbacks ---

    def on_message_begin(self) -> None:
        if self._is_whole:
            self._has_surplus = True

    def on_status(self, reason: bytes) -> None:
        if self._answer is None:
            self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer is not None:
            if not self._is_whole:
                self._answer.trailers.append((name, value))
            return
        self._fields.append((name, value))
        length = len(name)
        if length == _KEEP_ALIVE and name.lower() == b"keep-alive":
            self.keepalive = _keepalive(value)
        elif length == _TRANSFER_ENCODING and _is_coded(name, value):
            # Whoever gets it without this field would take the coded body for the body.
            raise ValueError("a transfer coding that was not asked for")

    def on_headers_complete(self) -> None:
        code = self._parser.get_status_code()
        if (code < 200 and code != 101) or self._is_whole:
            return
        self._answer = Answer(code, self._reason, self._fields)
        # Asked here, since at the end of a message the parser forgets its header.
        self._may_stay = self._parser.should_keep_alive()
        if not self._expects_body or code in BODILESS:
            # The parser does not know of the HEAD, and believes the length of a 304.
            self._is_whole = self._needs_new_parser = code != 101

    def on_body(self, piece: bytes) -> None:
        if self._is_whole:
            self._has_surplus = True
        else:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._answer is not None:
            self._is_whole = self._answer.code != 101
        elif self._receiver is not None:
            fields, self._fields = self._fields, []
            reason, self._reason = self._reason, b""
            self._receiver.interim(self._parser.get_status_code(), reason, fields)

    # --- silence ---

    def _hear(self) -> None:
        """The one timer of a connection: it is not set anew for each request or read."""
        self._silence = None
        if self._receiver is None:
            return
        now = self._loop.time()
        if self._is_read_paused or (self._is_sending and not (self.is_slow or self._waits)):
            self._heard_at = now
        left = self._heard_at + self._limits.read_timeout - now
        if left > 0.0:
            self._silence = self._loop.call_later(left, self._hear)
        else:
            self._break(f"was silent for {self._limits.read_timeout:g} s", is_silent=True)

    # --- ends ---

    def _complete(self, receiver: Receiver, answer: Answer) -> None:
        self._receiver = None
        # Who answers before it has heard all of a body may yet read the rest as a request.
        reusable = self._may_stay and not (self._has_surplus or self._is_sending)
        pieces = self._pieces
        if pieces:
            self._pieces = []
        if self._needs_new_parser:
            self._parser = httptools.HttpResponseParser(self)
        if self._is_read_paused:
            self.resume()
        if reusable and not self.is_closing:
            self._keeper.freed(self)
        else:
            self.abort()
        receiver.received(answer, pieces, True)

    def _switch(self, rest: bytes) -> None:
        receiver, transport, answer = self._receiver, self._transport, self._answer
        assert receiver is not None and transport is not None
        if answer is None or not self._may_switch:
            self._break("switched to another protocol unasked")
            return
        self._receiver = self._transport = None
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        self._keeper.gone(self)
        receiver.switched(answer, transport, rest)

    def _break(self, reason: str, is_silent: bool = False) -> None:
        receiver, self._receiver = self._receiver, None
        if self._transport is not None:
            self._transport.abort()
        if receiver is not None:
            receiver.broke(reason, self._size > 0, is_silent)


def is_framed(fields: Fields) -> bool:
    """Whether a body says where it ends."""
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-length":
            return True
        if lower == b"transfer-encoding" and b"chunked" in value.lower():
            return True
    return False


def _is_coded(name: bytes, value: bytes) -> bool:
    return name.lower() == b"transfer-encoding" and value.strip(b" \t").lower() != b"chunked"


def _keepalive(value: bytes) -> float | None:
    """Seconds of `Keep-Alive: timeout=5`; None if it does not say."""
    for part in value.split(b","):
        name, _, seconds = part.partition(b"=")
        if name.strip().lower() == b"timeout" and seconds.strip().isdigit():
            return float(seconds)
    return None
