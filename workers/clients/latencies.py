"""How long answers of a cluster take: a histogram of fixed size. Pure.

Buckets grow by a fifth each, so a quantile is right within a fifth; the upper end is given, so
that a hedge waits rather too long than too short. The counts are halved now and then, which
makes the newest answers weigh most.
"""

from __future__ import annotations

import math

LEAST = 0.0001  # seconds: the upper end of the first bucket
GROWTH = 2.0**0.25
KNOWN_FROM = 50  # answers; a quantile of fewer is a guess
HALVED_AT = 2000  # answers

_BUCKETS = 84  # up to 177 s; the last one holds what is longer too
_SCALE = 1.0 / math.log(GROWTH)


class Latencies:
    """The book of one cluster in one worker."""

    __slots__ = ("_counts", "_p95", "_total", "_unread")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._total = 0
        self._unread = 0  # added since the quantile was computed
        self._p95: float | None = None

    def add(self, seconds: float) -> None:
        """A call took so long, or longer."""
        index = math.ceil(math.log(seconds / LEAST) * _SCALE) if seconds > LEAST else 0
        self._counts[index if index < _BUCKETS else _BUCKETS - 1] += 1
        self._total += 1
        self._unread += 1
        if self._total >= HALVED_AT:
            self._counts = [count // 2 for count in self._counts]
            self._total = sum(self._counts)

    @property
    def p95(self) -> float | None:
        """Seconds within which 19 of 20 calls are answered; None as long as too few are known."""
        if self._total < KNOWN_FROM:
            return None
        if self._p95 is None or self._unread >= KNOWN_FROM:  # walking all buckets is not free
            self._p95 = self._quantile(0.95)
            self._unread = 0
        return self._p95

    def _quantile(self, share: float) -> float:
        """The upper end of the first bucket with which `share` of all calls are covered."""
        needed, covered = share * self._total, 0
        for index, count in enumerate(self._counts):
            covered += count
            if covered >= needed:
                return LEAST * GROWTH**index
        raise AssertionError("all buckets together hold all calls")
