"""Calls in flight: one ask to one server, to the best member of a cluster, or to all members.

Runs on the loop, except for `nodes`. For each member asked exactly one reply lands in the call,
unless the call is cancelled; then nothing lands any more and every exchange is given up.
Whoever waits for a call keeps the time; the sweep here is for calls nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping

from skitai.engine import Call, Members, Origin, Reach, Reply
from skitai.errors import UnknownCluster
from skitai.results import Status
from skitaid.workers.settings import HttpCluster, Member

from .balance import BALANCES, Load
from .cluster import Cluster, ClusterMember
from .exchange import HttpExchange, Outcome
from .keeper import Address, ConnectionKeeper

CONNECTIONS_MAX = 256  # to one server from one worker; as many as handlers may wait by default
ORIGINS_MAX = 512  # servers of wget and rpc that are remembered with their connections
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
        self._dice = random.Random()
        self._tls: ssl.SSLContext | None = None
        self._origins: dict[Origin, Cluster] = {}
        self._legs: dict[Call, list[Leg]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.clusters = {name: self._cluster(each) for name, each in clusters.items()}

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
        if isinstance(call.target, Origin):
            cluster, reach = self._origin(call.target), Reach.ONE
        else:
            cluster, reach = self.clusters[call.target.cluster], call.target.reach
        if reach is Reach.ALL:
            legs = [Leg(self, call, i, each, None) for i, each in enumerate(cluster.members)]
        else:
            member = cluster.choose(time.monotonic(), ())
            assert member is not None  # a cluster has members
            legs = [Leg(self, call, 0, member, cluster)]
        self._legs[call] = legs
        self._sweep_later()
        for leg in legs:
            leg.start()

    def cancel(self, call: Call) -> None:
        """Give up whatever of a call is still out."""
        for leg in self._legs.pop(call, ()):
            leg.cancel()

    def close(self) -> None:
        """Give up everything. For the end of the worker."""
        for call in list(self._legs):
            self.cancel(call)
        if self._sweep is not None:
            self._sweep.cancel()
        for cluster in (*self.clusters.values(), *self._origins.values()):
            for member in cluster.members:
                member.keeper.close()

    def land(self, call: Call, reply: Reply) -> None:
        """One member's part is over."""
        call.replies.append(reply)
        if call.is_complete:
            self._legs.pop(call, None)
        self._landed(call)

    def roll(self) -> float:
        """0..1"""
        return self._dice.random()

    # --- members ---

    def _cluster(self, settings: HttpCluster) -> Cluster:
        members = [
            self._member(_address(each, self._tls_context() if settings.tls else None), each.weight)
            for each in settings.members
        ]
        return Cluster(settings.name, members, BALANCES[settings.balance], self._dice)

    def _origin(self, origin: Origin) -> Cluster:
        cluster = self._origins.get(origin)
        if cluster is None:
            self._forget_origins()
            tls = self._tls_context() if origin.tls else None
            member = self._member(Address(origin.host, origin.port, tls=tls), 1)
            cluster = Cluster(origin.node, [member], BALANCES["p2c"], self._dice)
            self._origins[origin] = cluster
        return cluster

    def _forget_origins(self) -> None:
        if len(self._origins) < ORIGINS_MAX:
            return
        for origin, cluster in list(self._origins.items()):
            if all(member.load.in_flight == 0 for member in cluster.members):
                for member in cluster.members:
                    member.keeper.close()
                del self._origins[origin]

    def _member(self, address: Address, weight: int) -> ClusterMember:
        keeper = ConnectionKeeper(self._loop, address, CONNECTIONS_MAX)
        return ClusterMember(keeper, Load(weight))

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

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


class Leg:
    """One member's part of a call. With a cluster to choose from it fails over to others."""

    __slots__ = (
        "_call",
        "_cluster",
        "_exchange",
        "_fanout",
        "_index",
        "_is_over",
        "_is_probe",
        "_member",
        "_started",
        "_tried",
    )

    def __init__(
        self,
        fanout: Fanout,
        call: Call,
        index: int,
        member: ClusterMember,
        cluster: Cluster | None,
    ) -> None:
        self._fanout = fanout
        self._call = call
        self._index = index
        self._member = member
        self._cluster = cluster
        self._tried: list[ClusterMember] = []
        self._started = 0.0
        self._is_probe = False
        self._is_over = False
        self._exchange: HttpExchange | None = None

    def start(self) -> None:
        """Ask the member."""
        member = self._member
        if self._cluster is not None:
            self._call.nodes = (member.node,)
        self._started = time.monotonic()
        self._is_probe = member.asked(self._started)
        self._exchange = HttpExchange(member.keeper, self._call.ask, self._done)
        self._exchange.start()

    def cancel(self) -> None:
        """Give up."""
        if not self._is_over:
            self._is_over = True
            assert self._exchange is not None
            self._exchange.cancel()
            now = time.monotonic()
            self._member.cancelled(self._is_probe, now - self._started, now)

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        if not self._is_over:
            self.cancel()
            waited = now - self._call.sent_at
            msg = f"{self._member.node} was given up after {waited:.0f} s in which nobody waited"
            self._land(Outcome(Status.TIMEOUT, 0, msg, (), b"", was_sent=True), now)

    def _done(self, outcome: Outcome) -> None:
        now = time.monotonic()
        if outcome.status is Status.NORMAL:
            self._member.answered(now - self._started, now)
        else:
            self._member.failed(self._is_probe, now, self._fanout.roll())
            successor = self._successor(outcome, now)
            if successor is not None:
                self._member = successor
                self.start()
                return
        self._is_over = True
        self._land(outcome, now)

    def _land(self, outcome: Outcome, now: float) -> None:
        self._fanout.land(
            self._call,
            Reply(
                self._index,
                self._member.node,
                outcome.status,
                outcome.code,
                outcome.msg,
                outcome.fields,
                outcome.body,
                now - self._call.sent_at,
            ),
        )

    def _successor(self, outcome: Outcome, now: float) -> ClusterMember | None:
        """Who may be asked instead: only if no byte went out, or the ask may be repeated."""
        self._tried.append(self._member)
        if self._cluster is None or (outcome.was_sent and not self._call.ask.idempotent):
            return None
        return self._cluster.choose(now, self._tried)


def _address(member: Member, tls: ssl.SSLContext | None) -> Address:
    return Address(member.host, member.port, member.unix, tls)
