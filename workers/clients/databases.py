"""Which databases can be asked: the clusters of the conf, and whoever a call names.

Runs on the loop, but for `nodes`, which reads what does not change. A database named by a call is
remembered, with its connections, until there are too many of them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from itertools import chain
from typing import Any

from skitai.engine import DatabaseMembers, DatabaseServer, Reach
from skitai.errors import UnknownCluster, WrongUse
from skitaid.workers.settings import Database, DatabaseAccess, DatabaseCluster, DatabaseLimits
from skitaid.workers.standing import Standing

from .balance import Load, digest
from .cluster import Cluster, ClusterMember
from .pg_keeper import PgKeeper
from .servers import Counting

SERVERS_MAX = 64  # named by calls; each may have as many connections as the defaults say


class DatabaseGroup:
    """A `[@name]` section at work. all: its members; writable: those that are no replicas."""

    def __init__(self, whole: Cluster, writable: Cluster | None) -> None:
        self.all = whole
        self.writable = writable


class Databases:
    """Of one worker.

    application: what we are called in pg_stat_activity. counting: as for `Servers`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clusters: Mapping[str, DatabaseCluster],
        application: str = "skitai",
        counting: Counting | None = None,
    ) -> None:
        self._loop = loop
        self._counting = counting
        self._application = application
        self._dice = random.Random()
        self._servers: dict[DatabaseServer, ClusterMember] = {}
        self.groups = {name: self._group(each) for name, each in clusters.items()}

    def nodes(self, target: DatabaseServer | DatabaseMembers) -> tuple[str, ...]:
        """The members that a call will ask. From any thread. Raises UnknownCluster, WrongUse."""
        if isinstance(target, DatabaseServer):
            return (target.node,)
        nodes = self.cluster(target).nodes
        if target.reach is Reach.FIRST:
            nodes = nodes[:1]
        elif target.reach is Reach.ONE:
            nodes = ()
        return nodes or (f"@{target.cluster}",)

    def cluster(self, target: DatabaseMembers) -> Cluster:
        """Those of a cluster that are meant. Raises UnknownCluster, WrongUse."""
        group = self._known(target.cluster)
        if target.reach is Reach.FIRST:
            return group.writable or group.all
        if not target.is_write:
            return group.all
        if group.writable is None:
            raise WrongUse(f"all members of [@{target.cluster}] are replicas, which only read")
        return group.writable

    def of(self, server: DatabaseServer) -> ClusterMember:
        """The database that a call names."""
        member = self._servers.get(server)
        if member is None:
            self._forget_some()
            member = self._servers[server] = self._made(server, DatabaseLimits(), DatabaseAccess())
        return member

    def choose(self, target: DatabaseServer | DatabaseMembers) -> ClusterMember | None:
        """Who is asked for a transaction; None: nobody is to be asked."""
        if isinstance(target, DatabaseServer):
            return self.of(target)
        cluster = self.cluster(target)
        if target.reach is Reach.FIRST:
            return cluster.open[0] if cluster.open else None
        return cluster.choose(time.monotonic(), ())

    def stand(self, standing: Standing, now: float, *, is_forgiven: bool = False) -> None:
        """What an operator has said of a member; of clusters that are not ours too."""
        group = self.groups.get(standing.cluster)
        if group is not None:
            group.all.stand(standing, now, is_forgiven=is_forgiven)
            if group.writable is not None and group.writable is not group.all:
                group.writable.stand(standing, now, is_forgiven=is_forgiven)

    @property
    def servers(self) -> list[ClusterMember]:
        """Those named by calls, who are remembered. From any thread."""
        return list(self._servers.values())

    def close(self) -> None:
        """Close all connections. For the end of the worker."""
        members = [group.all.members for group in self.groups.values()]
        for member in chain(*members, self._servers.values()):
            member.keeper.close()

    def _known(self, name: str) -> DatabaseGroup:
        group = self.groups.get(name)
        if group is None:
            known = ", ".join(f"@{each}" for each in self.groups) or "none"
            raise UnknownCluster(
                f"the conf has no cluster [@{name}] with type = postgresql; there are: {known}"
            )
        return group

    def _forget_some(self) -> None:
        if len(self._servers) < SERVERS_MAX:
            return
        for server, member in list(self._servers.items()):
            if member.load.in_flight == 0 and not member.keeper.pool.busy:
                member.keeper.close()
                del self._servers[server]

    def _group(self, settings: DatabaseCluster) -> DatabaseGroup:
        members = [self._member(settings, each) for each in settings.members]
        writable = [
            member
            for member, each in zip(members, settings.members, strict=True)
            if not each.is_replica
        ]
        whole = self._cluster(settings, members)
        if len(writable) == len(members):
            return DatabaseGroup(whole, whole)
        return DatabaseGroup(whole, self._cluster(settings, writable) if writable else None)

    def _cluster(self, settings: DatabaseCluster, members: list[ClusterMember]) -> Cluster:
        return Cluster(settings.name, members, settings.balance, self._dice, settings.hedge)

    def _member(self, settings: DatabaseCluster, database: Database) -> ClusterMember:
        server = DatabaseServer(
            database.host,
            database.port,
            database.name,
            database.user,
            database.password,
            database.unix,
        )
        member = self._made(server, settings.limits, settings.access, settings.name)
        member.weight = member.load.weight = database.weight
        return member

    def _made(
        self,
        server: DatabaseServer,
        limits: DatabaseLimits,
        access: DatabaseAccess,
        cluster: str = "",
    ) -> ClusterMember:
        # In the place of a keeper of HTTP connections: whoever asks by SQL takes it for what it is.
        keeper: Any = PgKeeper(self._loop, server, limits, access, self._application)
        load = Load(identity=digest(server.node.encode()))
        # A call may name any database at all: they are counted together.
        node = server.node if cluster else ""
        upstream = {} if self._counting is None else self._counting(cluster, node)
        return ClusterMember(keeper, load, cluster, upstream=upstream)
