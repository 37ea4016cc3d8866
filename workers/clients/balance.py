"""Which member of a cluster is asked next. Pure: candidates and dice in, an index out.

p2c: of two members drawn at random (by weight) the one with less load, where load is the
requests in flight times the moving average of the latency. Two draws are enough to avoid the
herd that always choosing the best causes (Mitzenmacher, "The Power of Two Choices", 2001).
roundrobin: in turn, weighted smoothly as nginx does it. leastconn: fewest requests in flight
for their weight.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DECAY = 0.3  # of the newest latency in the moving average
UNKNOWN_LATENCY = 0.001  # seconds: an unknown member is worth a try. Nobody counts as faster,
# or a member would look free, however many requests it has, until it gives its first answer
FORGET = 10.0  # seconds in which a latency fades to a third, so that a slow member is tried again


@dataclass(slots=True)
class Load:
    """What the balancer knows of one member."""

    weight: int = 1
    in_flight: int = 0
    latency: float = UNKNOWN_LATENCY  # seconds, moving average
    measured_at: float = 0.0  # monotonic
    turn: int = 0  # roundrobin's credit

    def finished(self, elapsed: float, now: float) -> None:
        """A request was answered after so many seconds."""
        faded = self.faded(now)
        self.latency = faded + DECAY * (elapsed - faded)
        self.measured_at = now

    def given_up(self, elapsed: float, now: float) -> None:
        """So many seconds were not enough for an answer: one that hangs is not a fast one."""
        if elapsed > self.faded(now):
            self.finished(elapsed, now)

    def faded(self, now: float) -> float:
        """What is left of the latency, the older the less."""
        faded = self.latency * math.exp((self.measured_at - now) / FORGET)
        return faded if faded > UNKNOWN_LATENCY else UNKNOWN_LATENCY

    def cost(self, now: float) -> float:
        """What one more request would cost: the requests then in flight, times the latency."""
        return (self.in_flight + 1) * self.faded(now) / self.weight


Balance = Callable[[Sequence[Load], float, random.Random], int]


def p2c(loads: Sequence[Load], now: float, dice: random.Random) -> int:
    """The less loaded one of two drawn by weight."""
    if len(loads) == 1:
        return 0
    weights = [load.weight for load in loads]
    first = dice.choices(range(len(loads)), weights)[0]
    weights[first] = 0
    second = dice.choices(range(len(loads)), weights)[0]
    return min(first, second, key=lambda index: loads[index].cost(now))


def roundrobin(loads: Sequence[Load], now: float, dice: random.Random) -> int:
    """Each in turn, as often as its weight says, never the heaviest one many times in a row."""
    for load in loads:
        load.turn += load.weight
    best = max(range(len(loads)), key=lambda index: loads[index].turn)
    loads[best].turn -= sum(load.weight for load in loads)
    return best


def leastconn(loads: Sequence[Load], now: float, dice: random.Random) -> int:
    """The one with the fewest requests in flight for its weight; any of several such."""
    least = min(load.in_flight / load.weight for load in loads)
    return dice.choice([i for i, load in enumerate(loads) if load.in_flight / load.weight == least])


BALANCES: dict[str, Balance] = {"p2c": p2c, "roundrobin": roundrobin, "leastconn": leastconn}
