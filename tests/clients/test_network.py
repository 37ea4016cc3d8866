"""What lies between us and a member: networks that dribble, stop, close one way, or reset."""

from __future__ import annotations

import pytest
from asking import in_thread, on_uvloop, until
from fault_server import FaultServer
from fetching import fetching, get, one, post
from tcp_proxy import TcpProxy

from skitai.engine import Members, Origin, Reach
from skitai.results import Status
from skitaid.workers.settings import ClientLimits, HttpCluster, Member


def at(way: TcpProxy) -> Origin:
    return Origin("127.0.0.1", way.port, tls=False)


def cluster_of(*ports: int, limits: ClientLimits = ClientLimits()) -> HttpCluster:  # noqa: B008
    members = tuple(Member("127.0.0.1", port) for port in ports)
    return HttpCluster("c", members, False, "roundrobin", "test.conf:1", limits=limits)


@pytest.mark.parametrize("path", ["/text", "/chunked", "/interim", "/no-content", "/head"])
@on_uvloop
async def test_an_answer_may_come_byte_by_byte(faults: FaultServer, path: str) -> None:
    """It is the same as in one piece, and so is what becomes of its connection."""
    with TcpProxy(faults.port, piece=1) as way, fetching() as ground:
        for _ in range(2):
            slow, quick = [await ground.fetch(each, path) for each in (at(way), faults)]
            assert (slow.status, slow.code, slow.body) == (3, quick.code, quick.body)
            assert slow.fields == quick.fields
        assert await ground.at_rest(at(way), faults) == [(1, 1), (1, 1)]
        assert faults.board.accepted == 2


@pytest.mark.parametrize(
    "path", ["/garbage", "/two-lengths", "/bad-chunk", "/close-in-body", "/close-in-chunk"]
)
@on_uvloop
async def test_a_fault_is_the_same_byte_by_byte(faults: FaultServer, path: str) -> None:
    """Nothing depends on where the network cuts."""
    with TcpProxy(faults.port, piece=1) as way, fetching() as ground:
        slow, quick = [await ground.fetch(each, path) for each in (at(way), faults)]
        assert slow.status is quick.status is Status.FAILED
        said = [each.msg.rpartition(", ")[0].partition(" ")[2] for each in (slow, quick)]
        assert said[0] == said[1]
        assert await ground.at_rest(at(way), faults) == [(0, 0), (0, 0)]


@on_uvloop
async def test_a_network_that_stops_holds_up_nobody_else(faults: FaultServer) -> None:
    """The one behind it is status 1 with its sentence, the others are as ever."""
    with TcpProxy(faults.port) as way, FaultServer() as other:
        cluster = cluster_of(way.port, other.port, limits=ClientLimits(read_timeout=0.1))
        with fetching(cluster) as ground:
            every = Members("c", Reach.ALL)
            assert [each.status for each in await ground.fetch_all(every, "/path")] == [3, 3]
            way.stop()
            silent, normal = await ground.fetch_all(every, "/path")
            assert (silent.status, normal.status) == (Status.TIMEOUT, Status.NORMAL)
            assert silent.msg.startswith(f"{way.node} was silent for 0.1 s, ")
            way.go()
            assert [each.status for each in await ground.fetch_all(every, "/path")] == [3, 3]


@on_uvloop
async def test_a_member_that_closes_one_way_is_over(faults: FaultServer) -> None:
    """It still listens, but there will be no answer: status 2, without waiting for the end."""
    with TcpProxy(faults.port) as way, fetching() as ground:
        call = ground.start(at(way), post("/mute", b""))
        await in_thread(faults.wait_seen, 1)
        way.half_close()
        await ground.landed(call)
        (reply,) = call.replies
        assert reply.status is Status.FAILED
        assert reply.msg.startswith(f"{way.node} closed the connection before it answered, ")
        assert await ground.at_rest(at(way)) == [(0, 0)]


@on_uvloop
async def test_an_idle_connection_that_is_closed_one_way_is_not_used(faults: FaultServer) -> None:
    """The end of file takes it out of the book."""
    with TcpProxy(faults.port) as way, fetching() as ground:
        await ground.fetch(at(way), "/path")
        way.half_close()
        pool = ground.member(at(way)).keeper.pool
        await until(lambda: pool.size == 0)
        assert (await ground.fetch(at(way), post("/path", b"once"))).status is Status.NORMAL


@on_uvloop
async def test_a_reset_in_the_middle_goes_on_at_another_member(faults: FaultServer) -> None:
    """If the request may be repeated."""
    with (
        TcpProxy(faults.port) as way,
        FaultServer() as other,
        fetching(cluster_of(way.port, other.port)) as ground,
    ):
        call = ground.start(one("c"), get("/hang-in-body"))
        await in_thread(faults.wait_seen, 1)
        other._paths["/hang-in-body"] = other._paths["/path"]
        way.reset()
        await ground.landed(call)
        (reply,) = call.replies
        assert (reply.status, reply.node, reply.retries) == (3, other.node, 1)
