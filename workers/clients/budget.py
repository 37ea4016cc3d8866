"""How many extra requests a cluster may be sent. Pure: the clock is handed in.

Repeats at another member and hedges are both extra: what helps against one bad member is a storm
when all of them are in trouble. So at the time of each extra request it holds that

    extras of the last WINDOW seconds <= FLOOR + RATIO x requests of the last WINDOW seconds

Both are counted in slots of a second. The oldest slot of requests is forgotten early and that of
extras late, so that the rule holds for every window that ends with an extra request, wherever in
a second that is.
"""

from __future__ import annotations

WINDOW = 10  # seconds; as in Finagle's RetryBudget, like the two figures below
RATIO = 0.2  # extra requests for each one asked for
FLOOR = 100  # extra requests in each window, so that a cluster asked rarely can fail over too

_SLOTS = WINDOW + 1


class Budget:
    """The book of one cluster in one worker."""

    __slots__ = ("_extras", "_requests", "_second")

    def __init__(self) -> None:
        self._requests = [0] * _SLOTS
        self._extras = [0] * _SLOTS
        self._second = 0  # of the newest slot

    def asked(self, now: float) -> None:
        """A request was asked for. now: monotonic, which never goes back."""
        second = int(now)
        if second != self._second:
            self._advance(second)
        self._requests[second % _SLOTS] += 1

    def left(self, now: float) -> int:
        """How many extra requests may be sent at this moment."""
        second = int(now)
        if second != self._second:
            self._advance(second)
        requests = sum(self._requests) - self._requests[(second + 1) % _SLOTS]  # but the oldest
        return FLOOR + int(RATIO * requests) - sum(self._extras)

    def take(self, now: float) -> bool:
        """True: send one extra request, it is counted. False: there is nothing left."""
        if self.left(now) <= 0:
            return False
        self._extras[self._second % _SLOTS] += 1
        return True

    def _advance(self, second: int) -> None:
        for passed in range(max(self._second + 1, second - WINDOW), second + 1):
            self._requests[passed % _SLOTS] = self._extras[passed % _SLOTS] = 0
        self._second = second
