"""Which member of a cluster is asked next. Pure: candidates and dice in, an index out.

p2c: of two members drawn at random (by weight) the one with less load, where load is the
requests in flight times the moving average of the latency. Two draws are enough to avoid the
herd that always choosing the best causes (Mitzenmacher, "The Power of Two Choices", 2001).
roundrobin: in turn, weighted smoothly as nginx does it. leastconn: fewest requests in flight
for their weight. hash: the one that a key belongs to, by weighted rendezvous hashing (Thaler and
Ravishankar, 1998; the weights are of Schindler and Schomaker, 2005): each member draws a number
from the key and its own name, and the best number wins. So the member that leaves, or comes,
takes its own keys along and no others, without a ring to be kept in step; it costs a few dozen
instructions for each member and call. A call without a key goes as with p2c.

A member that comes back after an ejection starts slowly: its weight grows from a tenth to the
whole within `SLOW_START`, while its caches fill and its connections are made.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import accumulate

import msgspec

DECAY = 0.3  # of the newest latency in the moving average
UNKNOWN_LATENCY = 0.001  # seconds: an unknown member is worth a try. Nobody counts as faster,
# or a member would look free, however many requests it has, until it gives its first answer
FORGET = 10.0  # seconds in which a latency fades to a third, so that a slow member is tried again
SLOW_START = 10.0  # seconds; as long as Finagle's and half of what nginx's documentation suggests
FIRST_SHARE = 0.1  # of its weight that a member begins with
SILENCE = 1.0  # seconds: a pause of less is nothing out of the ordinary
SILENCE_FACTOR = 5.0  # times its usual latency

_MASK = 2**64 - 1


class Load(msgspec.Struct):
    """What the balancer knows of one member."""

    weight: int = 1
    in_flight: int = 0
    latency: float = UNKNOWN_LATENCY  # seconds, moving average
    measured_at: float = 0.0  # monotonic
    usual: float = 0.0  # seconds, moving average of answers alone; 0 before the first one
    answered_at: float = 0.0  # monotonic
    turn: float = 0  # roundrobin's credit
    identity: int = 0  # hash: 64 bits of the member's name, see `digest`
    full_from: float = 0.0  # monotonic: the end of its slow start

    def finished(self, elapsed: float, now: float) -> None:
        """A request was answered after so many seconds."""
        self.answered_at = now
        self.usual += DECAY * (elapsed - self.usual) if self.usual else elapsed
        self._measured(elapsed, now)

    def given_up(self, elapsed: float, now: float) -> None:
        """So many seconds were not enough for an answer: one that hangs is not a fast one."""
        if elapsed > self.faded(now):
            self._measured(elapsed, now)

    def was_silent(self, elapsed: float, now: float) -> bool:
        """Whether a request given up after so many seconds tells that the member hangs.

        Not if it has answered anybody meanwhile, nor if it was given little time, by itself or
        as compared with what its answers take: apps may have short timeouts, and slow handlers.
        """
        patience = max(SILENCE, SILENCE_FACTOR * self.usual)
        return elapsed >= patience and self.answered_at <= now - elapsed

    def _measured(self, elapsed: float, now: float) -> None:
        faded = self.faded(now)
        self.latency = faded + DECAY * (elapsed - faded)
        self.measured_at = now

    def starts_slowly(self, now: float) -> None:
        """The member is back, or new among others."""
        self.full_from = now + SLOW_START

    def share(self, now: float) -> float:
        """The weight that counts at this moment."""
        if now >= self.full_from:
            return self.weight
        return self.weight * max(FIRST_SHARE, 1.0 - (self.full_from - now) / SLOW_START)

    def faded(self, now: float) -> float:
        """What is left of the latency, the older the less."""
        faded = self.latency * math.exp((self.measured_at - now) / FORGET)
        return faded if faded > UNKNOWN_LATENCY else UNKNOWN_LATENCY

    def cost(self, now: float) -> float:
        """What one more request would cost: the requests then in flight, times the latency."""
        return (self.in_flight + 1) * self.faded(now) / self.share(now)


Balance = Callable[[Sequence[Load], float, random.Random], int]


def p2c(loads: Sequence[Load], now: float, dice: random.Random) -> int:
    """The less loaded one of two drawn by weight."""
    if len(loads) == 1:
        return 0
    first, second = _two(loads, now, dice)
    return first if loads[first].cost(now) <= loads[second].cost(now) else second


def _two(loads: Sequence[Load], now: float, dice: random.Random) -> tuple[int, int]:
    """Two different ones, each drawn by what its share is of those that are left."""
    shares = [load.share(now) for load in loads]
    ends = list(accumulate(shares))
    last = len(loads) - 1
    first = min(bisect(ends, dice.random() * ends[-1]), last)
    point = dice.random() * (ends[-1] - shares[first])
    if point >= ends[first] - shares[first]:
        point += shares[first]  # beyond the one that is drawn already
    second = min(bisect(ends, point), last)
    if second == first:  # by the rounding of a point on the border
        second = first - 1 if first else first + 1
    return first, second


def roundrobin(loads: Sequence[Load], now: float, dice: random.Random) -> int:
    """Each in turn, as often as its weight says, never the heaviest one many times in a row."""
    total = 0.0
    for load in loads:
        share = load.share(now)
        load.turn += share
        total += share
    best = max(range(len(loads)), key=lambda index: loads[index].turn)
    loads[best].turn -= total
    return best


def leastconn(loads: Sequence[Load], now: float, dice: random.Random) -> int:
    """The one with the fewest requests in flight for its weight; any of several such."""
    shares = [load.in_flight / load.share(now) for load in loads]
    least = min(shares)
    return dice.choice([index for index, share in enumerate(shares) if share == least])


def rendezvous(loads: Sequence[Load], now: float, key: int) -> int:
    """The one that a key belongs to; of any set of members that holds it, the same one.

    key: a `digest`.
    """
    best, winner = math.inf, 0
    for index, load in enumerate(loads):
        # Of a number drawn from (0, 1), -log is exponentially distributed, and the least of
        # several such, each divided by its weight, falls to each as often as it weighs.
        cost = -math.log(_mixed(key ^ load.identity)) / load.share(now)
        if cost < best:
            best, winner = cost, index
    return winner


def digest(text: bytes) -> int:
    """64 bits of a key, or of a member's name: the same in all workers and on all machines."""
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def _mixed(bits: int) -> float:
    """A number between 0 and 1, both excluded, drawn from 64 bits (the end of MurmurHash3)."""
    bits = ((bits ^ bits >> 33) * 0xFF51AFD7ED558CCD) & _MASK
    bits = ((bits ^ bits >> 33) * 0xC4CEB9FE1A85EC53) & _MASK
    return ((bits >> 12) + 0.5) * 2.0**-52


BALANCES: dict[str, Balance] = {
    "p2c": p2c,
    "roundrobin": roundrobin,
    "leastconn": leastconn,
    "hash": p2c,  # for calls without a key
}
