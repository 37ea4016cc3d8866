"""Calls in flight: one ask to one server, to the best member of a cluster, or to all members.

Runs on the loop, except for `nodes`. For each member asked exactly one reply lands in the call,
unless the call is cancelled; then nothing lands any more and every exchange is given up.
Whoever waits for a call keeps the time; the sweep here is for calls nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from skitai import redirect
from skitai.engine import Call, Members, Origin, Reach, Reply
from skitai.errors import UnknownCluster
from skitaid.workers.settings import HttpCluster

from .cluster import ClusterMember
from .journey import Journey
from .leg import Choice, Poll
from .servers import Servers

SWEEP = 1.0  # seconds


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
        self._out: dict[Call, list[Poll | Choice | Journey]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.clusters = self._servers.clusters

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
        return cluster.nodes if target.reach is Reach.ALL else (f"@{target.cluster}",)

    def start(self, call: Call) -> None:
        """Send a call that has its nodes."""
        if call.cancelled:
            return
        part = self._asked_by(call, call.target)
        self._out[call] = [part]
        if self._sweep is None:
            self._sweep_later()
        part.start()

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

    def _asked_by(self, call: Call, target: Origin | Members) -> Poll | Choice:
        if isinstance(target, Origin):
            return Poll(call, (self._servers.of(target),), self.land)
        cluster = self.clusters[target.cluster]
        if target.reach is Reach.ONE:
            return Choice(self._loop, call, target, cluster, self.land)
        return Poll(call, cluster.members, self.land)

    def _who_sent(self, call: Call, reply: Reply) -> ClusterMember:
        if isinstance(call.target, Origin):
            return self._servers.of(call.target)
        members = self.clusters[call.target.cluster].members
        return next(member for member in members if member.node == reply.node)

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
