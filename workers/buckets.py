"""Durations, counted in buckets of fixed bounds: what quantiles and histograms are made of. Pure.

Ten buckets for each power of ten, from a tenth of a millisecond to 50 seconds: a bucket is at most
a third wider than its lower bound, so a quantile is right within a third. Their bounds are
round numbers, so those that the metrics show (1, 2.5 and 5 of each power) are among them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import add, sub

import msgspec

# Seconds: the upper bounds; what is above the last one has a bucket of its own.
BOUNDS = tuple(
    round(digit * 10.0**power, 7)
    for power in range(-4, 2)
    for digit in (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
)[:-2]
BUCKETS = len(BOUNDS) + 1
SHOWN = tuple(
    bound for bound in BOUNDS if f"{bound:e}".startswith(("1.000", "2.500", "5.000"))
)  # in metrics: 17 bounds are enough for a dashboard, and each is a line of text

NANOSECONDS = BUCKETS  # the cell behind the buckets: of all durations together
WIDTH = 64  # cells of a row: eight cache lines


def bucket(seconds: float) -> int:
    """The place of a duration."""
    return bisect_left(BOUNDS, seconds)


class Counts(msgspec.Struct, frozen=True):
    """A row as it was read, or the sum of several."""

    cells: Sequence[int]

    @property
    def count(self) -> int:
        """How many durations."""
        return sum(self.cells[:BUCKETS])

    @property
    def seconds(self) -> float:
        """All of them together."""
        return self.cells[NANOSECONDS] / 1e9

    def quantile(self, share: float) -> float | None:
        """Seconds within which `share` of all is done; None if there is none.

        Within a bucket they are taken to be spread evenly. In the last one, which has no upper
        bound, it is the lower one.
        """
        (found,) = self.quantiles(share)
        return found

    def quantiles(self, *shares: float) -> list[float | None]:
        """Several of them, for which the buckets are added up once."""
        up_to = list(accumulate(self.cells[:BUCKETS]))
        total = up_to[-1]
        if not total:
            return [None] * len(shares)
        return [_quantile(up_to, share * total) for share in shares]

    def up_to(self, bound: float) -> int:
        """How many took no longer. bound: one of `BOUNDS`."""
        return sum(self.cells[: bucket(bound) + 1])

    def __add__(self, other: Counts) -> Counts:
        return Counts(list(map(add, self.cells, other.cells)))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(list(map(sub, self.cells, other.cells)))


def _quantile(up_to: Sequence[int], wanted: float) -> float:
    """up_to: how many are in each bucket and those before it. wanted: how many it shall cover."""
    index = bisect_left(up_to, wanted)
    below = up_to[index - 1] if index else 0
    lower = BOUNDS[index - 1] if index else 0.0
    upper = BOUNDS[index] if index < len(BOUNDS) else lower
    return lower + (upper - lower) * (wanted - below) / (up_to[index] - below)


NOTHING = Counts((0,) * WIDTH)
