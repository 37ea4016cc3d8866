"""One client connection: bytes in, complete requests out to the site, responses back in order.

Runs on the loop; the only code that touches a client's socket. Its law:

- A handler gets complete requests only. Until a request is complete its client costs memory
  within the limits, never a thread.
- Responses leave in the order of the requests. Of several requests that a client sends at once
  (pipelining) one is in hand, the others wait here parsed, and reading stops meanwhile.
- The next of them is not taken in hand before the client has read enough of what it was sent.
- Whatever is ambiguous ends the connection (RFC 9112 section 11.2): chunked in HTTP/1.0, other
  transfer codings, no or two Host lines. The parser refuses the rest: both lengths, obs-fold,
  bare CR or LF, blanks before a colon, bad chunk sizes.
- When we refuse a request that is still arriving, we answer, stop reading it as HTTP, and keep
  the socket open for a moment, so that the answer is not lost to a TCP reset.
- There is one deadline, for what the client owes now: to read, if it does not; else the rest of
  what has begun to arrive; else, when nothing of it is in hand, the next request. While a handler
  runs and nothing else arrives, the client owes nothing.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol, cast

import httptools

from skitai.pages import error_page
from skitai.request import Request
from skitai.response import Response
from skitai.serialize import HTML
from skitaid.workers.logs.access_log import GONE
from skitaid.workers.settings import Limits

from . import reply, upgrade
from .connections import NEVER, Connections
from .framing import Refusal
from .framing import read as read_framing

LINGER = 2.0  # seconds to read on after a refusal; nginx's lingering_timeout is 5
WRITE_HIGH = 256 * 1024  # bytes waiting to be sent at which a stream stops producing
PIPELINE_MAX = 16  # complete requests that wait before reading stops; one with a body does too
QUIET = 1.0  # seconds without a word after which an idle client is sent home when we leave
FRESH = 1.0  # seconds for a first request that may be on its way when the worker leaves
# Bytes that may come for each byte of a chunked body: chunks of one byte take 6. A guess; without
# any limit, chunk extensions and trailers would be a way to send for ever.
FRAMING_MAX = 16


class Site(Protocol):
    """What answers requests: `dispatch.Dispatcher`."""

    def handle(self, connection: ClientConnection, request: Request) -> None:
        """Answer, now or later, by `respond` or a stream. On the loop."""


class ClientConnection(asyncio.Protocol):
    """HTTP/1.1 as a server (RFC 9112)."""

    __slots__ = (
        "_access_log",
        "_began",
        "_body",
        "_body_since",
        "_body_size",
        "_connections",
        "_continue_due",
        "_fields",
        "_has_deadline",
        "_header_max",
        "_in_hand",
        "_is_body_apart",
        "_is_deaf",
        "_is_ending",
        "_is_head_done",
        "_is_read_paused",
        "_is_receiving",
        "_is_write_paused",
        "_keep_alive",
        "_limits",
        "_loop",
        "_may_go_on",
        "_parser",
        "_peer",
        "_queue",
        "_sent",
        "_sent_id",
        "_site",
        "_size",
        "_status",
        "_target",
        "_transport",
        "_unsent",
        "_writable",
        "deadline",
        "when_left",
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
        self._access_log = connections.access_log
        self._sent = 0  # bytes of a streamed response so far
        self._status = GONE  # of it
        self._limits = limits
        # Bytes of a header that still arrives. It is over the limit at the latest at its end;
        # until then some of the bytes counted may be those of a request before it.
        self._header_max = limits.request_line + 2 * limits.header_size
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request, bool] | Refusal] = deque()
        self._in_hand: Request | None = None
        self._keep_alive = True  # after the request in hand
        self._is_ending = False  # nothing more will be answered: what is queued is the last
        self._is_deaf = False  # what comes in is thrown away
        self._may_go_on = True  # the next request may be taken in hand when this one is done
        self._is_read_paused = False
        self._is_write_paused = False
        self._unsent = 0  # bytes that waited for the client to read when it was last looked at
        self._writable: asyncio.Future[None] | None = None
        self._continue_due = False
        self._is_body_apart = False  # see `upgrade`: the message is complete for the parser only
        self.deadline = NEVER
        # For a stream: called when the client has gone (True), or says that it sends no more.
        self.when_left: Callable[[bool], None] | None = None
        self._reset()
        # None until the first request begins: what a client of ours may have sent already.
        self._is_receiving: bool | None = None

    def _reset(self) -> None:
        """Ready for the next request to arrive."""
        self._target = b""
        self._began = 0.0
        self._sent_id = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_size = 0
        self._body_since = 0.0  # when we began to wait for the rest of its body; 0.0 not yet
        self._size = 0  # bytes that came since it began, without those behind another request
        self._is_receiving = False
        self._is_head_done = False
        self._has_deadline = False  # for the arrival of its header

    # --- what the site uses ---

    @property
    def is_busy(self) -> bool:
        """A request is being received or answered."""
        return self._in_hand is not None or bool(self._queue) or bool(self._is_receiving)

    @property
    def in_hand(self) -> Request | None:
        """The request that is being answered. From any thread."""
        return self._in_hand

    @property
    def is_streaming(self) -> bool:
        """See `connections.Connection`."""
        return bool(self._sent)

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after the request in hand."""
        return self._keep_alive and not self._connections.is_draining

    def respond(self, request: Request, data: bytes, keep_alive: bool) -> None:
        """The whole response to `request`, which is in hand; dropped if the client has gone."""
        if self._in_hand is request and self._transport is not None:
            self._transport.write(data)
            if self._access_log is not None:
                self._access_log.note(request, data[9:12], len(data))
            self._finished(keep_alive)

    async def send(self, data: bytes) -> None:
        """A piece of a streamed response; waits while the client is slow.

        Raises ConnectionResetError when the client has gone.
        """
        if self._transport is None:
            raise ConnectionResetError("the client has gone")
        if not self._sent:
            self._status = data[9:12]
        self._sent += len(data)
        self._transport.write(data)
        if self._is_write_paused:
            self._writable = self._loop.create_future()
            await self._writable

    def interim(self, response: Response, data: bytes) -> None:
        """See `skitai.response.Channel`. From any thread."""
        self._loop.call_soon_threadsafe(self._send_interim, response, data)

    def _send_interim(self, response: Response, data: bytes) -> None:
        request = self._in_hand
        if self._transport is None or request is None or self._sent:
            return
        if request.answered_with is response:
            self._transport.write(data)

    def end(self, request: Request, keep_alive: bool) -> None:
        """The streamed response is complete."""
        if self._in_hand is request and self._transport is not None:
            self._note_stream(request)
            self._finished(keep_alive)

    def _note_stream(self, request: Request) -> None:
        """A streamed response is over, whole or not."""
        if self._access_log is not None:
            self._access_log.note(request, self._status, self._sent)
        self._sent, self._status = 0, GONE

    def abort(self) -> None:
        """Close at once; a response that is not whole must not look whole."""
        if self._transport is not None:
            self._transport.abort()

    # --- what the book of connections uses ---

    def drain(self) -> None:
        """See `connections.Connection`."""
        if self._is_receiving is None:
            self._set_deadline(FRESH)
        elif not self.is_busy:
            self._close_when_quiet()

    def too_late(self) -> None:
        """See `connections.Connection`."""
        if self._is_write_paused or self._is_deaf:
            if self._is_read_on():
                self._set_deadline(self._limits.body_timeout)
            else:
                self.abort()
        elif self._is_receiving:
            self._refuse(Refusal(408, "The request did not arrive in time."))
        else:
            self._close_when_quiet()

    def _close_when_quiet(self) -> None:
        """Close an idle connection, but not just when its next request may be on its way.

        A client that has just been answered is likely to ask again at once, and would have to
        guess whether we have seen its request. If it does ask, it is told that this was the
        last one.
        """
        assert self._transport is not None
        quiet_since = self.deadline - self._limits.keepalive_timeout
        wait = quiet_since + QUIET - self._loop.time()
        if wait > 0.0:
            self.deadline = self._loop.time() + wait
            self._connections.watch(self.deadline)
        elif not _has_bytes(self._transport):
            self._close()

    def _is_read_on(self) -> bool:
        """Whether the client has read since it was last looked at, and has more to read."""
        assert self._transport is not None
        before, self._unsent = self._unsent, self._transport.get_write_buffer_size()
        return 0 < self._unsent < before

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._peer = _peer_address(transport)
        self._connections.add(self)
        # A client that connects owes its first request within the header's time.
        is_leaving = self._connections.is_draining
        self._set_deadline(FRESH if is_leaving else self._limits.header_timeout)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        del self._parser  # it holds our callbacks: the cycle would wait for the collector
        self._queue.clear()
        if self._in_hand is not None:
            self._note_stream(self._in_hand)
            self._in_hand = None
            self._connections.ended()
        if self.when_left is not None:
            self.when_left(True)
        self.deadline = NEVER
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(ConnectionResetError("the client has gone"))
        self._connections.remove(self)

    def eof_received(self) -> bool:
        """The client sends no more, but may still wait for its answers (RFC 9112 section 9.6)."""
        assert self._transport is not None
        if self._in_hand is None and not self._queue:
            return False  # the transport closes
        if self.when_left is not None:
            self.when_left(False)
        self._is_receiving = False  # what has begun to arrive never will
        self._is_ending = True
        self._rearm()
        return self._transport.can_write_eof()  # TLS closes in any case, and warns about a True

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._size += len(data)
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as wish:
                self._feed_after_upgrade(data[wish.args[0] :])
        except httptools.HttpParserCallbackError as error:
            # A Refusal raised in one of the callbacks below comes wrapped.
            if not isinstance(error.__context__, Refusal):
                raise
            self._refuse(error.__context__)
        except httptools.HttpParserError as error:
            if not self._is_ending:
                self._refuse(Refusal(400, f"This is not a valid HTTP/1.1 request: {error}."))
        else:
            if self._is_receiving:
                self._watch_arrival(len(data))

    def _feed_after_upgrade(self, data: bytes) -> None:
        # We switch to no other protocol, which the client must accept (RFC 9110 section 7.8),
        # so what follows is the body, if there is one, or the next request.
        while True:
            if self._is_body_apart:
                self._is_body_apart = False
                self._parser = upgrade.parser_of_body(self._parser, self._fields, self)
            else:
                self._parser = httptools.HttpRequestParser(self)
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as wish:
                data = data[wish.args[0] :]

    def _watch_arrival(self, size: int) -> None:
        """The parser has eaten `size` bytes and wants more: is it too late, is it too much?"""
        if self._is_deaf:  # closed by the answer to a request before it
            self._reset()
        elif self._is_head_done:
            self._watch_body()
        else:
            if not self._has_deadline:  # from its first byte on, whatever trickles in after that
                self._has_deadline = True
                if not self._size:  # it began behind another: no more is known than this
                    self._size = min(size, self._limits.header_size)
                self._rearm()
            if self._size > self._header_max:
                self._refuse(Refusal(431, "The request header is too large."))

    def _watch_body(self) -> None:
        if self._size > FRAMING_MAX * self._body_size + self._header_max:
            self._refuse(Refusal(400, "The body has far more framing than content."))
        elif self._is_timed():
            now = since = self._loop.time()
            limits = self._limits
            if self._body_since:
                since = min(now, self._body_since + self._body_size / limits.body_rate)
            else:
                self._body_since = now
            self.deadline = since + limits.body_timeout
            self._connections.watch(self.deadline)

    def _is_timed(self) -> bool:
        """Whether the client owes the rest of a request: not while it is we who make it wait."""
        if self._is_write_paused or self._is_read_paused or self._continue_due:
            return False
        return bool(self._is_receiving)

    def _rearm(self) -> None:
        """What the client owes has changed: it has the whole time for it from now on."""
        if self._is_write_paused:
            return  # it owes us to read
        if self._is_timed():
            self._body_since = 0.0
            limits = self._limits
            self._set_deadline(limits.body_timeout if self._is_head_done else limits.header_timeout)
        elif self._in_hand is not None or self._queue:
            self.deadline = NEVER
        elif not self._is_deaf:
            self._set_deadline(self._limits.keepalive_timeout)

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._is_write_paused = True
        self._may_go_on = False
        self._unsent = self._transport.get_write_buffer_size()
        self._set_deadline(self._limits.body_timeout)

    def resume_writing(self) -> None:
        assert self._transport is not None
        self._is_write_paused = False
        self._may_go_on = not self._transport.is_closing()
        self._rearm()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        if self._queue:
            self._loop.call_soon(self._next)

    # --- httptools callbacks ---

    def on_message_begin(self) -> None:
        self._is_receiving = True
        self._began = monotonic()

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
        framing = read_framing(self._fields, self._parser.get_http_version())
        self._sent_id = framing.sent_id
        if not 0 < self._size <= self._limits.header_size:  # 0: it came behind another
            size = sum(len(name) + len(value) + 4 for name, value in self._fields)
            if size > self._limits.header_size:
                raise Refusal(431, "The request header is too large.")
        if framing.length > self._limits.body_size:
            raise Refusal(413, f"The body is larger than {self._limits.body_size} bytes.")
        self._is_head_done = True
        if framing.length or framing.is_chunked:
            self._is_body_apart = self._parser.should_upgrade()
        if framing.wants_continue:
            self._continue_due = True
            if self._in_hand is None and not self._queue:
                self._send_continue()

    def on_body(self, piece: bytes) -> None:
        self._continue_due = False  # the client has not waited for it
        self._body_size += len(piece)
        if self._body_size > self._limits.body_size:
            raise Refusal(413, f"The body is larger than {self._limits.body_size} bytes.")
        self._body.append(piece)

    def on_message_complete(self) -> None:
        if self._is_body_apart:
            return
        parser = self._parser
        request = Request(
            parser.get_method().decode("ascii"),
            self._target,
            self._fields,
            b"".join(self._body),
            parser.get_http_version(),
            self._peer,
            self._began,
            self._sent_id,
        )
        keep_alive = parser.should_keep_alive()
        if not keep_alive:
            self._is_ending = True
        self._continue_due = False
        self._reset()
        if self._in_hand is None and self._may_go_on and not self._queue:
            self.deadline = NEVER
            self._in_hand = request
            self._keep_alive = keep_alive
            self._connections.began()
            self._site.handle(self, request)
        elif not self._is_deaf:
            self._enqueue(request, keep_alive)

    # --- the queue ---

    def _enqueue(self, request: Request, keep_alive: bool) -> None:
        """Keep a complete request until those before it are answered: `_next` is to come."""
        assert self._transport is not None
        self._queue.append((request, keep_alive))
        if request.body or len(self._queue) >= PIPELINE_MAX:
            self._is_read_paused = True
            self._transport.pause_reading()
        self._rearm()

    def _next(self) -> None:
        """Take the next request in hand, if there is one and it may."""
        if not self._queue or self._in_hand is not None or not self._may_go_on:
            return
        entry = self._queue.popleft()
        if isinstance(entry, Refusal):
            self._send_refusal(entry)
            return
        self._in_hand, self._keep_alive = entry
        self._connections.began()
        if not self._is_receiving:
            self.deadline = NEVER
        self._site.handle(self, self._in_hand)

    def _finished(self, keep_alive: bool) -> None:
        """The response to the request in hand has been written."""
        self._in_hand = None
        self._connections.ended()
        if not keep_alive:
            self._close()
            return
        if self._queue:
            if self._is_read_paused and len(self._queue) < PIPELINE_MAX:
                self._read_on()
            self._loop.call_soon(self._next)  # not from here: long queues would nest deep
        elif self._is_ending:
            self._close()
        elif self._continue_due:
            self._send_continue()
        elif not self._is_receiving and not self._is_write_paused:
            # An answer that promised to stay may have crossed with the order to leave.
            is_leaving = self._connections.is_draining
            self._set_deadline(QUIET if is_leaving else self._limits.keepalive_timeout)

    def _read_on(self) -> None:
        assert self._transport is not None
        self._is_read_paused = False
        self._transport.resume_reading()
        self._rearm()

    def _send_continue(self) -> None:
        assert self._transport is not None
        self._continue_due = False
        self._transport.write(reply.CONTINUE)
        self._rearm()

    # --- ends ---

    def _refuse(self, refusal: Refusal) -> None:
        """Answer after what is queued, then close; hear nothing more."""
        if self._is_deaf:
            return  # closed meanwhile
        self._reset()
        self._is_deaf = True
        self._is_ending = True
        self._queue.append(refusal)
        self._rearm()
        if self._in_hand is None:
            self._next()

    def _send_refusal(self, refusal: Refusal) -> None:
        assert self._transport is not None
        self._may_go_on = False
        page = error_page(refusal.status, refusal.detail)
        fields = [("Content-Type", HTML)]
        data = reply.whole(refusal.status, fields, page, keep_alive=False)
        self._transport.write(data)
        if self._access_log is not None:
            self._access_log.refused(self._peer, refusal.status, len(data))
        if self._transport.can_write_eof():  # TLS has no half-close
            self._transport.write_eof()
        self._unsent = self._transport.get_write_buffer_size()
        self._set_deadline(LINGER)

    def _close(self) -> None:
        """Send what is written, then close; whoever does not read it is cut off in the end."""
        if self._transport is None:
            return
        self._is_deaf = True
        self._is_ending = True
        self._may_go_on = False
        self._queue.clear()
        self._unsent = self._transport.get_write_buffer_size()
        self._transport.close()
        self.deadline = NEVER
        if self._unsent:
            self._set_deadline(self._limits.body_timeout)

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds
        self._connections.watch(self.deadline)


def _has_bytes(transport: asyncio.BaseTransport) -> bool:
    """Whether something has arrived that the loop has not seen yet; its end counts too."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


def _peer_address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return ""  # a unix socket
    address: str = peer[0]
    return address.removeprefix("::ffff:")  # IPv4 on a dual-stack listener
