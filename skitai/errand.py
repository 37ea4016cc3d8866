"""What others are asked for the sake of one request: until when, under which names, what is out.

Made with the first call of a request, so a request that asks nobody costs nothing. The handler's
thread uses it, but for `client_left`, which the loop calls.

It passes on, in every request to another server:

- `X-Request-ID`, the request's id, so that the logs of all servers can be put together.
- `traceparent` and `tracestate` (W3C Trace Context), if they came: the same trace, a new parent. If
  this server exports traces, a request without one begins a trace.
- `X-Request-Deadline`, the milliseconds in which somebody still waits for the answer, if the
  request has a deadline: whoever is asked can give up in time.

The deadline is that of the route, or else of `request_timeout`, or an earlier one that came as
`X-Request-Deadline`. The latter counts only if one of `trusted_proxies` sends it for itself,
without any X-Forwarded field: it changes what is answered (partial results), and a stranger could
fill a cache before us with it.

When the client leaves, all that is out is cancelled, and whoever waits for it is told by
ClientGone. A client that closes its connection looks at first like one that only sends no more:
both send a FIN. Most of them have left, so that is what it is taken for here, as by nginx and Go.
"""

from __future__ import annotations

import logging
import math
import re
import secrets
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from skitai.engine import Call, Engine
from skitai.errors import ClientGone
from skitai.request import Request

log = logging.getLogger(__name__)

STATEMENT_MAX = 200  # characters in the log
NEVER = math.inf
RESERVE = 0.05  # of the time a request has: kept back for an answer made of what is there by then

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACESTATE = re.compile(rb"[\x20-\x7e]{1,512}")  # as long as section 3.3.1.5 wants it passed on
SAMPLED = b"01"  # the flags of a trace that begins here

_ZEROS = (b"0" * 32, b"0" * 16)
_DEADLINE = "x-request-deadline"
_MILLISECONDS = re.compile(rb"[0-9]{1,9}")
_CROWD = 32  # calls on the list at which those that are over are taken off it
_WAITS_MAX = 50  # that are told of; then the longest


class Waited(NamedTuple):
    """What was waited for: one member's part of a call."""

    cluster: str  # without @; "" for a server named by its URL
    node: str
    began: float  # seconds after the request's first byte
    seconds: float
    status: str  # that of the result in lower case; "cancelled": it has none
    code: int | str  # of HTTP, or of SQL (SQLSTATE); 0 if there was none


class Holding(Protocol):
    """What must not outlive the request: a transaction. last: what was done last, for the log."""

    last: str

    def end(self, why: str) -> None:
        """End it now. From any thread."""


class Errand:
    """One per request that asks others.

    deadline: monotonic; `NEVER` if there is none. is_client_gone: nobody waits for the answer.
    waited: seconds that the handler has waited in all. trace, span: the trace that the request is
    part of, and what it is called there by those who are asked, in hexadecimal; b"": of none.
    """

    __slots__ = (
        "_about",
        "_calls",
        "_crowd",
        "_engine",
        "_held",
        "_is_told",
        "_lines",
        "_past",
        "_whole",
        "deadline",
        "is_client_gone",
        "span",
        "trace",
        "waited",
    )

    def __init__(
        self, engine: Engine, request: Request, timeout: float, *, starts_trace: bool = False
    ) -> None:
        """timeout: `request_timeout`, 0.0 for none; counts if the route says nothing."""
        self._engine = engine
        self._about = request.method, request.path  # not the request: that holds us
        self._calls: list[Call] = []
        self._past: list[Waited] = []  # of calls that are not on the list any more
        self.waited = 0.0
        self._crowd = _CROWD
        self._held: list[Holding] = []
        self.deadline = _deadline(request, timeout if request.timeout is None else request.timeout)
        self.trace = self.span = b""
        self._whole = b"X-Request-ID: %b\r\n" % request.id_bytes()
        self._lines = {"x-request-id": self._whole}  # by name in lower case
        if starts_trace or request.field(b"traceparent") is not None:
            self._join_trace(request, starts_trace=starts_trace)
            self._whole = b"".join(self._lines.values())
        self._is_told = False  # the handler has had its ClientGone
        self.is_client_gone = False
        request.errand = self
        # Looked at only now: from here on the loop would tell.
        if request.gone or (request.channel is not None and request.channel.has_ended):
            self.is_client_gone = True

    def _join_trace(self, request: Request, *, starts_trace: bool) -> None:
        """What came as `traceparent` may be none."""
        found = _traceparent(request)
        if found is None and not starts_trace:
            return
        self.span = secrets.token_hex(8).encode()
        self.trace = secrets.token_hex(16).encode() if found is None else found[2]
        flags = SAMPLED if found is None else found[4]
        line = b"traceparent: 00-%b-%b-%b\r\n" % (self.trace, self.span, flags)
        self._lines["traceparent"] = line
        if found is None:
            return
        state = ",".join(request.headers.get_all("tracestate")).encode("latin-1")
        if _TRACESTATE.fullmatch(state):
            self._lines["tracestate"] = b"tracestate: %b\r\n" % state

    def lines(self, given: frozenset[str] = frozenset()) -> bytes:
        """The header lines for a call that is sent now. given: names the app has set itself."""
        lines = self._whole
        if given:
            lines = b"".join(line for name, line in self._lines.items() if name not in given)
        if self.deadline is NEVER or _DEADLINE in given:
            return lines
        left = max(0, int((self.deadline - time.monotonic()) * 1000))
        return b"%bX-Request-Deadline: %d\r\n" % (lines, left)

    def sent(self, call: Call) -> None:
        """A call is out."""
        calls = self._calls
        calls.append(call)
        if len(calls) > self._crowd:
            past = [part for each in calls if each.is_complete for part in _parts(each, 0.0, 0.0)]
            self._past = _longest(self._past + past)
            self._calls = [each for each in calls if not each.is_complete]
            self._crowd = _CROWD + 2 * len(self._calls)

    def holds(self, holding: Holding) -> None:
        """Something is open for the request."""
        self._held.append(holding)

    def let_go(self, holding: Holding) -> None:
        """It is not open any more, or others see to it."""
        if holding in self._held:
            self._held.remove(holding)

    def close(self, handler: str) -> None:
        """The request is answered: whatever is still open was forgotten, and is ended."""
        for holding in list(self._held):
            log.warning(
                "%s %s: %s has left a transaction open, which is rolled back; open it by `with`,"
                " and take a stream of rows to its end. Its last statement was %s",
                *self._about,
                handler,
                holding.last[:STATEMENT_MAX],
            )
            holding.end("its request was answered")
        self._held.clear()

    def waits(self, began: float, now: float) -> list[Waited]:
        """What was asked for, the longest first. began: of the request; both monotonic."""
        parts = [part._replace(began=part.began - began) for part in self._past]
        return _longest(parts + [part for each in self._calls for part in _parts(each, began, now)])

    def check(self) -> None:
        """Before a wait. Raises ClientGone, once: what is asked after that is to clean up."""
        if self.is_client_gone and not self._is_told:
            self._is_told = True
            for call in self._calls:
                if not (call.is_complete or call.is_given_up):
                    call.is_given_up = True
                    self._engine.cancel(call)
            raise gone()

    def client_left(self) -> None:
        """On the loop: nobody waits for the answer any more. Once, however often it is said."""
        if not self.is_client_gone:
            self.is_client_gone = True
            for call in self._calls:
                if not call.is_complete:
                    self._engine.give_up(call)
            for holding in list(self._held):
                holding.end("the client has left")


def gone() -> ClientGone:
    """Why a wait has ended."""
    return ClientGone("the client has left, so what was asked for it is given up")


def trace_of(request: Request) -> str:
    """The id of the trace that a request is part of, 32 hex digits; "": of none."""
    if request.errand is not None and request.errand.trace:
        return request.errand.trace.decode()
    found = _traceparent(request)
    return "" if found is None else found[2].decode()


def parent_of(request: Request) -> tuple[str, str, int] | None:
    """(trace, span, flags) of whoever has sent a request, if it says so."""
    found = _traceparent(request)
    return None if found is None else (found[2].decode(), found[3].decode(), int(found[4], 16))


def _parts(call: Call, began: float, now: float) -> Iterator[Waited]:
    cluster = getattr(call.target, "cluster", "")
    start = call.sent_at - began
    replies = list(call.replies)
    for reply in replies:
        status = reply.status.name.lower()
        yield Waited(cluster, reply.node, start, reply.elapsed, status, reply.code)
    answered = {reply.member for reply in replies}
    for member, node in enumerate(call.nodes):
        if member not in answered:
            yield Waited(cluster, node, start, now - call.sent_at, "cancelled", 0)


def _longest(waits: list[Waited]) -> list[Waited]:
    return sorted(waits, key=lambda each: -each.seconds)[:_WAITS_MAX]


def _traceparent(request: Request) -> re.Match[bytes] | None:
    """That of the request, if it is valid (W3C Trace Context, section 3.2.2)."""
    parent = request.field(b"traceparent")
    if parent is None:
        return None
    found = _TRACEPARENT.fullmatch(parent)
    if found is None or found[1] == b"ff" or found[2] in _ZEROS or found[3] in _ZEROS:
        return None
    return found


def _deadline(request: Request, timeout: float) -> float:
    deadline = NEVER
    if timeout:
        deadline = (request.started or request.began) + timeout * (1 - RESERVE)
    if request.caller.is_trusted:
        given = request.field(_DEADLINE.encode())
        if given is not None and _MILLISECONDS.fullmatch(given):
            deadline = min(deadline, request.began + int(given) / 1000 * (1 - RESERVE))
    return deadline
