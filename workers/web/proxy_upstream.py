"""One cluster as requests of clients are passed on to it: who gets them, and by which rules.

Runs on the loop. Health, load and budget are those of the cluster's book, which calls of apps use
too. The connections are of another kind, and so are their pools; `max_connections` holds for each.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from hashlib import blake2b

from msgspec.structs import replace

from skitai.cookie import pairs
from skitai.request import Request
from skitaid.workers.clients.balance import digest
from skitaid.workers.clients.cluster import Cluster, ClusterMember
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.clients.names import Names
from skitaid.workers.clients.streamed_connection import Fields, StreamedConnection
from skitaid.workers.settings import HttpCluster

from .proxy_cache import Store
from .proxy_caching import Caching
from .proxy_response import Known

log = logging.getLogger(__name__)

QUIET = 1.0  # seconds in which one failure is told; the others are counted


class Upstream:
    """rules: the conf's. fields_before: of the last answer. answered_before: what became of them,
    when they came twice in a row.

    key: makes the values of sticky cookies, the same in all workers. server: its name.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        conf: HttpCluster,
        cluster: Cluster,
        names: Names,
        key: bytes,
        server: str = "",
    ) -> None:
        self.loop = loop
        self.name = conf.name
        self.rules = conf.passing
        self.cluster = cluster
        self._goes_by_address = conf.balance == "hash"
        self._conf = conf
        self._limits = replace(conf.limits, read_timeout=self.rules.timeout)
        self._names = names
        self._key = key
        self._keepers: dict[ClusterMember, ConnectionKeeper[StreamedConnection]] = {}
        self._tokens: dict[str, ClusterMember] = {}  # of the members in `_open`
        self._open: list[ClusterMember] = []  # those who were asked when that was last looked at
        self.caching: Caching | None = None
        if self.rules.cache:
            self.caching = Caching(loop, Store(self.rules.cache), server)
        self.fields_before: Fields = []
        self.answered_before: Known | None = None
        self._quiet_until = 0.0  # monotonic
        self._untold = 0

    def keeper(self, member: ClusterMember) -> ConnectionKeeper[StreamedConnection]:
        """The connections to a member."""
        return self._keepers.get(member) or self._new_keeper(member)

    def choose(
        self, request: Request, now: float, tried: Collection[ClusterMember]
    ) -> ClusterMember | None:
        """Who gets a request; None when all were tried, or nobody is to be asked."""
        if self.rules.sticky and not tried:
            member = self._by_token().get(self._cookie(request))
            if member is not None and member.health.may_ask(now):
                return member
        key = digest(request.caller.address.encode()) if self._goes_by_address else None
        return self.cluster.choose(now, tried, key)

    def sticky_line(self, request: Request, member: ClusterMember, prefix: str) -> bytes:
        """Set-Cookie, for a client that is to come to this member again; b"" if it will."""
        token = self._token(member)
        if not self.rules.sticky or self._cookie(request) == token:
            return b""
        secure = "; Secure" if request.caller.scheme == "https" else ""
        value = f"{self.rules.sticky}={token}; Path={prefix or '/'}; HttpOnly; SameSite=Lax{secure}"
        return b"Set-Cookie: %b\r\n" % value.encode()

    def _new_keeper(self, member: ClusterMember) -> ConnectionKeeper[StreamedConnection]:
        """For its first request. Those of members that have gone are let go."""
        there = {*self.cluster.members, *self.cluster.leaving}
        self._keepers = {each: kept for each, kept in self._keepers.items() if each in there}
        keeper: ConnectionKeeper[StreamedConnection] = ConnectionKeeper(
            self.loop,
            member.keeper.address,
            self._conf.max_connections,
            self._limits,
            self._names,
            make=StreamedConnection,
        )
        member.join(keeper)
        self._keepers[member] = keeper
        return keeper

    def _by_token(self) -> dict[str, ClusterMember]:
        """Those who are asked, by what cookies say of them."""
        if self._open is not self.cluster.open:
            self._open = self.cluster.open
            self._tokens = {self._token(member): member for member in self._open}
        return self._tokens

    def _token(self, member: ClusterMember) -> str:
        """A member's name would tell who is behind us."""
        return blake2b(member.node.encode(), digest_size=8, key=self._key).hexdigest()

    def _cookie(self, request: Request) -> str:
        header = request.get_header("cookie", "") or ""
        return next((value for name, value in pairs(header) if name == self.rules.sticky), "")

    def complain(self, request: Request, reason: str) -> None:
        """A request has failed. Of many in one second one is told, with their number."""
        now = time.monotonic()
        if now < self._quiet_until:
            self._untold += 1
            return
        others, self._untold = self._untold, 0
        self._quiet_until = now + QUIET
        more = f" (and {others} others before)" if others else ""
        log.warning(
            "[@%s]: request %s, %s %s: %s%s",
            self.name,
            request.id,
            request.method,
            request.uri.partition("?")[0],
            reason,
            more,
        )

    def close(self) -> None:
        """Close all connections. For the end of the worker."""
        for keeper in self._keepers.values():
            keeper.close()
