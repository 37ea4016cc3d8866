"""Whether this worker takes the next connection, or leaves it to a sibling. Pure.

All workers of a server wait on one inherited socket, and the kernel wakes them all. Without a
rule the quickest takes most: the busy one, as often as not, since it is awake. So each looks at
the scoreboard first. Nobody holds a lock: two may look at the same moment and both accept, which
is one connection too many, not a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

SLACK = 8  # one connection in so many above the least loaded sibling is no reason to decline


class Load(msgspec.Struct, frozen=True):
    """What a worker has to do.

    connections: open client connections. in_flight: requests it has and has not answered.
    slots: handlers it may run at once.
    """

    connections: int
    in_flight: int
    slots: int

    @property
    def is_busy(self) -> bool:
        """Whether a new request would wait for a slot."""
        return self.in_flight >= self.slots


def should_accept(mine: Load, siblings: Iterable[Load]) -> bool:
    """Whether nobody else is the better choice for the next connection.

    The least loaded of all never declines, so there is always somebody who accepts.
    """
    others = list(siblings)
    if mine.is_busy:
        idle = [other for other in others if not other.is_busy]
        if idle:
            return False
    else:
        others = [other for other in others if not other.is_busy]
    least = min((other.connections for other in others), default=mine.connections)
    return mine.connections <= least + least // SLACK
