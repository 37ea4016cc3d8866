"""One reply of a call on its way: asked of one member, or of whoever of a cluster answers.

Runs on the loop. A `Leg` is one member's part of a map, or a call to a server named by a URL. A
`Choice` is a call to one member of a cluster. It asks others too: when one fails and the request
may be sent again, and, as a hedge, when one is slow; both are paid from the cluster's budget.

Exactly one reply lands of each, unless it is cancelled. The first normal answer ends a choice,
and what is still out then is cancelled without harm to the members that lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from skitai.engine import Call, DatabaseMembers, Members, Reply
from skitai.results import Status

from .attempt import Attempt
from .balance import digest
from .cluster import Cluster, ClusterMember
from .exchange import Outcome

Land = Callable[[Call, Reply], None]


class Leg:
    """index: the place of its reply among those of the call."""

    __slots__ = ("_attempt", "_call", "_index", "_land", "_member")

    is_patient = True

    def __init__(self, call: Call, index: int, member: ClusterMember, land: Land) -> None:
        self._call = call
        self._index = index
        self._member = member
        self._land = land
        self._attempt: Attempt | None = None  # None: not started, or over

    def start(self) -> None:
        """Ask the member."""
        self._attempt = Attempt(self, self._call.ask, self._member, time.monotonic())
        self._attempt.start()

    def cancel(self, now: float) -> None:
        """Give up; nothing lands."""
        if self._attempt is not None:
            self._attempt.give_up()
            self._attempt = None

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        if self._attempt is not None:
            self.cancel(now)
            outcome = abandoned(self._call, self._member.node, now)
            self._land(self._call, self._reply(outcome, now))

    def ended(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """`Asker`."""
        self._attempt = None
        self._land(self._call, self._reply(outcome, now))

    def _reply(self, outcome: Outcome, now: float) -> Reply:
        return _reply(self._call, self._index, self._member.node, outcome, now)


class Choice:
    """A call to one member of a cluster, whichever that turns out to be."""

    __slots__ = (
        "_call",
        "_cluster",
        "_key",
        "_land",
        "_loop",
        "_out",
        "_repeatable",
        "_target",
        "_timer",
        "_tried",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        call: Call,
        target: Members | DatabaseMembers,
        cluster: Cluster,
        land: Land,
    ) -> None:
        self._loop = loop
        self._call = call
        self._target = target
        self._cluster = cluster
        self._land = land
        self._key = None if target.key is None else digest(target.key)
        self._repeatable = call.ask.idempotent or target.hedge is not None
        self._tried: list[ClusterMember] = []
        self._out: list[Attempt] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_patient(self) -> bool:
        """`Asker`."""
        return len(self._cluster.members) == 1

    def start(self) -> None:
        """Ask the member that the balance chooses."""
        now = time.monotonic()
        self._cluster.budget.asked(now)
        member = self._cluster.choose(now, (), self._key)
        assert member is not None  # a cluster has members
        delay = self._delay()
        if delay is not None:
            self._timer = self._loop.call_later(delay, self._hedge)
        self._ask(member, now)

    def cancel(self, now: float) -> None:
        """Give up; nothing lands."""
        self._stop_timer()
        while self._out:
            self._out.pop().give_up()

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        if self._out:
            (node,) = self._call.nodes
            self.cancel(now)
            self._finish(node, abandoned(self._call, node, now), now)

    def ended(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """`Asker`."""
        self._out.remove(attempt)
        if outcome.status is Status.NORMAL:
            self._won(attempt, now)
        elif self._out:
            return  # a hedge, or the one it was to overtake, is this one's repeat
        else:
            successor = self._successor(outcome, now)
            if successor is not None:
                if self._cluster.budget.take(now):
                    self._ask(successor, now)
                    return
                outcome = replace(outcome, msg=f"{outcome.msg}; {_NO_BUDGET}")
        self._finish(attempt.member.node, outcome, now)

    def _ask(self, member: ClusterMember, now: float) -> None:
        self._tried.append(member)
        attempt = Attempt(self, self._call.ask, member, now)
        self._out.append(attempt)
        self._call.nodes = (" and ".join(each.member.node for each in self._out),)
        attempt.start()

    def _successor(self, outcome: Outcome, now: float) -> ClusterMember | None:
        """Who may be asked instead: only if no byte went out, or the ask may be repeated."""
        if outcome.was_sent and not self._repeatable:
            return None
        return self._cluster.choose(now, self._tried, self._key)

    def _won(self, winner: Attempt, now: float) -> None:
        # Only who was asked first tells how long calls take: a hedge is asked in the slow cases,
        # and to learn from its speed alone would make the next hedges ever earlier.
        first = winner if winner.member is self._tried[0] else None
        while self._out:
            loser = self._out.pop()
            loser.lose()
            if loser.member is self._tried[0]:
                first = loser
        if first is not None:
            self._cluster.latencies.add(now - first.started)

    def _finish(self, node: str, outcome: Outcome, now: float) -> None:
        self._stop_timer()
        self._call.nodes = (node,)
        reply = _reply(self._call, 0, node, outcome, now, len(self._tried) - 1)
        self._land(self._call, reply)

    # --- hedging ---

    def _delay(self) -> float | None:
        """Seconds after which a second member is asked; None: never, or nobody knows yet."""
        hedge = self._target.hedge
        if hedge is None and self._repeatable:
            hedge = self._cluster.hedge
        return self._cluster.latencies.p95 if hedge == "p95" else hedge

    def _hedge(self) -> None:
        self._timer = None
        now = time.monotonic()
        member = self._cluster.choose(now, self._tried, self._key)
        if member is None or not member.health.may_ask(now):
            return  # one that looks dead is no hope for a call that is only slow
        if self._cluster.budget.take(now):
            self._ask(member, now)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_NO_BUDGET = "no other member was asked, as too many calls were repeated already"


def abandoned(call: Call, node: str, now: float) -> Outcome:
    """The end of a call that nobody has waited for in all its time."""
    msg = f"{node} was given up after {now - call.sent_at:.0f} s in which nobody waited"
    return Outcome(Status.TIMEOUT, 0, msg, (), b"", was_sent=True)


def _reply(
    call: Call, index: int, node: str, outcome: Outcome, now: float, retries: int = 0
) -> Reply:
    return Reply(
        index,
        node,
        outcome.status,
        outcome.code,
        outcome.msg,
        outcome.fields,
        outcome.body,
        now - call.sent_at,
        retries,
        outcome.answer,
    )
