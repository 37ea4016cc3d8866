"""`members = dns:name:port`: members come and go with the addresses of a name."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from asking import in_thread, on_uvloop, until
from fault_server import PATIENCE, Board, FaultServer, Seen, Talk, response
from name_server import NameServer
from operator_session import Home
from waits import wait_until

from skitai import asks
from skitai.calls import HttpHandle
from skitai.engine import Members, Reach
from skitai.rcache import Memory
from skitai.results import Status
from skitaid.workers.clients.fanout import Fanout
from skitaid.workers.clients.flights import Flights
from skitaid.workers.clients.following import Following
from skitaid.workers.clients.names import Place
from skitaid.workers.engine import WorkerEngine
from skitaid.workers.handoff import Handoff
from skitaid.workers.settings import HttpCluster, Member
from skitaid.workers.slots import Slots
from skitaid.workers.standing import Standing, State
from skitaid.workers.threads import HandlerThreads

SHORT = 0.001  # seconds between look-ups; a test waits for what they bring


class Ground:
    """An engine with the cluster "all", whose members are what `addresses` says."""

    def __init__(self, members: tuple[Member, ...]) -> None:
        loop = asyncio.get_running_loop()
        self.addresses: dict[str, list[str] | Exception] = {}  # by name
        cluster = HttpCluster("all", members, False, "roundrobin", "test.conf:1", dns_every=SHORT)
        handoff = Handoff(loop)
        threads = HandlerThreads(loop, handoff, Slots(1), 1, 1)
        self.fanout = Fanout(loop, {"all": cluster}, threads.landed)
        flights = Flights(
            loop, self.fanout, Memory(9, 9999), handoff, threads.landed, threads.submit
        )
        self.engine = WorkerEngine(loop, handoff, threads, flights, lambda record: None)
        (following,) = self.fanout._servers.following
        following._look_up = self._look_up
        self.following: Following = following
        self.cluster = self.fanout.clusters["all"]

    async def _look_up(self, host: str, port: int) -> list[Place]:
        found = self.addresses[host]
        if isinstance(found, Exception):
            raise found
        return [Place(socket.AF_INET, (each, port)) for each in found]

    def send(self, path: bytes, reach: Reach) -> HttpHandle:
        return HttpHandle(self.engine, Members("all", reach), asks.get(path), None)

    async def one(self, path: bytes = b"/text") -> Any:
        return await self.send(path, Reach.ONE).wait(PATIENCE)

    async def all(self, path: bytes = b"/text") -> Any:
        return await self.send(path, Reach.ALL).wait(PATIENCE)

    async def are(self, *nodes: str) -> None:
        """Wait until these are the members."""
        await until(lambda: self.cluster.nodes == nodes)


@contextmanager
def ground(*members: Member) -> Iterator[Ground]:
    ground = Ground(members)
    try:
        yield ground
    finally:
        ground.fanout.close()


@pytest.fixture
def servers() -> Iterator[list[FaultServer]]:
    """Three with one port, at different addresses of this machine."""
    with ExitStack() as stack:
        yield _of_one_port(stack)


def _of_one_port(stack: ExitStack) -> list[FaultServer]:
    while True:
        with ExitStack() as tried:
            first = tried.enter_context(FaultServer())
            try:
                second = tried.enter_context(FaultServer(host="127.0.0.2", port=first.port))
                third = tried.enter_context(FaultServer(host="127.0.0.3", port=first.port))
            except OSError:  # somebody else has that port there
                continue
            stack.enter_context(tried.pop_all())
            return [first, second, third]


def name(servers: list[FaultServer], host: str = "search.test", weight: int = 1) -> Member:
    return Member(host, servers[0].port, weight, dns=True)


@on_uvloop
async def test_each_address_is_a_member(servers: list[FaultServer]) -> None:
    """In the place of the name, beside members that are no names; requests go by the name."""
    other = servers[2]
    with ground(Member(other.host, other.port), name(servers)) as place:
        place.addresses["search.test"] = ["127.0.0.2", "127.0.0.1"]
        await place.fanout.find_members()
        results = await place.all()
        assert [each.node for each in results] == [other.node, servers[0].node, servers[1].node]
        assert [each.status for each in results] == [Status.NORMAL] * 3
        assert servers[1].seen[0].fields["host"] == f"search.test:{servers[1].port}"


@on_uvloop
async def test_members_come_and_go(servers: list[FaultServer]) -> None:
    """A new one is asked, one that is gone is not; who stays keeps connections and history."""
    with ground(name(servers)) as place:
        place.addresses["search.test"] = ["127.0.0.1", "127.0.0.2"]
        await place.fanout.find_members()
        await place.all()
        stays = place.cluster.members[1]
        place.addresses["search.test"] = ["127.0.0.3", "127.0.0.2"]
        await place.are(servers[1].node, servers[2].node)
        assert place.cluster.members[0] is stays
        assert len(stays.keeper.pool.idle) == 1
        assert [each.node for each in await place.all()] == [servers[1].node, servers[2].node]
        assert len(servers[0].seen) == 1


@on_uvloop
async def test_who_leaves_answers_what_it_was_asked(servers: list[FaultServer]) -> None:
    """Then its connections close; those that were idle at once."""
    with ground(name(servers)) as place:
        place.addresses["search.test"] = ["127.0.0.1"]
        await place.fanout.find_members()
        waiting = place.send(b"/gate/a", Reach.ALL)
        await in_thread(servers[0].wait_seen, 1)
        await place.one()
        await in_thread(servers[0].wait_talks, 2)
        place.addresses["search.test"] = ["127.0.0.2"]
        await place.are(servers[1].node)
        await in_thread(servers[0].wait_talks, 1)
        servers[0].open("a")
        (result,) = await waiting.wait(PATIENCE)
        assert (result.status, result.node) == (Status.NORMAL, servers[0].node)
        await in_thread(servers[0].wait_talks, 0)
        await until(lambda: not place.cluster.leaving)


def moved(board: Board, talk: Talk, request: Seen) -> bool:
    """A redirect to /text, when the gate "a" is open."""
    board.wait_for(lambda: "a" in board.gates, "gate a")
    where = f"http://127.0.0.1:{talk.sock.getsockname()[1]}/text"
    talk.send(response(status="302 Found", more=f"Location: {where}\r\n"))
    return True


@on_uvloop
async def test_who_has_left_may_send_on() -> None:
    """Its answer is a redirect, which is followed though it is no member any more."""
    with FaultServer({"/moved": moved}) as server, ground(name([server])) as place:
        place.addresses["search.test"] = ["127.0.0.1"]
        await place.fanout.find_members()
        ask = asks.http(b"/moved", follow=True)
        waiting = HttpHandle(place.engine, Members("all", Reach.ONE), ask, None)
        await in_thread(server.wait_seen, 1)
        place.addresses["search.test"] = ["127.0.0.2"]
        await place.are(f"127.0.0.2:{server.port}")
        server.open("a")
        result: Any = await waiting.wait(PATIENCE)
        assert (result.status, result.code) == (Status.NORMAL, 200)
        assert server.paths_seen == ["/moved", "/text"]


@on_uvloop
async def test_a_look_up_that_fails_changes_nobody(
    servers: list[FaultServer], caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and tried again; when it succeeds that is told as well."""
    with ground(name(servers)) as place, caplog.at_level("INFO"):
        place.addresses["search.test"] = ["127.0.0.1"]
        await place.fanout.find_members()
        place.addresses["search.test"] = OSError(11, "Temporary failure in name resolution")
        await until(lambda: "cannot be looked up" in caplog.text)
        assert (await place.one()).node == servers[0].node
        place.addresses["search.test"] = ["127.0.0.1", "127.0.0.2"]
        await place.are(servers[0].node, servers[1].node)
        assert caplog.text.count("Temporary failure in name resolution; it stays 127.0.0.1") == 1
        assert "is looked up again" in caplog.text


@on_uvloop
async def test_a_name_that_was_never_known_is_what_calls_are_told(
    servers: list[FaultServer],
) -> None:
    """With the reason, for lb and map alike; when it is known at last, they go there."""
    with ground(name(servers)) as place:
        place.addresses["search.test"] = OSError(-2, "Name or service not known")
        await place.fanout.find_members()
        one, (of_map,) = await place.one(), await place.all()
        told = f"dns:search.test:{servers[0].port} cannot be looked up: Name or service not known"
        for result in (one, of_map):
            assert result.status is Status.NOT_CONNECTED
            assert result.msg == f"no member of [@all] can be asked: {told}"
        place.addresses["search.test"] = ["127.0.0.1"]
        await place.are(servers[0].node)
        assert (await place.one()).ok


@on_uvloop
async def test_an_address_of_two_names_is_one_member(servers: list[FaultServer]) -> None:
    """And stays as long as one of them has it."""
    with ground(name(servers), name(servers, "more.test")) as place:
        place.addresses = {"search.test": ["127.0.0.1"], "more.test": ["127.0.0.1", "127.0.0.2"]}
        await place.fanout.find_members()
        await place.are(servers[0].node, servers[1].node)
        place.addresses["search.test"] = ["127.0.0.3"]
        await place.are(servers[2].node, servers[0].node, servers[1].node)
        assert all(result.ok for result in await place.all())


@on_uvloop
async def test_what_was_said_of_a_member_waits_for_it(servers: list[FaultServer]) -> None:
    """One that leaves and comes back is as drained as before, and has the weight it was given."""
    with ground(name(servers, weight=2)) as place:
        place.fanout.stand([Standing("all", servers[1].node, State.DRAINED, 7)])
        place.addresses["search.test"] = ["127.0.0.1", "127.0.0.2"]
        await place.fanout.find_members()
        assert place.cluster.nodes == (servers[0].node,)
        assert [each.load.weight for each in place.cluster.members] == [2, 7]


APP = """
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/map")
def map(was):
    return [[rs.node, int(rs.status)] for rs in was.map("back/text", method="GET").getswait(30)]
"""
IN_OUR_OWN_MOUNTS = ["unshare", "--mount", "sh", "-c"]
BOUND = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a resolv.conf of its own")
def test_a_server_follows_a_name_server(
    home: Home, servers: list[FaultServer], tmp_path: Path
) -> None:
    """A real one, asked by the system's resolver; while it is out of order, members stay."""
    with NameServer("search.test") as names:
        names.addresses = ["127.0.0.1", "127.0.0.2"]
        names.write_resolv_conf(tmp_path / "resolv.conf")
        home.write_app("webapp.py", APP)
        port = home.write_conf(
            "web",
            sections=f"[@back]\nmembers = dns:search.test:{servers[0].port}\ndns_every = 1\n",
        )
        inside = [*IN_OUR_OWN_MOUNTS, BOUND, str(tmp_path / "resolv.conf")]
        server = home.start([*inside, *home.skitaid, "serve", "web"], "web", port)
        first, second, third = ([each.node, 3] for each in servers)
        assert server.get("/map").json() == [first, second]
        names.addresses = ["127.0.0.2", "127.0.0.3"]
        wait_until(lambda: server.get("/map").json() == [second, third], "the new members")
        names.addresses = None
        server.wait_log(f"dns:search.test:{servers[0].port} cannot be looked up: ")
        assert server.get("/map").json() == [second, third]
        names.addresses = ["127.0.0.1"]
        wait_until(lambda: server.get("/map").json() == [first], "the members after the outage")
        assert server.stop() == 0
