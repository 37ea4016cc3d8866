"""The slowest requests of one worker, each with what its time went into; the slow log.

Runs on the loop. A small book: the `KEPT` slowest of the last quarter of an hour. While it is full
a request that is faster than all of them is not even looked at: `Tally.slow_from` is the lower end
of the book, or `slow_request` if that is less, since those are logged.
"""

from __future__ import annotations

import logging
import time
from bisect import insort
from collections.abc import Callable

from skitai.errand import Waited, trace_of
from skitai.request import Request
from skitaid.workers.ledger import Key
from skitaid.workers.tally import NEVER, Tally

from .document import SlowRequest, Wait

Each = Callable[[Request, SlowRequest], None]

KEPT = 50
FORGOTTEN_AFTER = 900.0  # seconds
LOGGED_WAITS = 5  # in one line

log = logging.getLogger("skitaid.slow")


def own(told: SlowRequest) -> float:
    """Seconds that count: a long stream, or a client that reads slowly, is no slow request."""
    return told.total - told.response


class Slow:
    """The book of one worker."""

    def __init__(
        self, tally: Tally, ordinal: int, log_from: float, each: Each | None = None
    ) -> None:
        """log_from: seconds from which on a request is logged; 0.0: none is.

        each: is told of all requests, slow or not; None: nobody wants to know.
        """
        self._each = each
        self._tally = tally
        self._ordinal = ordinal
        self._log_from = log_from or NEVER
        self._book: list[SlowRequest] = []  # the slowest last
        tally.when_slow = self.note
        self._set_bar()

    def note(self, request: Request, key: Key, status: int, now: float) -> None:
        """A request is over that may be one of the slowest."""
        told = self._tell(request, key, status, now)
        if self._each is not None:
            self._each(request, told)
        if own(told) >= self._log_from:
            log.warning("%s", line(told))
        insort(self._book, told, key=own)
        del self._book[:-KEPT]
        self._set_bar()

    def book(self) -> list[SlowRequest]:
        """The slowest first."""
        self.forget_old()
        return self._book[::-1]

    def forget_old(self) -> None:
        """Now and then."""
        since = time.time() - FORGOTTEN_AFTER
        self._book = [each for each in self._book if each.at >= since]
        self._set_bar()

    def _set_bar(self) -> None:
        lowest = own(self._book[0]) if len(self._book) >= KEPT else 0.0
        self._tally.slow_from = 0.0 if self._each is not None else min(lowest, self._log_from)

    def _tell(self, request: Request, key: Key, status: int, now: float) -> SlowRequest:
        began, taken, started = request.began, request.taken, request.started
        _, kind, _, rule, handler, _ = key
        returned = request.returned or now
        errand = request.errand
        waits = [] if errand is None else [_wait(each) for each in errand.waits(began, now)]
        waiting = min(0.0 if errand is None else errand.waited, returned - started)
        if request.member:  # it was passed on, and nobody here has handled it
            node = request.member.decode()
            asked = returned - request.asked
            waits.append(Wait(rule.rpartition("@")[2], node, request.asked - began, asked, "", 0))
        never_ran = not started and kind == "app"
        return SlowRequest(
            at=time.time(),
            worker=self._ordinal,
            id=request.id,
            trace=trace_of(request),
            method=request.method,
            uri=request.uri,
            rule=rule,
            handler=handler,
            status=status,
            total=now - began,
            arrival=taken - began,
            queue=started - taken if started else now - taken if never_ran else 0.0,
            running=returned - started - waiting if started else 0.0,
            waiting=waiting if started else waits[0].seconds if request.member else 0.0,
            response=_response(request, now) if not never_ran else 0.0,
            waits=waits,
        )


def _response(request: Request, now: float) -> float:
    if request.returned:
        return now - request.returned
    return 0.0 if request.started or request.member else now - request.taken


def line(told: SlowRequest) -> str:
    """For the log."""
    parts = ("arrival", "queue", "running", "waiting", "response")
    times = " + ".join(f"{name} {getattr(told, name):.3f}" for name in parts)
    text = f"request {told.id}, {told.method} {told.uri}: {told.status} after {told.total:.3f} s"
    text += f" = {times}"
    if told.waits:
        waits = [_shown(wait) for wait in told.waits[:LOGGED_WAITS]]
        more = len(told.waits) - LOGGED_WAITS
        text += f"; waited for {', '.join(waits)}" + (f" and {more} more" if more > 0 else "")
    if told.handler:
        text += f"; {told.handler}"
    return text + (f"; trace {told.trace}" if told.trace else "")


def _shown(wait: Wait) -> str:
    cluster = f"@{wait.cluster} " if wait.cluster else ""
    status = "" if wait.status in ("", "normal") else f" ({wait.status})"
    return f"{cluster}{wait.node} {wait.seconds:.3f}{status}"


def _wait(waited: Waited) -> Wait:
    return Wait(*waited)
