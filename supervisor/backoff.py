"""How long to wait before trying again what keeps failing. A policy: no clock, no waiting."""

from __future__ import annotations

import math
from collections.abc import Callable

SHORTEST = 1.0  # seconds; short enough for an operator who watches
LONGEST = 60.0  # seconds; a database that came back is noticed within a minute
JITTER = 0.25  # shorten by up to a quarter, so that many servers do not retry in step
STEADY = 10.0  # seconds without failure after a wait that make the past forgotten; a guess


class Backoff:
    """Counts failures that follow each other and says when the next try is due.

    Failures during a wait belong to the one that began it: eight workers that fail together
    are one failure, not eight. The first `free` failures cost no wait at all.
    """

    def __init__(self, random: Callable[[], float], free: int = 0) -> None:
        """`random` gives numbers in [0, 1)."""
        self._random = random
        self._free = free
        self.failures = 0
        self.until = -math.inf  # when the next try is due, in the caller's clock

    def failed(self, now: float) -> float:
        """Note a failure; return when to try again (`now` means at once)."""
        if now < self.until:
            return self.until
        self.failures = self.recent(now) + 1
        self.until = now + self._delay(self.failures - self._free)
        return self.until

    def recent(self, now: float) -> int:
        """Failures in a row that are not forgotten yet."""
        return self.failures if now <= self.until + STEADY else 0

    def reset(self) -> None:
        """Forget the past: an operator has stepped in."""
        self.failures = 0
        self.until = -math.inf

    def _delay(self, failures: int) -> float:
        if failures <= 0:
            return 0.0
        doubled = min(LONGEST, SHORTEST * 2.0 ** min(failures - 1, 16))
        return max(SHORTEST, doubled * (1 - JITTER * self._random()))
