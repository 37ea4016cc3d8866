"""One client connection: bytes in, complete requests out to the site, responses back in order.

Runs on the loop; the only code that touches a client's socket. Its law:

- A handler gets complete requests only. Until a request is complete its client costs memory
  within the limits, never a thread.
- Responses leave in the order of the requests. Of several requests that a client sends at once
  (pipelining) one is in hand, the others wait here parsed, and reading stops meanwhile.
- Whatever is ambiguous ends the connection (RFC 9112 section 11.2): both lengths, chunked in
  HTTP/1.0, no or two Host lines. The parser refuses the rest: obs-fold, bare CR or LF, blanks
  before a colon, bad chunk sizes.
- When we refuse a request that is still arriving, we answer, stop reading it as HTTP, and keep
  the socket open for a moment, so that the answer is not lost to a TCP reset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

import httptools

from skitai.request import Request
from skitaid.workers.settings import Limits

from . import reply
from .connections import NEVER, Connections

LINGER = 2.0  # seconds to read on after a refusal; nginx's lingering_timeout is 5
WRITE_HIGH = 256 * 1024  # bytes waiting to be sent at which a stream stops producing
PIPELINE_MAX = 16  # complete requests that wait before reading stops


class Site(Protocol):
    """What answers requests: `dispatch.Dispatcher`."""

    def handle(self, connection: ClientConnection, request: Request) -> None:
        """Answer, now or later, by `respond` or a stream. On the loop."""


class Refusal(Exception):
    """The client's bytes cannot be answered as a request; the connection ends with this."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class ClientConnection(asyncio.Protocol):
    """HTTP/1.1 as a server (RFC 9112)."""

    __slots__ = (
        "_body",
        "_body_size",
        "_connections",
        "_continue_due",
        "_fields",
        "_has_deadline",
        "_head_size",
        "_in_hand",
        "_is_deaf",
        "_is_ending",
        "_is_head_done",
        "_is_receiving",
        "_is_write_paused",
        "_keep_alive",
        "_limits",
        "_loop",
        "_parser",
        "_peer",
        "_queue",
        "_site",
        "_target",
        "_transport",
        "_writable",
        "deadline",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        site: Site,
        connections: Connections,
        limits: Limits,
    ) -> None:
        self._loop = loop
        self._site = site
        self._connections = connections
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request, bool] | Refusal] = deque()
        self._in_hand: Request | None = None
        self._keep_alive = True  # after the request in hand
        self._is_ending = False  # nothing more will be answered: what is queued is the last
        self._is_deaf = False  # what comes in is thrown away
        self._is_write_paused = False
        self._writable: asyncio.Future[None] | None = None
        self._continue_due = False
        self.deadline = NEVER
        self._reset()

    def _reset(self) -> None:
        """Ready for the next request to arrive."""
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_size = 0
        self._head_size = 0
        self._is_receiving = False
        self._is_head_done = False
        self._has_deadline = False  # for the arrival of its header

    # --- what the site uses ---

    @property
    def is_busy(self) -> bool:
        """A request is being received or answered."""
        return self._in_hand is not None or bool(self._queue) or self._is_receiving

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after the request in hand."""
        return self._keep_alive and not self._connections.is_draining

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        return self._transport is not None

    def respond(self, request: Request, data: bytes, keep_alive: bool) -> None:
        """The whole response to `request`, which is in hand; dropped if the client has gone."""
        if self._in_hand is request and self._transport is not None:
            self._transport.write(data)
            self._finished(keep_alive)

    async def send(self, data: bytes) -> None:
        """A piece of a streamed response; waits while the client is slow.

        Raises ConnectionResetError when the client has gone.
        """
        if self._transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        if self._is_write_paused:
            self._writable = self._loop.create_future()
            await self._writable

    def end(self, request: Request, keep_alive: bool) -> None:
        """The streamed response is complete."""
        if self._in_hand is request and self._transport is not None:
            self._finished(keep_alive)

    def abort(self) -> None:
        """Close at once; a response that is not whole must not look whole."""
        if self._transport is not None:
            self._transport.abort()

    # --- what the book of connections uses ---

    def drain(self) -> None:
        """See `connections.Connection`."""
        if not self.is_busy:
            self._close()

    def too_late(self) -> None:
        """See `connections.Connection`."""
        if self._is_deaf or self._is_write_paused:
            self.abort()
        elif self._is_receiving:
            self._refuse(Refusal(408, "The request did not arrive in time."))
        else:
            self._close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._peer = _peer_address(transport)
        self._connections.add(self)
        # A client that connects owes its first request within the header's time.
        self._set_deadline(self._limits.header_timeout)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._queue.clear()
        self._in_hand = None
        self.deadline = NEVER
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(ConnectionResetError("the client has gone"))
        self._connections.remove(self)

    def eof_received(self) -> bool:
        """The client sends no more, but may still wait for its answers (RFC 9112 section 9.6)."""
        if self._is_receiving or not self.is_busy:
            return False  # the transport closes
        self._is_ending = True
        return True

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if not self._is_head_done:
            self._head_size += len(data)
        try:
            self._feed(data)
        except Refusal as refusal:
            self._refuse(refusal)
        except httptools.HttpParserCallbackError as error:
            # A Refusal raised in one of the callbacks below comes wrapped.
            if not isinstance(error.__context__, Refusal):
                raise
            self._refuse(error.__context__)
        except httptools.HttpParserError as error:
            if not self._is_ending:
                self._refuse(Refusal(400, f"This is not a valid HTTP/1.1 request: {error}."))
        else:
            self._watch_arrival()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # We switch to no other protocol, which the client must accept (RFC 9110
                # section 7.8), so what follows is the next request.
                data = data[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self)

    def _watch_arrival(self) -> None:
        """After the parser has eaten what came: is a request on its way, and is it too large?"""
        if not self._is_receiving:
            return
        if self._is_head_done:
            self._set_deadline(self._limits.body_timeout)
            return
        if not self._has_deadline:  # from its first byte on, whatever trickles in after that
            self._has_deadline = True
            self._set_deadline(self._limits.header_timeout)
        if self._head_size > self._limits.request_line + self._limits.header_size:
            self._refuse(Refusal(431, "The request header is too large."))

    def pause_writing(self) -> None:
        self._is_write_paused = True
        self._set_deadline(self._limits.body_timeout)

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self.deadline = NEVER
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- httptools callbacks ---

    def on_message_begin(self) -> None:
        self._is_receiving = True

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > self._limits.request_line:
            raise Refusal(414, "The request line is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_head_done:
            return  # a trailer field; none is known here, and it must not pass for a header
        self._fields.append((name, value))
        if len(self._fields) > self._limits.headers:
            raise Refusal(431, f"More than {self._limits.headers} header fields.")

    def on_headers_complete(self) -> None:
        expected, wants_continue = self._read_framing()
        if self._head_size > self._limits.header_size:
            size = sum(len(name) + len(value) + 4 for name, value in self._fields)
            if size > self._limits.header_size:
                raise Refusal(431, "The request header is too large.")
        if expected > self._limits.body_size:
            raise Refusal(413, f"The body is larger than {self._limits.body_size} bytes.")
        self._is_head_done = True
        if wants_continue:
            self._continue_due = True
            if self._in_hand is None and not self._queue:
                self._send_continue()

    def _read_framing(self) -> tuple[int, bool]:
        """(announced length of the body, whether the client waits for a 100). Raises Refusal."""
        version = self._parser.get_http_version()
        hosts = expected = 0
        wants_continue = False
        for name, value in self._fields:
            lower = name.lower()
            if lower == b"host":
                hosts += 1
            elif lower == b"content-length":
                expected = int(value)
            elif lower == b"expect":
                wants_continue = value.lower() == b"100-continue" and version == "1.1"
            elif lower == b"transfer-encoding" and version != "1.1":
                raise Refusal(400, "Transfer-Encoding is not known in HTTP/1.0.")
        if version not in ("1.1", "1.0"):
            raise Refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise Refusal(400, f"The request has {hosts} Host fields instead of one.")
        return expected, wants_continue

    def on_body(self, piece: bytes) -> None:
        self._body_size += len(piece)
        if self._body_size > self._limits.body_size:
            raise Refusal(413, f"The body is larger than {self._limits.body_size} bytes.")
        self._body.append(piece)

    def on_message_complete(self) -> None:
        parser = self._parser
        request = Request(
            parser.get_method().decode("ascii"),
            self._target,
            self._fields,
            b"".join(self._body),
            parser.get_http_version(),
            self._peer,
        )
        keep_alive = parser.should_keep_alive()
        if not keep_alive:
            self._is_ending = True
        self._continue_due = False
        self._reset()
        self._queue.append((request, keep_alive))
        if self._in_hand is None:
            self._next()
        elif len(self._queue) >= PIPELINE_MAX and self._transport is not None:
            self._transport.pause_reading()

    # --- the queue ---

    def _next(self) -> None:
        """Take the next request in hand, if there is one."""
        while self._queue and self._in_hand is None and self._transport is not None:
            entry = self._queue.popleft()
            self.deadline = NEVER
            if isinstance(entry, Refusal):
                self._send_refusal(entry)
                return
            self._in_hand, self._keep_alive = entry
            self._site.handle(self, self._in_hand)

    def _finished(self, keep_alive: bool) -> None:
        """The response to the request in hand has been written."""
        self._in_hand = None
        if not keep_alive:
            self._close()
            return
        if self._queue:
            assert self._transport is not None
            if len(self._queue) < PIPELINE_MAX:
                self._transport.resume_reading()
            self._loop.call_soon(self._next)  # not from here: long queues would nest deep
        elif self._is_ending or (self._connections.is_draining and not self._is_receiving):
            self._close()
        elif self._continue_due:
            self._send_continue()
        elif not self._is_receiving and not self._is_write_paused:
            self._set_deadline(self._limits.keepalive_timeout)

    def _send_continue(self) -> None:
        self._continue_due = False
        if self._transport is not None:
            self._transport.write(reply.CONTINUE)

    # --- ends ---

    def _refuse(self, refusal: Refusal) -> None:
        """Answer after what is queued, then close; hear nothing more."""
        self._is_deaf = True
        self._is_ending = True
        self._is_receiving = False
        self._queue.append(refusal)
        if self._in_hand is None:
            self._next()

    def _send_refusal(self, refusal: Refusal) -> None:
        assert self._transport is not None
        page = reply.error_page(refusal.status, refusal.detail)
        fields = [("Content-Type", reply.HTML)]
        self._transport.write(reply.whole(refusal.status, fields, page, keep_alive=False))
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._set_deadline(LINGER)
        else:  # TLS has no half-close
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds
        self._connections.watch(self.deadline)


def _peer_address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return ""  # a unix socket
    address: str = peer[0]
    return address.removeprefix("::ffff:")  # IPv4 on a dual-stack listener
