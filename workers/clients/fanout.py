"""Calls in flight: one ask to one server, to the best member of a cluster, or to all members.

Runs on the loop, except for `nodes`. For each member asked exactly one reply lands in the call,
unless the call is cancelled; then nothing lands any more and every exchange is given up.
Whoever waits for a call keeps the time; the sweep here is for calls nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from skitai import redirect
from skitai.engine import (
    Call,
    DatabaseMembers,
    DatabaseServer,
    Members,
    Origin,
    Reach,
    Reply,
    Target,
)
from skitai.errors import UnknownCluster
from skitaid.workers.settings import HttpCluster

from .cluster import ClusterMember
from .databases import Databases
from .journey import Journey
from .leg import Choice, Leg
from .pg_session import PgSession, Step
from .servers import Servers

SWEEP = 1.0  # seconds


class Fanout:
    """The outgoing calls of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clusters: Mapping[str, HttpCluster],
        landed: Callable[[Call], None],
        databases: Databases | None = None,
    ) -> None:
        """databases: None if there are none in the conf."""
        self._loop = loop
        self._landed = landed
        self._servers = Servers(loop, clusters)
        self._legs: dict[Call, list[Leg | Choice | Journey | Step]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.clusters = self._servers.clusters
        self.databases = databases or Databases(loop, {})

    def nodes(self, target: Target) -> tuple[str, ...]:
        """The members that a call will ask. From any thread. Raises UnknownCluster, WrongUse."""
        if isinstance(target, Origin):
            return (target.node,)
        if isinstance(target, DatabaseServer | DatabaseMembers):
            return self.databases.nodes(target)
        if not isinstance(target, Members):
            return (target.node,)
        cluster = self.clusters.get(target.cluster)
        if cluster is None:
            known = ", ".join(f"@{name}" for name in self.clusters) or "none"
            raise UnknownCluster(
                f"the conf has no HTTP cluster [@{target.cluster}]; there are: {known}"
            )
        return cluster.nodes if target.reach is Reach.ALL else (f"@{target.cluster}",)

    def start(self, call: Call) -> None:
        """Send a call that has its nodes."""
        if call.cancelled:
            return
        legs = self._legs[call] = self._legs_of(call, call.target)
        self._sweep_later()
        for leg in legs:
            leg.start()

    def session(self, target: DatabaseServer | DatabaseMembers, request: Any) -> PgSession:
        """A transaction to be. From any thread. Raises as `nodes`."""
        (node,) = self.nodes(target)
        return PgSession(node, partial(self._choose, target), request)

    def _choose(self, target: DatabaseServer | DatabaseMembers) -> ClusterMember:
        if isinstance(target, DatabaseServer):
            return self.databases.of(target)
        cluster = self.databases.cluster(target)
        if target.reach is Reach.FIRST:
            return cluster.members[0]
        member = cluster.choose(time.monotonic(), ())
        assert member is not None
        return member

    def cancel(self, call: Call) -> None:
        """Give up whatever of a call is still out."""
        legs = self._legs.pop(call, ())
        now = time.monotonic()
        for leg in legs:
            leg.cancel(now)

    def close(self) -> None:
        """Give up everything. For the end of the worker."""
        for call in list(self._legs):
            self.cancel(call)
        if self._sweep is not None:
            self._sweep.cancel()
        self._servers.close()
        self.databases.close()

    def land(self, call: Call, reply: Reply) -> None:
        """One member's part is over, unless it is a redirect that is to be followed."""
        if call.ask.follow and reply.code in redirect.CODES:
            member = self._who_sent(call, reply)
            journey = Journey(call, reply, member, self._servers.of, self._settle)
            self._legs[call][reply.member] = journey
            journey.start()
        else:
            self._settle(call, reply)

    def _settle(self, call: Call, reply: Reply) -> None:
        call.replies.append(reply)
        if call.is_complete:
            self._legs.pop(call, None)
        self._landed(call)

    def _legs_of(self, call: Call, target: Target) -> list[Leg | Choice | Journey | Step]:
        if isinstance(target, Origin):
            return [Leg(call, 0, self._servers.of(target), self.land)]
        if isinstance(target, DatabaseServer):
            return [Leg(call, 0, self.databases.of(target), self.land)]
        if isinstance(target, PgSession):
            return [Step(call, target, self.land)]
        if isinstance(target, Members):
            cluster = self.clusters[target.cluster]
        else:
            assert isinstance(target, DatabaseMembers)
            cluster = self.databases.cluster(target)
        if target.reach is Reach.ONE:
            return [Choice(self._loop, call, target, cluster, self.land)]
        members = cluster.members[:1] if target.reach is Reach.FIRST else cluster.members
        return [Leg(call, i, member, self.land) for i, member in enumerate(members)]

    def _who_sent(self, call: Call, reply: Reply) -> ClusterMember:
        if isinstance(call.target, Origin):
            return self._servers.of(call.target)
        assert isinstance(call.target, Members)  # databases redirect nobody
        members = self.clusters[call.target.cluster].members
        return next(member for member in members if member.node == reply.node)

    # --- calls nobody waits for ---

    def _sweep_later(self) -> None:
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP, self._sweep_expired)

    def _sweep_expired(self) -> None:
        self._sweep = None
        now = time.monotonic()
        for call in [each for each in self._legs if each.expires < now]:
            for leg in self._legs.pop(call):
                leg.give_up(now)
        if self._legs:
            self._sweep_later()
