"""One request on its way to a member, and the response on its way back.

Runs on the loop, without a task: whatever comes from either side is passed on in the callback that
brings it. Its law:

- Nothing is read from one side that the other does not take: a slow client pauses the member's
  connection, a slow member the client's.
- Another member is asked only if nothing of the request was sent, or it is idempotent and its body
  can be sent from the beginning; never when the response has begun.
- What a member answers is passed on, errors too. Pages of ours are 502 (it broke off, or spoke no
  HTTP), 503 (none could be reached) and 504 (it was silent).
- A response that cannot be whole any more ends with the connection, and does not look whole.
- Each `asked` of a member's book is followed by exactly one of the others.
- When it is over it holds nobody, and nobody holds it.
"""

from __future__ import annotations

import asyncio
import random
import time

from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML
from skitaid.workers.clients.cluster import ClusterMember
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.clients.streamed_connection import Answer, Fields, StreamedConnection

from . import answers, proxy_fields, proxy_response
from .connection import ClientConnection
from .proxy_body import PassedBody
from .proxy_cache import Kept
from .proxy_caching import Turn
from .proxy_passed import Passed
from .proxy_upstream import Upstream
from .tunnel import Tunnel

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})  # RFC 9110, 9.2.2

_BAD = "The server that was to answer this request broke off."
_NONE = "No server can be reached that could answer this request."
_LATE = "The server that was to answer this request has not done so in time."


class ProxyCall:
    """Answers the request in hand of `client`."""

    __slots__ = (
        "_body",
        "_client",
        "_elapsed",
        "_framing",
        "_head",
        "_is_begun",
        "_is_over",
        "_is_probe",
        "_is_repeatable",
        "_keeper",
        "_link",
        "_member",
        "_passed",
        "_repeated",
        "_request",
        "_start",
        "_timer",
        "_tried",
        "_tunnel",
        "_upstream",
        "turn",
    )

    def __init__(
        self,
        upstream: Upstream,
        client: ClientConnection,
        request: Request,
        start: bytes,
        passed: Passed,
        body: PassedBody | None,
        turn: Turn | None = None,
    ) -> None:
        """start: the request line, and the lines that are this request's alone.

        turn: a cache that looks on.
        """
        self.turn = turn
        self._upstream = upstream
        self._client = client
        self._request = request
        self._start = start
        self._passed = passed
        self._body = body
        self._is_repeatable = request.method in IDEMPOTENT
        self._tried: tuple[ClusterMember, ...] = ()
        self._member: ClusterMember
        self._keeper: ConnectionKeeper[StreamedConnection]
        self._link: StreamedConnection | None = None  # to the member
        self._head: proxy_response.Head | None = None  # of the response, when it has begun
        self._framing = b""  # of the request's body, when that has begun
        self._elapsed = 0.0  # seconds until the response began, if it was not whole then
        self._is_probe = False
        self._repeated = False
        self._is_begun = False
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._tunnel: Tunnel | None = None

    def start(self) -> None:
        """Ask a member."""
        now = time.monotonic()
        self._client.passing = self
        if self._body is not None:
            self._body.give_to(self)  # it may break off before there is a connection
        self._upstream.cluster.budget.asked(now)
        member = self._upstream.choose(self._request, now, ())
        if member is None:
            self._fail(503, self._upstream.cluster.why_nobody())
            return
        self._ask(member, now)

    def _ask(self, member: ClusterMember, now: float) -> None:
        self._member = member
        self._tried += (member,)
        self._request.member = member.node.encode()
        self._request.asked = now
        self._is_probe = member.asked(now)
        self._keeper = self._upstream.keeper(member)
        self._want()

    def _want(self) -> None:
        self._keeper.want(self)
        if self._link is None and not self._is_over and self._timer is None:
            patience = self._upstream.rules.timeout
            if patience:
                self._timer = self._upstream.loop.call_later(patience, self._waited_in_vain)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- keeper.Waiter ---

    def connected(self, connection: StreamedConnection) -> None:
        self._link = connection
        if self._timer is not None:
            self._stop_timer()
        passed, body = self._passed, self._body
        host = passed.host or self._keeper.host_field
        is_head = self._request.method == "HEAD"
        if body is None:
            data = b"".join((self._start, host, passed.lines, b"\r\n"))
            connection.start(self, data, not is_head, may_switch=bool(passed.upgrade))
            return
        if not self._framing:
            self._framing = body.framing()
        content = body.take()
        data = b"".join((self._start, host, passed.lines, self._framing, b"\r\n", content))
        has_more = not body.is_taken
        connection.start(
            self, data, not is_head, has_more=has_more, waits=has_more and body.wants_continue
        )

    def not_connected(self, reason: str) -> None:
        self._stop_timer()
        now = time.monotonic()
        elapsed = now - self._request.asked
        self._member.failed(self._is_probe, now, random.random(), reason, elapsed)
        self._ask_another(503, reason, now)

    def _waited_in_vain(self) -> None:
        self._timer = None
        self._keeper.forget(self)
        now = time.monotonic()
        reason = f"no connection to {self._member.node} was free in time"
        self._member.cancelled(self._is_probe, now - self._request.asked, now)
        self._ask_another(503, reason, now)

    # --- proxy_body.Taker ---

    def body_came(self) -> None:
        link, body = self._link, self._body
        assert body is not None
        if link is not None and not link.is_slow:
            link.send(body.take(), is_last=body.is_taken)

    def body_broke(self) -> None:
        self._give_up()
        self._send_away()

    def _send_away(self) -> None:
        if self._is_begun:
            self._client.abort()
        else:
            self._client.drop(self._request)

    # --- connection.Passer ---

    def client_left(self, is_lost: bool) -> None:
        if self._tunnel is not None:
            return
        head = self._head
        if not is_lost and head is not None and not (head.is_chunked or head.is_open):
            return  # it waits for the rest of what it was promised
        self._give_up()
        if not is_lost:
            self._send_away()

    def client_slow(self, is_slow: bool) -> None:
        if is_slow and self.turn is not None:
            self.turn.release()
        if self._link is not None:
            if is_slow:
                self._link.pause()
            else:
                self._link.resume()

    # --- streamed_connection.Receiver ---

    def slow(self, is_slow: bool) -> None:
        if not is_slow and self._body is not None and not self._body.is_taken:
            self.body_came()

    def interim(self, code: int, reason: bytes, fields: Fields) -> None:
        if self._request.version == "1.1":
            self._client.pass_interim(code, proxy_fields.interim(code, reason, fields))

    def received(self, answer: Answer, pieces: list[bytes], is_whole: bool) -> None:
        head, turn = self._head, self.turn
        client, request = self._client, self._request
        if turn is not None:
            if head is None:
                kept = turn.answered(answer.code, answer.reason, answer.fields, self._called())
                if kept is not None:
                    self._give(kept, turn, is_whole)
                    return
            turn.more(pieces, is_whole)
        if head is not None:
            data = head.framed(pieces, answer.trailers if is_whole else None)
        else:
            self._head = head = self._response(answer, pieces, is_whole)
            data = head.data
            if not is_whole:
                self._begin()
        if not is_whole:
            if data:
                client.write(data)
            return
        self._link = None
        self._answered()
        client.passing = None
        if turn is not None:
            turn.over()
        if self._body is not None:
            self._body.leave()
        if not self._is_begun:
            client.respond(request, data, head.keep_alive)
        else:
            if data:
                client.write(data)
            client.end(request, head.keep_alive)

    def switched(self, answer: Answer, transport: asyncio.Transport, rest: bytes) -> None:
        self._link = None
        self._is_begun = True
        head = proxy_response.switching(answer, self._passed.upgrade)
        near, early = self._client.switch(head)
        now = time.monotonic()
        self._member.answered(now - self._request.asked, now)
        self._member.load.in_flight += 1  # as long as the tunnel
        self._tunnel = Tunnel(
            self._upstream.loop,
            near,
            transport,
            idle_timeout=self._upstream.rules.tunnel_timeout,
            ended=self._tunnel_ended,
            to_near=rest,
            to_far=early,
        )

    def broke(self, reason: str, had_bytes: bool, is_silent: bool) -> None:
        link, self._link = self._link, None
        assert link is not None
        now = time.monotonic()
        reason = f"{self._member.node} {reason}"
        was_stale = link.uses > 1 and not had_bytes and not is_silent and not self._repeated
        can_repeat = self._rewind()
        if was_stale and can_repeat:
            # The member closed a kept connection just when it was used again (RFC 9110, 9.2.2).
            self._repeated = True
            self._want()
            return
        elapsed = now - self._request.asked
        self._member.failed(self._is_probe, now, random.random(), reason, elapsed)
        if can_repeat:
            self._ask_another(504 if is_silent else 502, reason, now)
        else:
            self._fail(504 if is_silent else 502, reason)

    # --- the response ---

    def _response(self, answer: Answer, pieces: list[bytes], is_whole: bool) -> proxy_response.Head:
        upstream, request, keep_alive = self._upstream, self._request, self._client.keep_alive
        before = upstream.answered_before
        if before is not None and before.is_of(answer, request, keep_alive):
            return proxy_response.again(before, pieces)
        cookie = b""
        if upstream.rules.sticky:
            cookie = upstream.sticky_line(request, self._member, self._passed.prefix)
        head = proxy_response.head(
            answer,
            pieces,
            is_whole,
            request,
            keep_alive=keep_alive,
            takes_trailers=self._passed.takes_trailers,
            host=self._called(),
            prefix=self._passed.prefix,
            cookie=cookie,
        )
        if upstream.fields_before != answer.fields:
            upstream.fields_before = answer.fields
        elif not upstream.rules.sticky:
            upstream.answered_before = proxy_response.known(head, answer, pieces, request)
        return head

    def _called(self) -> bytes:
        """What the member was called, if its name is to be taken out of where it sends a client."""
        if self._upstream.rules.keep_location:
            return b""
        return (self._passed.host or self._keeper.host_field)[6:-2]

    def _give(self, kept: Kept, turn: Turn, is_whole: bool) -> None:
        """Answer with what is kept, in place of what the member says."""
        link, self._link = self._link, None
        if link is not None and not is_whole:
            link.abort()
        self._answered()
        self._client.passing = None
        turn.over()
        assert self._upstream.caching is not None
        self._upstream.caching.give(self._client, self._request, kept)

    def _begin(self) -> None:
        """The response goes out before it is whole."""
        self._is_begun = True
        now = time.monotonic()
        self._elapsed = now - self._request.asked  # the rest may wait for a slow client
        if self._is_probe:  # a long response must not keep others from a member that is back
            self._member.answered(self._elapsed, now)
            self._member.load.in_flight += 1

    def _answered(self) -> None:
        if self._is_begun and self._is_probe:
            self._member.load.in_flight -= 1
        else:
            now = time.monotonic()
            self._member.answered(self._elapsed or now - self._request.asked, now)

    # --- failures ---

    def _rewind(self) -> bool:
        """Whether the request can be sent once more, from its beginning."""
        if self._is_begun or not self._is_repeatable:
            return False
        body = self._body
        if body is None:
            return True
        if not body.is_repeatable:
            return False
        body.rewind()
        return True

    def _ask_another(self, status: int, reason: str, now: float) -> None:
        upstream = self._upstream
        successor = upstream.choose(self._request, now, self._tried)
        if successor is None:
            self._fail(status, reason)
        elif not upstream.cluster.budget.take(now):
            self._fail(status, f"{reason}; no other was asked, as too many requests were repeated")
        else:
            self._ask(successor, now)

    def _fail(self, status: int, reason: str) -> None:
        """No member answers, so the client is told. The member's book knows already."""
        client, request, turn = self._client, self._request, self.turn
        self._is_over = True
        client.passing = None
        if self._body is not None:
            self._body.leave()
        self._upstream.complain(request, reason)
        kept = None
        if turn is not None:
            kept = turn.failed()
            turn.over()
        if self._is_begun:
            client.abort()
            return
        if kept is not None and self._upstream.caching is not None:
            self._upstream.caching.give(client, request, kept)
            return
        sentence = {502: _BAD, 503: _NONE, 504: _LATE}[status]
        fields = [("Content-Type", HTML)]
        if status == 503:
            fields.append(("Retry-After", "1"))
        answers.whole(client, request, status, fields, error_page(status, sentence))

    def _give_up(self) -> None:
        """The client waits for it no more, so the member is told, and its book. What becomes of the
        client is the caller's to say: `_send_away`, if it is still there.
        """
        self._is_over = True
        self._stop_timer()
        self._client.passing = None
        now = time.monotonic()
        elapsed = now - self._request.asked
        link, self._link = self._link, None
        if link is None:
            self._keeper.forget(self)
            self._member.cancelled(self._is_probe, elapsed, now)
        else:
            link.abort()
            if link.has_bytes or self._is_begun:
                self._member.cancelled(self._is_probe, elapsed, now)
            else:
                self._member.unheard(self._is_probe, elapsed, now, random.random())
        if self._body is not None:
            self._body.leave()
        if self.turn is not None:
            self.turn.over()

    def _tunnel_ended(self) -> None:
        tunnel, self._tunnel = self._tunnel, None
        assert tunnel is not None
        self._member.load.in_flight -= 1
        self._client.switched_off(tunnel.sent_near)
