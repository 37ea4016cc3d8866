"""The loop's side of a call alone: asks in, replies out, no handler and no decoding.

@on_uvloop
async def test_...(faults: FaultServer) -> None:
    with fetching() as ground:
        reply = await ground.fetch(faults, "/text")
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from asking import until
from fault_server import PATIENCE, FaultServer

from skitai.engine import Ask, Call, Members, Origin, Reach, Reply
from skitaid.workers.clients.cluster import ClusterMember
from skitaid.workers.clients.fanout import Fanout
from skitaid.workers.settings import HttpCluster

Target = FaultServer | Origin | Members


def get(path: str, fields: bytes = b"", follow: int = 0) -> Ask:
    """A GET request."""
    start = f"GET {path} HTTP/1.1\r\n".encode()
    return Ask(start, fields, b"", idempotent=True, follow=follow)


def post(path: str, body: bytes, fields: bytes = b"", follow: int = 0) -> Ask:
    """A POST request."""
    start = f"POST {path} HTTP/1.1\r\n".encode()
    lines = b"Content-Length: %d\r\n%b" % (len(body), fields)
    return Ask(start, lines, body, idempotent=False, follow=follow)


class Ground:
    """A fan-out with these clusters."""

    def __init__(self, *clusters: HttpCluster) -> None:
        loop = asyncio.get_running_loop()
        self._landed: dict[Call, asyncio.Future[None]] = {}
        self.fanout = Fanout(loop, {each.name: each for each in clusters}, self._on_landed)

    async def fetch(self, target: Target, ask: Ask | str) -> Reply:
        """The reply of the one who is asked."""
        (reply,) = await self.fetch_all(target, ask)
        return reply

    async def fetch_all(self, target: Target, ask: Ask | str) -> list[Reply]:
        """The replies of all who are asked, in their order."""
        call = self.start(target, ask)
        await self.landed(call)
        return sorted(call.replies, key=lambda reply: reply.member)

    def start(self, target: Target, ask: Ask | str) -> Call:
        """A call on its way."""
        call = Call(origin(target), get(ask) if isinstance(ask, str) else ask, PATIENCE)
        call.nodes = self.fanout.nodes(call.target)
        self._landed[call] = asyncio.get_running_loop().create_future()
        self.fanout.start(call)
        return call

    async def landed(self, call: Call) -> None:
        """When all of its replies are in."""
        await self._landed[call]

    def _on_landed(self, call: Call) -> None:
        if call.is_complete:
            self._landed[call].set_result(None)

    def member(self, target: Target) -> ClusterMember:
        """Who answers for a server that was asked by its URL, or first of a cluster."""
        place = origin(target)
        if isinstance(place, Members):
            return self.fanout.clusters[place.cluster].members[0]
        return self.fanout._servers._origins[place]

    async def at_rest(self, *targets: Target) -> list[tuple[int, int]]:
        """(size, idle) of the pools, when nothing is busy, being opened or waited for."""
        members = [self.member(each) for each in targets]
        pools = [member.keeper.pool for member in members]
        await until(lambda: not any(pool.busy or pool.opening or pool.waiting for pool in pools))
        assert all(member.load.in_flight == 0 for member in members)
        return [(pool.size, len(pool.idle)) for pool in pools]


def origin(target: Target) -> Origin | Members:
    """Where a fault server is."""
    return (
        Origin("127.0.0.1", target.port, tls=False) if isinstance(target, FaultServer) else target
    )


def one(cluster: str) -> Members:
    return Members(cluster, Reach.ONE)


@contextmanager
def fetching(*clusters: HttpCluster) -> Iterator[Ground]:
    ground = Ground(*clusters)
    try:
        yield ground
    finally:
        ground.fanout.close()
