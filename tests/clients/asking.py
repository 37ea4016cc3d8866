"""The asking side of a worker, alone on a uvloop loop: for tests that need no handler.

@on_uvloop
async def test_...(faults: FaultServer) -> None:
    with asking(faults) as ground:
        result = await ground.get("/text")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from fault_server import PATIENCE, FaultServer
from on_loop import on_uvloop as on_uvloop
from on_loop import until as until

from skitai import asks
from skitai.calls import Filter, HttpHandle
from skitai.engine import Ask, Call, Members, Reach
from skitai.rcache import Memory
from skitai.results import Result, Results
from skitaid.workers.clients.attempt import Attempt
from skitaid.workers.clients.balance import Load
from skitaid.workers.clients.cluster import ClusterMember
from skitaid.workers.clients.fanout import Fanout
from skitaid.workers.clients.flights import Flights
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.engine import WorkerEngine
from skitaid.workers.handoff import Handoff
from skitaid.workers.settings import HttpCluster, Member
from skitaid.workers.slots import Slots
from skitaid.workers.threads import HandlerThreads


class Ground:
    """An engine with one cluster, "all": its members are servers on loopback."""

    def __init__(self, ports: list[int], balance: str = "roundrobin") -> None:
        loop = asyncio.get_running_loop()
        members = tuple(Member("127.0.0.1", port) for port in ports)
        cluster = HttpCluster("all", members, tls=False, balance=balance, where="test.conf:1")
        handoff = Handoff(loop)
        threads = HandlerThreads(loop, handoff, Slots(1), 1, 1)
        self.fanout = Fanout(loop, {"all": cluster}, threads.landed)
        store = Memory(entries=100, size=1024 * 1024)
        self.flights = Flights(loop, self.fanout, store, handoff, threads.landed, threads.submit)
        self.engine = WorkerEngine(loop, handoff, threads, self.flights, lambda record: None)

    @property
    def keepers(self) -> list[ConnectionKeeper]:
        return [member.keeper for member in self.fanout.clusters["all"].members]

    @property
    def keeper(self) -> ConnectionKeeper:
        return self.keepers[0]

    def send(self, ask: Ask, reach: Reach = Reach.ONE, filter: Filter | None = None) -> HttpHandle:
        return HttpHandle(self.engine, Members("all", reach), ask, filter)

    def call(self, ask: Ask, reach: Reach = Reach.ONE) -> Call:
        """A call on its way, without a handle."""
        call = Call(Members("all", reach), ask, PATIENCE)
        self.engine.send(call)
        return call

    async def ask(self, ask: Ask, timeout: float = PATIENCE) -> Result:
        """The result of the member that is chosen."""
        return await result_of(self.send(ask), timeout)

    async def get(self, path: str, timeout: float = PATIENCE) -> Result:
        return await self.ask(asks.get(path.encode()), timeout)

    async def post(self, path: str, body: bytes = b"") -> Result:
        return await self.ask(asks.post(path.encode(), b"text/plain", body))

    async def map(self, path: str, timeout: float = PATIENCE) -> Results:
        """The results of all members."""
        handle = self.send(asks.get(path.encode()), Reach.ALL)
        return cast(Results, await handle.wait(timeout))

    async def at_rest(self) -> list[tuple[int, int]]:
        """When nothing is busy, being opened or waited for: (size, idle) of each member."""
        pools = [keeper.pool for keeper in self.keepers]
        await until(lambda: not any(pool.busy or pool.opening or pool.waiting for pool in pools))
        return [(pool.size, len(pool.idle)) for pool in pools]


@contextmanager
def asking(*servers: FaultServer | int, balance: str = "roundrobin") -> Iterator[Ground]:
    """A ground whose cluster has these servers, or ports."""
    ports = [each if isinstance(each, int) else each.port for each in servers]
    ground = Ground(ports, balance)
    try:
        yield ground
    finally:
        ground.fanout.close()


async def exchange(keeper: ConnectionKeeper, ask: Ask) -> Attempt:
    """One ask on one keeper, without a cluster; it has ended."""
    asker = _Asker(asyncio.get_running_loop().create_future())
    Attempt(asker, ask, ClusterMember(keeper, Load()), time.monotonic()).start()
    return await asker.ending


@dataclass
class _Asker:
    ending: asyncio.Future[Attempt]

    def ended(self, attempt: Attempt, now: float) -> None:
        self.ending.set_result(attempt)


async def result_of(handle: HttpHandle, timeout: float = PATIENCE) -> Result:
    """The result of a call to one server."""
    return cast(Result, await handle.wait(timeout))


def in_thread(function: Callable[..., None], *args: object) -> Awaitable[None]:
    """A wait of the fault server's, off the loop."""
    return asyncio.to_thread(function, *args)
