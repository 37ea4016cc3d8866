"""Calls in flight: one ask to one server, to the best member of a cluster, or to all members.

Runs on the loop, except for `nodes`. For each member asked exactly one reply lands in the call,
unless the call is cancelled; then nothing lands any more and every exchange is given up.
Whoever waits for a call keeps the time; the sweep here is for calls nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from skitai import redirect
from skitai.engine import Call, Members, Origin, Reach, Reply
from skitai.errors import UnknownCluster
from skitaid.workers.settings import HttpCluster
from skitaid.workers.standing import Standing

from .cluster import Cluster, ClusterMember
from .journey import Journey
from .leg import Choice, Leg, Nobody
from .servers import Servers

SWEEP = 1.0  # seconds

Way = Leg | Nobody | Choice | Journey


class Fanout:
    """The outgoing calls of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clusters: Mapping[str, HttpCluster],
        landed: Callable[[Call], None],
    ) -> None:
        self._loop = loop
        self._landed = landed
        self._servers = Servers(loop, clusters)
        self._legs: dict[Call, list[Way]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.clusters = self._servers.clusters

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

    def nodes(self, target: Origin | Members) -> tuple[str, ...]:
        """The members that a call will ask. From any thread. Raises UnknownCluster."""
        if isinstance(target, Origin):
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
        legs = self._legs[call] = self._legs_of(call, call.target)
        self._sweep_later()
        for leg in legs:
            leg.start()

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

    def _legs_of(self, call: Call, target: Origin | Members) -> list[Way]:
        if isinstance(target, Origin):
            return [Leg(call, 0, self._servers.of(target), self.land)]
        cluster = self.clusters[target.cluster]
        if target.reach is Reach.ONE:
            return [Choice(self._loop, call, target, cluster, self.land)]
        if call.nodes is cluster.nodes:
            return [Leg(call, i, member, self.land) for i, member in enumerate(cluster.open)]
        # Members have changed since the call was made, a moment ago, or there are none.
        return [self._leg(call, i, cluster, node) for i, node in enumerate(call.nodes)]

    def _leg(self, call: Call, index: int, cluster: Cluster, node: str) -> Leg | Nobody:
        member = cluster.named(node)
        if member is not None:
            return Leg(call, index, member, self.land)
        is_one = not node.startswith("@")
        why = f"{node} has just left [@{cluster.name}]" if is_one else cluster.why_nobody()
        return Nobody(call, index, why, self.land)

    def _who_sent(self, call: Call, reply: Reply) -> ClusterMember:
        if isinstance(call.target, Origin):
            return self._servers.of(call.target)
        member = self.clusters[call.target.cluster].named(reply.node)
        assert member is not None  # it has just had something to answer
        return member

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
