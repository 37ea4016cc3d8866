"""Who can be asked: the clusters of the conf, and whoever a URL names.

Runs on the loop, but for `clusters`, of which other threads read names and nodes. A server named
by a URL is remembered, with its connections, until there are too many of them. Only those are asked
by the proxies of the environment: a conf says itself where members are.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain

from skitai.engine import Origin
from skitaid.workers.ledger import Series
from skitaid.workers.settings import (
    CONNECTIONS_MAX,
    ClientLimits,
    ClientTls,
    HttpCluster,
    Member,
)

from . import proxy
from .balance import Load, digest
from .client_tls import Contexts
from .cluster import Cluster, ClusterMember
from .dial import Address
from .following import Following
from .keeper import ConnectionKeeper
from .names import Names
from .proxy import Proxies

log = logging.getLogger(__name__)

ORIGINS_MAX = 512

Counting = Callable[[str, str], Mapping[str, Series]]  # cluster and node; by outcome


class Servers:
    """Of one worker. environ: where the proxies are. counting: gives a member its series.

    following: what looks up the names of members, one for each cluster that has such.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clusters: Mapping[str, HttpCluster],
        environ: Mapping[str, str] = os.environ,
        counting: Counting | None = None,
    ) -> None:
        self._loop = loop
        self._counting = counting
        self._dice = random.Random()
        self._names = Names()
        self._contexts = Contexts()
        self._proxies = _proxies(environ)
        self._origins: dict[Origin, ClusterMember] = {}
        self.following: list[Following] = []
        self.clusters = {name: self._cluster(each) for name, each in clusters.items()}

    def of(self, origin: Origin) -> ClusterMember:
        """The server that a URL names."""
        member = self._origins.get(origin)
        if member is None:
            self._forget_some()
            tls = self._contexts.of(ClientTls()) if origin.tls else None
            address = Address(origin.host, origin.port, tls=tls, proxy=self._proxies.of(origin))
            member = self._member(address, CONNECTIONS_MAX, ClientLimits())
            self._origins[origin] = member
        return member

    @property
    def origins(self) -> list[ClusterMember]:
        """Those named by a URL, who are remembered. From any thread."""
        return list(self._origins.values())

    def close(self) -> None:
        """Close all connections. For the end of the worker."""
        for following in self.following:
            following.stop()
        clusters = [(*each.members, *each.leaving) for each in self.clusters.values()]
        for member in chain(*clusters, self._origins.values()):
            member.keeper.close()  # whoever has made others closes them

    def _forget_some(self) -> None:
        if len(self._origins) < ORIGINS_MAX:
            return
        for origin, member in list(self._origins.items()):
            if member.load.in_flight == 0:
                member.keeper.close()
                del self._origins[origin]

    def _cluster(self, settings: HttpCluster) -> Cluster:
        make = partial(self._member_of, settings)
        members = [make(each) for each in settings.members if not each.dns]
        cluster = Cluster(settings.name, members, settings.balance, self._dice, settings.hedge)
        if any(each.dns for each in settings.members):
            self.following.append(
                Following(self._loop, cluster, settings.members, make, settings.dns_every)
            )
        return cluster

    def _member_of(self, settings: HttpCluster, member: Member, at: str = "") -> ClusterMember:
        """at: which of its addresses, of one with dns."""
        tls = self._contexts.of(settings.trust) if settings.tls else None
        return self._member(
            Address(member.host, member.port, member.unix, tls, at=at),
            settings.max_connections,
            settings.limits,
            member.weight,
            settings.name,
        )

    def _member(
        self,
        address: Address,
        cap: int,
        limits: ClientLimits,
        weight: int = 1,
        cluster: str = "",
    ) -> ClusterMember:
        keeper = ConnectionKeeper(self._loop, address, cap, limits, self._names)
        load = Load(weight, identity=digest(keeper.node.encode()))
        # A URL may name any server at all: they are counted together.
        node = keeper.node if cluster else ""
        upstream = {} if self._counting is None else self._counting(cluster, node)
        return ClusterMember(keeper, load, cluster, weight=weight, upstream=upstream)


def _proxies(environ: Mapping[str, str]) -> Proxies:
    try:
        return proxy.from_environment(environ)
    except ValueError as error:
        log.error("%s: servers named by a URL are asked directly", error)
        return Proxies(None, None, ())
