"""The asking side of a worker with databases, alone on a uvloop loop: for tests without a server.

@on_uvloop
async def test_...(database: Place) -> None:
    with ground(database) as asked:
        result = await asked.db("SELECT 1")
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from on_loop import until

from skitai.engine import DatabaseMembers, DatabaseServer, Reach
from skitai.rcache import Memory
from skitai.results import Results, SqlResult
from skitai.sql import Params
from skitai.sql_calls import SqlHandle
from skitaid.workers.clients.databases import Databases
from skitaid.workers.clients.fanout import Fanout
from skitaid.workers.clients.flights import Flights
from skitaid.workers.clients.pg_keeper import PgKeeper
from skitaid.workers.engine import WorkerEngine
from skitaid.workers.handoff import Handoff
from skitaid.workers.settings import Database, DatabaseAccess, DatabaseCluster, DatabaseLimits
from skitaid.workers.slots import Slots
from skitaid.workers.threads import HandlerThreads

PATIENCE = 30.0
REQUEST = SimpleNamespace(method="GET", path="/report")


@dataclass(frozen=True, slots=True)
class Place:
    """A database: where, and what it is called."""

    port: int
    name: str
    user: str = "postgres"
    password: str = "anything"
    host: str = "127.0.0.1"
    is_replica: bool = False

    @property
    def server(self) -> DatabaseServer:
        return DatabaseServer(self.host, self.port, self.name, self.user, self.password)

    @property
    def member(self) -> Database:
        return Database(
            self.host, self.port, self.name, self.user, self.password, is_replica=self.is_replica
        )


class NoErrand:
    """For who asks without a request."""

    deadline = math.inf
    is_client_gone = False
    waited = 0.0

    def __init__(self) -> None:
        self.held: list[Any] = []

    def sent(self, call: Any) -> None: ...

    def check(self) -> None: ...

    def holds(self, holding: Any) -> None:
        self.held.append(holding)

    def let_go(self, holding: Any) -> None:
        if holding in self.held:
            self.held.remove(holding)


class DbGround:
    """An engine with a cluster "all" of these databases."""

    def __init__(
        self, places: list[Place], limits: DatabaseLimits, access: DatabaseAccess, balance: str
    ) -> None:
        loop = asyncio.get_running_loop()
        members = tuple(place.member for place in places)
        self.places = places
        cluster = DatabaseCluster(
            "all", members, balance, "test.conf:1", limits=limits, access=access
        )
        handoff = Handoff(loop)
        threads = HandlerThreads(loop, handoff, Slots(1), 1, 1)
        self.databases = Databases(loop, {"all": cluster}, "skitai test")
        self.fanout = Fanout(loop, {}, threads.landed, self.databases)
        store = Memory(entries=100, size=1024 * 1024)
        self.flights = Flights(loop, self.fanout, store, handoff, threads.landed, threads.submit)
        self.engine = WorkerEngine(loop, handoff, threads, self.flights, lambda record: None)
        self.errand = NoErrand()

    @property
    def keepers(self) -> list[PgKeeper]:
        members = self.databases.groups["all"].all.members
        return [cast(PgKeeper, member.keeper) for member in members]

    @property
    def keeper(self) -> PgKeeper:
        return self.keepers[0]

    def handle(
        self, target: DatabaseServer | DatabaseMembers, timeout: float = PATIENCE
    ) -> SqlHandle:
        return SqlHandle(
            self.engine,
            target,
            None,
            request=cast(Any, REQUEST),
            timeout=timeout,
            errand=cast(Any, self.errand),
        )

    def first(self, timeout: float = PATIENCE) -> SqlHandle:
        return self.handle(DatabaseMembers("all", Reach.FIRST), timeout)

    async def db(
        self, statement: str, params: Params = None, timeout: float = PATIENCE
    ) -> SqlResult:
        """Asked of the first member."""
        return cast(SqlResult, await self.first().execute(statement, params).wait(timeout))

    async def dlb(
        self, statement: str, timeout: float = PATIENCE, *, write: bool = False
    ) -> SqlResult:
        target = DatabaseMembers("all", Reach.ONE, write)
        return cast(SqlResult, await self.handle(target).execute(statement).wait(timeout))

    async def dmap(self, statement: str, timeout: float = PATIENCE) -> Results:
        target = DatabaseMembers("all", Reach.ALL)
        return cast(Results, await self.handle(target).execute(statement).wait(timeout))

    async def at_rest(self) -> list[tuple[int, int]]:
        """When nothing is busy, being opened or waited for: (size, idle) of each member."""
        pools = [keeper.pool for keeper in self.keepers]
        await until(lambda: not any(pool.busy or pool.opening or pool.waiting for pool in pools))
        return [(pool.size, len(pool.idle)) for pool in pools]


@contextmanager
def ground(
    *places: Place,
    limits: DatabaseLimits | None = None,
    access: DatabaseAccess | None = None,
    balance: str = "roundrobin",
) -> Iterator[DbGround]:
    """A ground whose cluster has these databases."""
    made = DbGround(list(places), limits or DatabaseLimits(), access or DatabaseAccess(), balance)
    try:
        yield made
    finally:
        made.fanout.close()
