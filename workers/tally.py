"""What one worker counts of each request that is over, and who else is told of it.

Runs on the loop, once per request, between its last byte and the next request: all of it together
costs less than a microsecond, and nothing that can be found out by who reads is written here.

Kinds of series in the ledger, and the parts of their names:

    route     kind, methods, rule, handler, class   requests; see `document.Route`; "2xx" to "5xx"
    wait      ""                                    from complete to the start of the handler
    member    cluster, node, outcome                requests to it; see `OUTCOMES`
    cpu       ""                                    seconds used
    counter   name                                  what has no duration, in the first bucket
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from time import monotonic

from skitai.request import Request

from .buckets import BOUNDS
from .ledger import Key, Pen, Series, lone_pages
from .logs.access_log import AccessLog
from .scoreboard import Field, Slot

NEVER = float("inf")

# Of a request to a member: answered in whatever way, no answer by its fault, not waited for.
OUTCOMES = ("normal", "failed", "cancelled")

_TWO, _FIVE = ord("2"), ord("5")

# Of a request that is over: the name of its series, its status, and the monotonic time.
WhenSlow = Callable[[Request, Key, int, float], None]


class Tally:
    """One per worker.

    slow_from: seconds from which on `when_slow` is told of a request; its owner moves it.
    """

    __slots__ = (
        "_access_log",
        "_odd",
        "_refused",
        "_wait",
        "nobody",
        "pen",
        "slot",
        "slow_from",
        "when_slow",
    )

    def __init__(
        self,
        slot: Slot,
        pen: Pen | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        """pen: None for a worker without siblings."""
        self.slot = slot
        self._access_log = access_log
        self.pen = pen = Pen(lone_pages()) if pen is None else pen
        self.nobody = self.route("none", "", "", "")
        self._wait = pen.series("wait", "")
        self._odd: dict[tuple[Key, int], Series] = {}  # by that of 2xx, and the first digit
        self._refused = pen.series("counter", "refused")
        self.slow_from = NEVER
        self.when_slow: WhenSlow = _nobody_cares

    def ended(self, request: Request, head: bytes | bytearray, size: int) -> None:
        """A request is over. head: how the response begins, up to the status at least.

        size: bytes that were sent for it, header included.
        """
        now = monotonic()
        took = (request.returned or now) - request.began  # of a stream: until it has begun
        series: Series = request.series or self.nobody
        if head[9] != _TWO:
            series = self._odd_one(series, head[9])
        series.cells[bisect_left(BOUNDS, took)] += 1
        series.seconds += took
        started = request.started
        if started:
            waited = started - request.taken
            wait = self._wait
            wait.cells[bisect_left(BOUNDS, waited)] += 1
            wait.seconds += waited
        if took >= self.slow_from:
            self.when_slow(request, series.key, int(head[9:12]), now)
        if self._access_log is not None:
            self._access_log.note(request, bytes(head[9:12]), size, now)

    def refused(self, peer: str, status: int, size: int) -> None:
        """A client was sent away before its request could be read."""
        self._refused.cells[0] += 1
        if self._access_log is not None:
            self._access_log.refused(peer, status, size)

    def route(self, kind: str, methods: str, rule: str, handler: str) -> Series:
        """Where what is answered there with 200 to 299 is counted; for `Request.series`."""
        return self.pen.series("route", kind, methods, rule, handler, "2xx")

    def member(self, cluster: str, node: str) -> dict[str, Series]:
        """Where requests to a member are counted, by outcome."""
        return {each: self.pen.series("member", cluster, node, each) for each in OUTCOMES}

    def _odd_one(self, usual: Series, first: int) -> Series:
        """The series of a rule for another class of statuses. first: its digit."""
        if first == _FIVE:
            self.slot.add(Field.ERRORS, 1)
        key = (usual.key, first)
        series = self._odd.get(key)
        if series is None:
            series = self._odd[key] = self.pen.series(*usual.key[:-1], f"{chr(first)}xx")
        return series


def _nobody_cares(request: Request, key: Key, status: int, now: float) -> None:
    """Until somebody does."""
