"""Calls in flight: one ask to one server, to the best member of a cluster, or to all members.

Runs on the loop, except for `nodes`. For each member asked exactly one reply lands in the call,
unless the call is cancelled; then nothing lands any more and every exchange is given up.
Whoever waits for a call keeps the time; the sweep here is for calls nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
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
from skitaid.workers.standing import Standing

from .cluster import Cluster, ClusterMember
from .databases import Databases
from .journey import Journey
from .leg import Changed, Choice, Poll
from .pg_session import PgSession, Step
from .servers import Counting, Servers

SWEEP = 1.0  # seconds

Way = Poll | Changed | Choice | Journey | Step


class Fanout:
    """The outgoing calls of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clusters: Mapping[str, HttpCluster],
        landed: Callable[[Call], None],
        databases: Databases | None = None,
        counting: Counting | None = None,
    ) -> None:
        """databases: None if there are none in the conf. counting: as for `Servers`."""
        self._loop = loop
        self._landed = landed
        self._servers = Servers(loop, clusters, counting=counting)
        self._out: dict[Call, list[Way]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.clusters = self._servers.clusters
        self.databases = databases or Databases(loop, {})

    async def find_members(self) -> None:
        """Follow names of members from now on; comes back when they are known, or soon after."""
        if self._servers.following:
            await asyncio.gather(*(each.start() for each in self._servers.following))

    @property
    def origins(self) -> list[ClusterMember]:
        """Servers named by a URL, who are remembered. From any thread."""
        return self._servers.origins

    def stand(self, standings: Iterable[Standing], *, is_forgiven: bool = False) -> None:
        """What an operator has said of members; of clusters that are not ours too."""
        now = time.monotonic()
        for standing in standings:
            cluster = self.clusters.get(standing.cluster)
            if cluster is not None:
                cluster.stand(standing, now, is_forgiven=is_forgiven)
            self.databases.stand(standing, now, is_forgiven=is_forgiven)

    def nodes(self, target: Target) -> tuple[str, ...]:
        """The members that a call will ask. From any thread. Raises UnknownCluster, WrongUse."""
        if not isinstance(target, Members):
            if isinstance(target, DatabaseServer | DatabaseMembers):
                return self.databases.nodes(target)
            return (target.node,)
        cluster = self.clusters.get(target.cluster)
        if cluster is None:
            known = ", ".join(f"@{name}" for name in self.clusters) or "none"
            raise UnknownCluster(
                f"the conf has no HTTP cluster [@{target.cluster}]; there are: {known}"
            )
        nodes = cluster.nodes if target.reach is Reach.ALL else ()
        return nodes or (f"@{target.cluster}",)

    def start(self, call: Call) -> None:
        """Send a call that has its nodes."""
        if call.cancelled:
            return
        part = self._asked_by(call, call.target)
        self._out[call] = [part]
        if self._sweep is None:
            self._sweep_later()
        part.start()

    def session(self, target: DatabaseServer | DatabaseMembers, request: Any) -> PgSession:
        """A transaction to be. From any thread. Raises as `nodes`."""
        (node,) = self.nodes(target)
        return PgSession(node, partial(self.databases.choose, target), request)

    def cancel(self, call: Call) -> None:
        """Give up whatever of a call is still out."""
        parts = self._out.pop(call, ())
        now = time.monotonic()
        for part in parts:
            part.cancel(now)

    def close(self) -> None:
        """Give up everything. For the end of the worker."""
        for call in list(self._out):
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
            self._out[call].append(journey)
            journey.start()
        else:
            self._settle(call, reply)

    def _settle(self, call: Call, reply: Reply) -> None:
        call.replies.append(reply)
        if call.is_complete:
            self._out.pop(call, None)
        self._landed(call)

    def _asked_by(self, call: Call, target: Target) -> Poll | Changed | Choice | Step:
        if isinstance(target, Members):
            cluster = self.clusters[target.cluster]
        elif isinstance(target, Origin):
            return Poll(call, ((0, self._servers.of(target)),), self.land)
        elif isinstance(target, DatabaseServer):
            return Poll(call, ((0, self.databases.of(target)),), self.land)
        elif isinstance(target, PgSession):
            return Step(call, target, self.land)
        else:
            assert isinstance(target, DatabaseMembers)
            cluster = self.databases.cluster(target)
            if target.reach is Reach.FIRST:
                if cluster.open and cluster.open[0].keeper.node == call.nodes[0]:
                    return Poll(call, ((0, cluster.open[0]),), self.land)
                return self._changed(call, cluster)
        if target.reach is Reach.ONE:
            return Choice(self._loop, call, target, cluster, self.land)
        if call.nodes is cluster.nodes:
            return Poll(call, enumerate(cluster.open), self.land)
        return self._changed(call, cluster)

    def _changed(self, call: Call, cluster: Cluster) -> Changed:
        """Members have changed since the call was made, a moment ago, or there are none."""
        members = [(place, cluster.named(node)) for place, node in enumerate(call.nodes)]
        there = [(place, member) for place, member in members if member is not None]
        absent = [
            (place, self._why_absent(cluster, call.nodes[place]))
            for place, member in members
            if member is None
        ]
        return Changed(Poll(call, there, self.land), call, absent, self.land)

    def _why_absent(self, cluster: Cluster, node: str) -> str:
        is_nobody = node.startswith("@")
        return cluster.why_nobody() if is_nobody else f"{node} has just left [@{cluster.name}]"

    def _who_sent(self, call: Call, reply: Reply) -> ClusterMember:
        if isinstance(call.target, Origin):
            return self._servers.of(call.target)
        assert isinstance(call.target, Members)  # databases redirect nobody
        member = self.clusters[call.target.cluster].named(reply.node)
        assert member is not None  # it has just had something to answer
        return member

    # --- calls nobody waits for ---

    def _sweep_later(self) -> None:
        self._sweep = self._loop.call_later(SWEEP, self._sweep_expired)

    def _sweep_expired(self) -> None:
        self._sweep = None
        now = time.monotonic()
        for call in [each for each in self._out if each.expires < now]:
            for part in self._out.pop(call):
                part.give_up(now)
        if self._out:
            self._sweep_later()
