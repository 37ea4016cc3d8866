"""One client connection: bytes in, complete requests out to the site, responses back in order.

Runs on the loop; the only code that touches a client's socket. Its law:

- A handler gets complete requests only. Until a request is complete its client costs memory
  (and disk, for an upload) within the limits, never a handler thread.
- A request that is passed on to a member is the exception: it is taken in hand with its header,
  and its body goes through `Request.incoming` as it comes. Whoever answers it is `passing`, and
  hears of the client's pace and end. A response that begins before the body is here is the last.
- A transport that was given away (`switch`) is not touched any more, but to abort it.
- Responses leave in the order of the requests. Of several requests that a client sends at once
  (pipelining) one is in hand, the others wait here parsed, and reading stops meanwhile. One whose
  body is still being stored waits here too, and those behind it.
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
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol, cast

import httptools

from skitai.caller import Caller
from skitai.pages import error_page
from skitai.request import Request
from skitai.response import Response
from skitai.serialize import HTML
from skitaid.workers.logs.access_log import GONE
from skitaid.workers.settings import Limits

from . import reply, tls, waiting
from .arrival import Arrival
from .body import BodySink, ChooseSink
from .connections import NEVER, Connections
from .forwarded import NOBODY, Proxies
from .framing import Refusal
from .sockets import close_by_reset, has_bytes, peer_address
from .waiting import Queue, Waiting

LINGER = 2.0  # seconds to read on after a refusal; nginx's lingering_timeout is 5
WRITE_HIGH = 256 * 1024  # bytes waiting to be sent at which a stream stops producing
PIPELINE_MAX = 16  # complete requests that wait before reading stops; one with a body does too
QUIET = 1.0  # seconds without a word after which an idle client is sent home when we leave
FRESH = 1.0  # seconds for a first request that may be on its way when the worker leaves


class Site(Protocol):
    """What answers requests: `dispatch.Dispatcher`."""

    @property
    def takes_connect(self) -> bool:
        """Whether a tunnel can be asked for."""

    def handle(self, connection: ClientConnection, request: Request) -> None:
        """Answer, now or later, by `respond` or a stream. On the loop."""


class Passer(Protocol):
    """A proxy's call that answers the request in hand."""

    def client_left(self, is_lost: bool) -> None:
        """The client has gone (True), or says that it sends no more."""

    def client_slow(self, is_slow: bool) -> None:
        """More than enough waits for the client to read, or little enough again."""


class ClientConnection(asyncio.Protocol):
    """HTTP/1.1 as a server (RFC 9112)."""

    __slots__ = (
        "_arrival",
        "_choose_sink",
        "_connections",
        "_head",
        "_held",
        "_hsts",
        "_in_hand",
        "_is_body_held",
        "_is_deaf",
        "_is_ending",
        "_is_queue_full",
        "_is_read_paused",
        "_is_write_paused",
        "_keep_alive",
        "_limits",
        "_loop",
        "_may_go_on",
        "_peer",
        "_proxies",
        "_queue",
        "_sent",
        "_site",
        "_tally",
        "_transport",
        "_unsent",
        "_was_queued",
        "_writable",
        "deadline",
        "has_ended",
        "passed_before",
        "passing",
        "when_draining",
        "when_left",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        site: Site,
        connections: Connections,
        limits: Limits,
        choose_sink: ChooseSink,
        proxies: Proxies = NOBODY,
        hsts: bytes = b"",
        client: str = "",
    ) -> None:
        """hsts: a header line for all responses, b"" for none (RFC 6797). client: the address that
        a PROXY header has named, "" for none.
        """
        self._loop = loop
        self._site = site
        self._connections = connections
        self._tally = connections.tally
        self._sent = 0  # bytes of a streamed response so far
        self._head = GONE  # of it
        self._limits = limits
        self._choose_sink = choose_sink
        self._proxies = proxies
        self._hsts = hsts
        self._transport: asyncio.Transport | None = None
        self._peer = client
        self._queue: Queue = deque()
        self._in_hand: Request | None = None
        self._was_queued = False  # the request in hand came behind others
        self._held: bytes | None = None  # what came behind one that asks for another protocol
        self._keep_alive = True  # after the request in hand
        self._is_ending = False  # nothing more will be answered: what is queued is the last
        self._is_deaf = False  # what comes in is thrown away
        self.has_ended = False  # the client sends no more
        self._may_go_on = True  # the next request may be taken in hand when this one is done
        self._is_queue_full = False
        self._is_body_held = False  # by its sink
        self._is_read_paused = False  # because of one of these
        self._is_write_paused = False
        self._unsent = 0  # bytes that waited for the client to read when it was last looked at
        self._writable: asyncio.Future[None] | None = None
        self.deadline = NEVER
        # For a stream: called when the client has gone (True), or says that it sends no more.
        self.when_left: Callable[[bool], None] | None = None
        # For a stream that has no end: called when the worker retires.
        self.when_draining: Callable[[], None] | None = None
        # Of a proxy: what has become of the header of the last request.
        self.passed_before: object = None
        # The one that `write`s and ends the response; it takes itself off when it has.
        self.passing: Passer | None = None

    # --- what the site uses ---

    @property
    def is_busy(self) -> bool:
        """A request is being received or answered."""
        return self._in_hand is not None or bool(self._queue) or bool(self._arrival.is_receiving)

    @property
    def in_hand(self) -> Request | None:
        """The request that is being answered. From any thread."""
        return self._in_hand

    @property
    def is_streaming(self) -> bool:
        """See `connections.Connection`."""
        return self._sent > 0 or self.passing is not None

    @property
    def is_draining(self) -> bool:
        """Whether the worker retires."""
        return self._connections.is_draining

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after the request in hand.

        Not if its response begins before its body has come: that may never be all of it.
        """
        if not self._keep_alive or self._connections.is_draining:
            return False
        request = self._in_hand
        return request is None or request.incoming is None or request.incoming.is_whole

    @property
    def takes_connect(self) -> bool:
        """Whether a tunnel can be asked for."""
        return self._site.takes_connect

    @property
    def peer(self) -> str:
        """The address at the other end, whoever that speaks for; "" on a unix socket."""
        return self._peer

    def respond(self, request: Request, data: bytes, keep_alive: bool) -> None:
        """The whole response to `request`, which is in hand; dropped if the client has gone."""
        if self._in_hand is request and self._transport is not None:
            if self._hsts:
                data = self._with_hsts(data)
            self._transport.write(data)
            self._tally.ended(request, data, len(data))
            self._finished(keep_alive)
        elif request.upload is not None:
            request.upload.discard()  # its handler has ended later than its connection

    async def send(self, data: bytes | bytearray) -> None:
        """A piece of a streamed response; waits while the client is slow.

        Raises ConnectionResetError when the client has gone.
        """
        if self._transport is None:
            raise ConnectionResetError("the client has gone")
        if not self._sent:
            self._head = bytes(data[:12])
            if self._hsts:
                data = self._with_hsts(data)
        self._sent += len(data)
        self._transport.write(data)
        if self._is_write_paused:
            self._writable = self._loop.create_future()
            await self._writable

    @property
    def is_peer_trusted(self) -> bool:
        """Whether what the other end says of whom it speaks for is believed."""
        return self._arrival.is_caller_trusted

    def write(self, data: bytes) -> None:
        """A piece of a streamed response; `Passer.client_slow` tells when not to."""
        if self._transport is not None:
            if not self._sent:
                self._head = data[:12]
                if self._in_hand is not None:
                    self._in_hand.returned = monotonic()
                if self._hsts:
                    data = self._with_hsts(data)
            self._sent += len(data)
            self._transport.write(data)

    def pass_interim(self, code: int, data: bytes) -> None:
        """An interim response of a member."""
        if self._transport is not None and not self._sent:
            self._transport.write(data)
            if code == 100 and self._arrival.continue_due:
                self._arrival.continue_due = False
                self._rearm()

    def drop(self, request: Request) -> None:
        """There will be no response to `request`, which is in hand, nor to those behind it: the
        client would take theirs for its.
        """
        if self._in_hand is request:
            waiting.clear(self._queue)
            self._in_hand = self.passing = None
            self._note_stream(request)
            self._connections.ended()

    def hold_for_upgrade(self) -> bool:
        """Whether what the client sends can be kept until the request in hand is answered.

        Only if nothing behind it was read as another request.
        """
        if self._was_queued or not self._arrival.parser.should_upgrade():
            return False
        self._held = b""
        self._check_reading()
        return True

    def switch(self, head: bytes) -> tuple[asyncio.Transport, bytes]:
        """Answer with `head`, and give away the transport, with what the client has sent since.

        `switched_off` is to be called when that is closed.
        """
        assert self._transport is not None and self._held is not None
        self.write(head)
        held, self._held = self._held, None
        self.deadline = NEVER
        return self._transport, held

    def switched_off(self, sent: int) -> None:
        """The transport is closed, after so many bytes of the other protocol."""
        self._sent += sent
        self.passing = None
        self.connection_lost(None)

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

    def _with_hsts(self, data: bytes | bytearray) -> bytes:
        """Here, since nobody above knows whether a response goes out by TLS."""
        line, end, rest = bytes(data).partition(b"\r\n")
        return b"".join((line, end, self._hsts, rest))

    def _note_stream(self, request: Request) -> None:
        """A streamed response is over, whole or not."""
        self._tally.ended(request, self._head, self._sent)
        self._sent, self._head = 0, GONE

    def abort(self) -> None:
        """Close at once; a response that is not whole must not look whole."""
        if self._transport is not None:
            if self._sent:
                close_by_reset(self._transport)
            self._transport.abort()

    # --- what the book of connections uses ---

    def drain(self) -> None:
        """See `connections.Connection`."""
        if self.when_draining is not None:
            self.when_draining()
        elif self._arrival.is_receiving is None:
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
        elif self._arrival.is_receiving:
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
        elif not has_bytes(self._transport):
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
        self._peer = self._peer or peer_address(transport)
        proxies = self._proxies.speaking(self._peer)
        is_trusted = proxies is not None
        if transport.get_extra_info("sslcontext") is None:
            caller = Caller(self._peer, "http", is_trusted=is_trusted)
        else:
            shown = tls.client_certificate(transport)
            caller = Caller(self._peer, "https", is_trusted=is_trusted, certificate=shown)
        self._arrival = Arrival(self, caller, proxies, self._limits, self._choose_sink)
        self._connections.add(self)
        # A client that connects owes its first request within the header's time.
        is_leaving = self._connections.is_draining
        self._set_deadline(FRESH if is_leaving else self._limits.header_timeout)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self.passing is not None:
            self.passing.client_left(True)
        self._arrival.close()
        waiting.clear(self._queue)
        request, self._in_hand = self._in_hand, None
        if request is not None:
            self._note_stream(request)
            self._connections.ended()
            if request.errand is not None:
                request.errand.client_left()
        if self.when_left is not None:
            self.when_left(True)
        self.deadline = NEVER
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(ConnectionResetError("the client has gone"))
        # It holds the frames that have awaited it, and so the piece they send and us: such a
        # circle would wait for the collector.
        self._writable = None
        self._connections.remove(self)

    def eof_received(self) -> bool:
        """The client sends no more, but may still wait for its answers (RFC 9112 section 9.6)."""
        assert self._transport is not None
        if self._in_hand is None and not self._queue:
            return False  # the transport closes
        if self.when_left is not None:
            self.when_left(False)
        if self.passing is not None:
            self.passing.client_left(False)
        self.has_ended = True
        if self._in_hand is not None and self._in_hand.errand is not None:
            self._in_hand.errand.client_left()
        self._arrival.give_up()
        waiting.cut_unfinished(self._queue)
        self._is_ending = True
        if self._in_hand is None and not self._queue:
            return False
        self._rearm()
        return self._transport.can_write_eof()  # TLS closes in any case, and warns about a True

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        arrival = self._arrival
        arrival.size += len(data)
        try:
            try:
                arrival.parser.feed_data(data)
            except httptools.HttpParserUpgrade as wish:
                if self._held is None:
                    arrival.feed_after_upgrade(data[wish.args[0] :])
                else:
                    self._held = data[wish.args[0] :]
        except httptools.HttpParserCallbackError as error:
            # A Refusal raised in a callback comes wrapped.
            if not isinstance(error.__context__, Refusal):
                raise
            self._refuse(error.__context__)
        except httptools.HttpParserError as error:
            if not self._is_ending:
                self._refuse(Refusal(400, f"This is not a valid HTTP/1.1 request: {error}."))
        else:
            if arrival.is_receiving:
                self._watch_arrival(len(data))

    def _watch_arrival(self, size: int) -> None:
        """The parser has eaten `size` bytes and wants more: is it too late, is it too much?"""
        arrival = self._arrival
        if self._is_deaf:  # closed by the answer to a request before it
            arrival.give_up()
            return
        if not arrival.is_head_done and not arrival.has_deadline:
            # From its first byte on, whatever trickles in after that.
            arrival.has_deadline = True
            if not arrival.size:  # it began behind another: no more is known than this
                arrival.size = min(size, self._limits.header_size)
            self._rearm()
        excess = arrival.excess()
        if excess is not None:
            self._refuse(excess)
        elif arrival.is_head_done:
            arrival.pass_on()
            if self._is_timed():
                self._watch_body()

    def _watch_body(self) -> None:
        self.deadline = self._arrival.body_deadline(self._loop.time())
        self._connections.watch(self.deadline)

    def _is_timed(self) -> bool:
        """Whether the client owes the rest of a request: not while it is we who make it wait."""
        if self._is_write_paused or self._is_read_paused or self._arrival.continue_due:
            return False
        return bool(self._arrival.is_receiving)

    def _rearm(self) -> None:
        """What the client owes has changed: it has the whole time for it from now on."""
        if self._is_write_paused:
            return  # it owes us to read
        if self._is_timed():
            self._set_deadline(self._arrival.time_from_now())
        elif self._in_hand is not None or self._queue or self._is_body_held:
            self.deadline = NEVER
        elif not self._is_deaf:
            self._set_deadline(self._limits.keepalive_timeout)

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._is_write_paused = True
        self._may_go_on = False
        self._unsent = self._transport.get_write_buffer_size()
        self._set_deadline(self._limits.body_timeout)
        if self.passing is not None:
            self.passing.client_slow(True)

    def resume_writing(self) -> None:
        assert self._transport is not None
        self._is_write_paused = False
        self._may_go_on = not self._transport.is_closing()
        self._rearm()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        if self.passing is not None:
            self.passing.client_slow(False)
        if self._queue:
            self._loop.call_soon(self._next)

    # --- what arrives: arrival.Owner ---

    def wants_continue(self) -> None:
        if self._in_hand is None and not self._queue:
            self._send_continue()

    def arrived(self, request: Request, keep_alive: bool, sink: BodySink | None) -> None:
        if not keep_alive:
            self._is_ending = True
        if sink is None and self._in_hand is None and self._may_go_on and not self._queue:
            self.deadline = NEVER
            self._in_hand = request
            self._was_queued = False
            self._keep_alive = keep_alive
            self._connections.began()
            self._site.handle(self, request)
        elif not self._is_deaf:
            self._enqueue(Waiting(request, keep_alive, sink))
        elif sink is not None:
            sink.abandon()

    def begun(self, request: Request, keep_alive: bool) -> None:
        if self._in_hand is None and self._may_go_on and not self._queue:
            self._in_hand = request
            self._keep_alive = keep_alive
            self._connections.began()
            self._site.handle(self, request)
        else:
            self._enqueue(Waiting(request, keep_alive, None))

    def passed_on(self, keep_alive: bool) -> None:
        if not keep_alive:
            self._is_ending = True
        self._rearm()

    def hold_body(self) -> None:
        self._is_body_held = True
        self._check_reading()

    def release_body(self) -> None:
        self._is_body_held = False
        if self._transport is not None:  # else the client has gone, and is read no more
            self._check_reading()

    def body_stored(self, sink: BodySink) -> None:
        waiting.complete(self._queue, sink)
        self._next()

    def body_refused(self, sink: BodySink, refusal: Refusal) -> None:
        waiting.cut(self._queue, sink)
        self._end_with(refusal)

    # --- the queue ---

    def _enqueue(self, entry: Waiting) -> None:
        """Keep a request until those before it are answered: `_next` is to come."""
        self._queue.append(entry)
        request = entry.request
        has_body = entry.sink is not None or request.body or request.incoming is not None
        if has_body or len(self._queue) >= PIPELINE_MAX:
            self._is_queue_full = True
        self._check_reading()

    def _next(self) -> None:
        """Take the next request in hand, if there is one and it may."""
        if self._in_hand is not None or not self._may_go_on:
            return
        entry = waiting.take(self._queue)
        if isinstance(entry, Refusal):
            self._send_refusal(entry)
        elif entry is not None:
            self._in_hand, self._keep_alive = entry.request, entry.keep_alive
            self._was_queued = True
            entry.request.taken = monotonic()
            self._connections.began()
            if self._is_queue_full and len(self._queue) < PIPELINE_MAX:
                self._is_queue_full = False
                self._check_reading()
            elif not self._arrival.is_receiving:
                self.deadline = NEVER
            self._site.handle(self, entry.request)

    def _finished(self, keep_alive: bool) -> None:
        """The response to the request in hand has been written."""
        request, self._in_hand = self._in_hand, None
        self._connections.ended()
        assert request is not None
        if request.upload is not None and not request.is_given_up:  # else its handler still runs
            request.upload.discard()
        if self._held is not None:
            self._go_on_after_upgrade()
        if request.incoming is not None:
            request.incoming.leave()  # whoever has answered may not have taken it
        if request.incoming is not None and not request.incoming.is_whole:
            self._linger()
        elif not keep_alive:
            self._close()
        elif self._queue:
            self._loop.call_soon(self._next)  # not from here: long queues would nest deep
        elif self._is_ending:
            self._close()
        elif self._arrival.continue_due:
            self._send_continue()
        elif not self._arrival.is_receiving and not self._is_write_paused:
            # An answer that promised to stay may have crossed with the order to leave.
            is_leaving = self._connections.is_draining
            self._set_deadline(QUIET if is_leaving else self._limits.keepalive_timeout)

    def _check_reading(self) -> None:
        """Read on, unless too much waits: requests for their turn, or a body for its sink."""
        assert self._transport is not None
        too_much = self._is_queue_full or self._is_body_held or self._held is not None
        if too_much is not self._is_read_paused:
            self._is_read_paused = too_much
            if too_much:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        self._rearm()

    def _send_continue(self) -> None:
        assert self._transport is not None
        self._arrival.continue_due = False
        self._transport.write(reply.CONTINUE)
        self._rearm()

    # --- ends ---

    def _refuse(self, refusal: Refusal) -> None:
        """Answer after what is queued, then close; hear nothing more."""
        if not self._is_deaf:  # closed meanwhile
            self._end_with(refusal)

    def _end_with(self, refusal: Refusal) -> None:
        self._arrival.give_up()
        waiting.cut_unfinished(self._queue)
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
        if self._hsts:
            data = self._with_hsts(data)
        self._transport.write(data)
        self._tally.refused(self._peer, refusal.status, len(data))
        self._linger()

    def _linger(self) -> None:
        """Close, but not while what the client still sends would have its answer reset."""
        if self._transport is None:
            return
        self._is_deaf = True
        self._is_ending = True
        self._may_go_on = False
        self._arrival.give_up()
        waiting.clear(self._queue)
        if self._transport.can_write_eof():  # TLS has no half-close
            self._transport.write_eof()
        self._is_queue_full = self._is_body_held = False  # what comes is thrown away
        self._check_reading()
        self._unsent = self._transport.get_write_buffer_size()
        self._set_deadline(LINGER)

    def _go_on_after_upgrade(self) -> None:
        """The other protocol was not agreed on: what came since is HTTP."""
        self._arrival.go_on_after_upgrade()
        if self._held:
            self._loop.call_soon(self._read_held)  # reading stays paused: nothing may overtake it
        else:
            self._held = None
            self._check_reading()

    def _read_held(self) -> None:
        held, self._held = self._held, None
        if held is not None and self._transport is not None:
            self.data_received(held)  # nothing if it was closed meanwhile
            if not self._transport.is_closing():
                self._check_reading()

    def _close(self) -> None:
        """Send what is written, then close; whoever does not read it is cut off in the end."""
        if self._transport is None:
            return
        self._is_deaf = True
        self._is_ending = True
        self._may_go_on = False
        self._arrival.give_up()
        waiting.clear(self._queue)
        self._unsent = self._transport.get_write_buffer_size()
        self._transport.close()
        self.deadline = NEVER
        if self._unsent:
            self._set_deadline(self._limits.body_timeout)

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds
        self._connections.watch(self.deadline)
