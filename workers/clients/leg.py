"""Who is asked for the replies of a call: all members, or one of them, and others in its place.

Runs on the loop. A `Poll` asks all members of a map, or the server that a URL names. A `Choice` is
a call to one member of a cluster. It asks others too: when one fails and the request may be sent
again, and, as a hedge, when one is slow; both are paid from the cluster's budget.

Exactly one reply lands for each member of a poll, and one of a choice, unless they are cancelled.
The first normal answer ends a choice, and what is still out then is cancelled without harm to the
members that lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from skitai.engine import Ask, Call, DatabaseMembers, Members, Reply, Sql
from skitai.results import Status

from .attempt import Asker, Attempt
from .balance import digest
from .cluster import Cluster, ClusterMember
from .pg_attempt import PgAttempt

Land = Callable[[Call, Reply], None]


class Poll:
    """A call to all of `members`: each with the place of its reply."""

    __slots__ = ("_attempts", "_call", "_land", "_members")

    def __init__(
        self, call: Call, members: Iterable[tuple[int, ClusterMember]], land: Land
    ) -> None:
        self._call = call
        self._members = members
        self._land = land
        self._attempts: list[Attempt | PgAttempt | None] = [None] * len(call.nodes)  # None: over

    def start(self) -> None:
        """Ask the members."""
        ask, attempts, now = self._call.ask, self._attempts, time.monotonic()
        for place, member in self._members:
            attempts[place] = attempt = _attempt(self, ask, member, now, place)
            attempt.start()

    def cancel(self, now: float) -> None:
        """Give up; nothing lands."""
        for place, attempt in enumerate(self._attempts):
            if attempt is not None:
                self._attempts[place] = None
                attempt.give_up(now)

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        missing = [each for each in self._attempts if each is not None]
        self.cancel(now)
        for attempt in missing:
            self._land(self._call, abandoned(self._call, attempt.place, attempt.member.node, now))

    def ended(self, attempt: Attempt | PgAttempt, now: float) -> None:
        """`Asker`."""
        self._attempts[attempt.place] = None
        self._land(self._call, _reply(self._call, attempt, now))


class Changed:
    """A poll of members of whom some are not there any more. absent: (place, why), a sentence."""

    __slots__ = ("_absent", "_call", "_land", "_poll")

    def __init__(
        self, poll: Poll, call: Call, absent: Sequence[tuple[int, str]], land: Land
    ) -> None:
        self._poll = poll
        self._call = call
        self._absent = absent
        self._land = land

    def start(self) -> None:
        """Ask those who are there, and say why the others are not asked."""
        self._poll.start()
        for place, why in self._absent:
            self._land(self._call, nobody(self._call, place, why))

    def cancel(self, now: float) -> None:
        """Give up; nothing lands."""
        self._poll.cancel(now)

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        self._poll.give_up(now)


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
        self._out: list[Attempt | PgAttempt] = []
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Ask the member that the balance chooses."""
        now = time.monotonic()
        self._cluster.budget.asked(now)
        member = self._cluster.choose(now, (), self._key)
        if member is None:
            self._land(self._call, nobody(self._call, 0, self._cluster.why_nobody()))
            return
        delay = self._delay()
        if delay is not None:
            self._timer = self._loop.call_later(delay, self._hedge)
        self._ask(member, now)

    def cancel(self, now: float) -> None:
        """Give up; nothing lands."""
        self._stop_timer()
        while self._out:
            self._out.pop().give_up(now)

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        if self._out:
            (node,) = self._call.nodes
            self.cancel(now)
            self._land(self._call, abandoned(self._call, 0, node, now, len(self._tried) - 1))

    def ended(self, attempt: Attempt | PgAttempt, now: float) -> None:
        """`Asker`."""
        self._out.remove(attempt)
        if attempt.status is Status.NORMAL:
            self._won(attempt, now)
        elif self._out:
            return  # a hedge, or the one it was to overtake, is this one's repeat
        else:
            successor = self._successor(attempt, now)
            if successor is not None:
                if self._cluster.budget.take(now):
                    self._ask(successor, now)
                    return
                attempt.msg += f"; {_NO_BUDGET}"
        self._stop_timer()
        self._call.nodes = (attempt.member.node,)
        self._land(self._call, _reply(self._call, attempt, now, len(self._tried) - 1))

    def _ask(self, member: ClusterMember, now: float) -> None:
        self._tried.append(member)
        is_lone = len(self._cluster.members) == 1
        attempt = _attempt(self, self._call.ask, member, now, 0, is_lone=is_lone)
        self._out.append(attempt)
        nodes = [each.member.keeper.node for each in self._out]
        self._call.nodes = (nodes[0] if len(nodes) == 1 else " and ".join(nodes),)
        attempt.start()

    def _successor(self, failed: Attempt | PgAttempt, now: float) -> ClusterMember | None:
        """Who may be asked instead: only if no byte went out, or the ask may be repeated."""
        if failed.was_sent and not self._repeatable:
            return None
        return self._cluster.choose(now, self._tried, self._key)

    def _won(self, winner: Attempt | PgAttempt, now: float) -> None:
        # Only who was asked first tells how long calls take: a hedge is asked in the slow cases,
        # and to learn from its speed alone would make the next hedges ever earlier.
        first = winner if winner.member is self._tried[0] else None
        while self._out:
            loser = self._out.pop()
            loser.lose(now)
            if loser.member is self._tried[0]:
                first = loser
        if first is not None:
            self._cluster.latencies.add(now - first.started)

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


def _attempt(
    asker: Asker,
    ask: Ask | Sql,
    member: ClusterMember,
    now: float,
    place: int,
    *,
    is_lone: bool = True,
) -> Attempt | PgAttempt:
    """is_lone: nobody else may be asked in its place."""
    if isinstance(ask, Sql):
        return PgAttempt(asker, ask, member, now, place, is_patient=is_lone)
    return Attempt(asker, ask, member, now, place)


_NO_BUDGET = "no other member was asked, as too many calls were repeated already"


def abandoned(call: Call, place: int, node: str, now: float, retries: int = 0) -> Reply:
    """The end of a call that nobody has waited for in all its time."""
    elapsed = now - call.sent_at
    msg = f"{node} was given up after {elapsed:.0f} s in which nobody waited"
    return Reply(place, node, Status.TIMEOUT, 0, msg, (), b"", elapsed, retries)


def nobody(call: Call, place: int, why: str) -> Reply:
    """The end of a call for which there is no member."""
    elapsed = time.monotonic() - call.sent_at
    return Reply(place, call.nodes[place], Status.NOT_CONNECTED, 0, why, (), b"", elapsed)


def _reply(call: Call, attempt: Attempt | PgAttempt, now: float, retries: int = 0) -> Reply:
    return Reply(
        attempt.place,
        attempt.member.keeper.node,
        attempt.status,
        attempt.code,
        attempt.msg,
        attempt.fields,
        attempt.body,
        now - call.sent_at,
        retries,
        attempt.answer if isinstance(attempt, PgAttempt) else None,
    )
