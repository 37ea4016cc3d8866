"""Members that fail: every fault has a status, a sentence, and leaves the book in order."""

from __future__ import annotations

import asyncio
import re
import select
import socket
import ssl
from pathlib import Path

import pytest
from asking import asking, exchange, in_thread, on_uvloop, result_of, until
from fault_server import FaultServer, mute, refusing_port

from skitai import asks, calls
from skitai.engine import Members, Reach
from skitai.results import Status
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.http_connection import HEADER_MAX
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.settings import ClientLimits

NONE_LEFT = [(0, 0)]
MOST = ClientLimits().response_size
SOON = 0.05  # seconds; a deadline, not a wait for something


# --- 0: not connected ---


@on_uvloop
async def test_a_refused_connection_is_status_0() -> None:
    """The sentence names the member, and says why and how long it took."""
    with refusing_port() as sock:
        port = sock.getsockname()[1]
        with asking(port) as ground:
            result = await ground.get("/path")
            assert (result.status, result.code, result.data) == (0, 0, "")
            said = f"no connection to 127.0.0.1:{port}: connection refused"
            assert re.fullmatch(rf"{said}, after \d\.\d\d\d s", result.msg)
            assert result.node == f"127.0.0.1:{port}"
            assert await ground.at_rest() == NONE_LEFT


@on_uvloop
async def test_everybody_who_waits_hears_of_a_refusal() -> None:
    """Also those who wait beyond the cap, for whom nothing was being opened yet."""
    with refusing_port() as sock, asking(sock.getsockname()[1]) as ground:
        ground.keeper.pool.cap = 2
        results = await asyncio.gather(*(ground.get("/path") for _ in range(20)))
        assert {result.status for result in results} == {Status.NOT_CONNECTED}
        assert await ground.at_rest() == NONE_LEFT


@on_uvloop
async def test_a_name_that_cannot_be_one_is_status_0() -> None:
    """A label of more than 63 characters fails before the network is asked."""
    keeper = ConnectionKeeper(asyncio.get_running_loop(), Address("x" * 64, 80), 1)
    outcome = await exchange(keeper, asks.get(b"/"))
    assert outcome.status is Status.NOT_CONNECTED
    assert outcome.msg.startswith(f"no connection to {'x' * 64}:80: ")
    assert keeper.pool.size == 0


@on_uvloop
async def test_a_socket_that_is_not_there_is_status_0(tmp_path: Path) -> None:
    """unix: members fail as others do."""
    keeper = ConnectionKeeper(asyncio.get_running_loop(), Address("", 0, f"{tmp_path}/none"), 1)
    outcome = await exchange(keeper, asks.get(b"/"))
    assert outcome.status is Status.NOT_CONNECTED
    assert outcome.msg.startswith(f"no connection to unix:{tmp_path}/none: ")


@on_uvloop
async def test_a_connection_that_does_not_come_about_is_given_up() -> None:
    """Here TLS is not answered; the time is that of name, TCP and TLS together."""
    loop = asyncio.get_running_loop()
    with FaultServer({"*": mute}) as faults:
        address = Address("127.0.0.1", faults.port, tls=ssl.create_default_context())
        keeper = ConnectionKeeper(loop, address, 1, limits=ClientLimits(connect_timeout=SOON))
        outcome = await exchange(keeper, asks.get(b"/"))
        assert outcome.status is Status.NOT_CONNECTED
        assert outcome.msg.startswith(f"no connection to {faults.node}: none within {SOON:g} s, ")
        await until(lambda: keeper.pool.size == 0)


@pytest.mark.parametrize("banner", [b"220 mail.example.com ESMTP\r\n", b""])
@on_uvloop
async def test_a_connection_that_ends_before_it_is_used_is_status_0(banner: bytes) -> None:
    """The member speaks unasked, or closes, before the loop knows that it is connected."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        keeper = ConnectionKeeper(asyncio.get_running_loop(), Address("127.0.0.1", port), 1)
        asking = asyncio.create_task(exchange(keeper, asks.get(b"/")))
        await until(lambda: bool(select.select([listener], [], [], 0)[0]))
        sock, _ = listener.accept()
        with sock:
            sock.send(banner)
        outcome = await asking
        assert outcome.status is Status.NOT_CONNECTED
        assert not outcome.was_sent
        why = "it was closed before anything could be asked"
        assert outcome.msg.startswith(f"no connection to 127.0.0.1:{port}: {why}, after ")
        await until(lambda: keeper.pool.size == 0)


# --- 1: timeout ---


@pytest.mark.parametrize(
    "path", ["/mute", "/hang-in-header", "/hang-after-header", "/hang-in-body"]
)
@on_uvloop
async def test_a_member_that_hangs_is_status_1_at_the_deadline(
    faults: FaultServer, path: str
) -> None:
    """Wherever it hangs; its connection is closed, since its answer may still come."""
    with asking(faults) as ground:
        handle = ground.send(asks.get(path.encode()))
        await in_thread(faults.wait_seen, 1)
        result = await result_of(handle, SOON)
        assert (result.status, result.code, result.data) == (1, 0, "")
        assert result.msg == f"no answer from {faults.node} within {SOON:g} s"
        assert await ground.at_rest() == NONE_LEFT
        await in_thread(faults.wait_talks, 0)


@on_uvloop
async def test_a_deadline_while_waiting_for_a_connection_is_status_1(faults: FaultServer) -> None:
    """All connections are taken; the request never went out and is forgotten."""
    with asking(faults) as ground:
        ground.keeper.pool.cap = 1
        first = ground.send(asks.get(b"/gate/a"))
        assert (await ground.get("/path", SOON)).status is Status.TIMEOUT
        faults.open("a")
        assert str(await first) == "/gate/a"
        assert await ground.at_rest() == [(1, 1)]
    assert faults.paths_seen == ["/gate/a"]


# --- 2: failed ---

BROKEN = {
    "/close": "closed the connection before it answered",
    "/reset": "closed the connection before it answered: ",
    "/close-in-header": "closed the connection in the middle of its answer",
    "/close-in-body": "closed the connection in the middle of its answer",
    "/close-in-chunk": "closed the connection in the middle of its answer",
    "/garbage": "sent something that is not HTTP: ",
    "/no-status": "sent something that is not HTTP: ",
    "/two-lengths": "sent something that is not HTTP: ",
    "/bad-length": "sent something that is not HTTP: ",
    "/bad-chunk": "sent something that is not HTTP: ",
    "/switch": "wants to switch protocols",
    "/endless-header": f"sent a response header of more than {HEADER_MAX} bytes",
    "/endless-line": f"sent a response header of more than {HEADER_MAX} bytes",
    "/endless-interim": f"sent a response header of more than {HEADER_MAX} bytes",
    "/endless-body": f"sent more than {MOST} bytes",
    "/endless-chunks": f"sent more than {MOST} bytes",
    "/endless-trailer": f"sent more than {MOST} bytes",
}


@pytest.mark.parametrize("path", BROKEN)
@on_uvloop
async def test_a_member_that_breaks_off_is_status_2(faults: FaultServer, path: str) -> None:
    """The sentence names it and says what it did; the connection is closed and off the book."""
    with asking(faults) as ground:
        result = await ground.get(path)
        assert (result.status, result.code, result.data) == (2, 0, "")
        said = re.escape(f"{faults.node} {BROKEN[path]}")
        what = ".+" if said.endswith(":\\ ") else ""
        assert re.fullmatch(rf"{said}{what}, \d+\.\d\d\d s after GET {path}", result.msg)
        assert await ground.at_rest() == NONE_LEFT
        await in_thread(faults.wait_talks, 0)
        assert (await ground.get("/path")).data == "/path"  # and the next request has its own


# --- a stale connection ---


@on_uvloop
async def test_an_idempotent_ask_is_repeated_on_a_new_connection(faults: FaultServer) -> None:
    """The server closed the old one just when it was used again: nobody notices."""
    with asking(faults) as ground:
        for _ in range(2):
            assert (await ground.get("/once")).data == "/once"
        assert [(each.talk, each.turn) for each in faults.seen] == [(1, 1), (1, 2), (2, 1)]
        assert await ground.at_rest() == [(1, 1)]


@on_uvloop
async def test_a_post_is_never_repeated(faults: FaultServer) -> None:
    """The server may have done what it was asked for, so the app must decide."""
    with asking(faults) as ground:
        assert (await ground.post("/once")).status is Status.NORMAL
        result = await ground.post("/once")
        assert result.status is Status.FAILED
        assert result.msg.startswith(f"{faults.node} closed the connection before it answered, ")
        assert [(each.talk, each.turn) for each in faults.seen] == [(1, 1), (1, 2)]
        assert await ground.at_rest() == NONE_LEFT


@on_uvloop
async def test_an_ask_is_repeated_once(faults: FaultServer) -> None:
    """Two stale connections in a row, and it fails: there is no end to such repeating."""
    with asking(faults) as ground:
        await asyncio.gather(ground.get("/meet/2"), ground.get("/meet/2"))
        assert await ground.at_rest() == [(2, 2)]
        result = await ground.get("/once")
        assert result.status is Status.FAILED
        assert [each.path for each in faults.seen].count("/once") == 2
        assert await ground.at_rest() == NONE_LEFT


@on_uvloop
async def test_an_ask_on_a_fresh_connection_is_not_repeated(faults: FaultServer) -> None:
    """There the close was no accident of timing."""
    with asking(faults) as ground:
        assert (await ground.get("/close")).status is Status.FAILED
    assert faults.paths_seen == ["/close"]


# --- cancelling ---


@on_uvloop
async def test_a_cancelled_call_closes_its_connection_and_nothing_lands(
    faults: FaultServer,
) -> None:
    """Even when the answer is sent a moment later."""
    with asking(faults) as ground:
        call = ground.call(asks.get(b"/gate/late"))
        await in_thread(faults.wait_seen, 1)
        ground.engine.cancel(call)
        assert await ground.at_rest() == NONE_LEFT
        faults.open("late")
        await in_thread(faults.wait_talks, 0)
        assert call.replies == []
        assert ground.fanout.clusters["all"].members[0].load.in_flight == 0


@on_uvloop
async def test_a_call_cancelled_while_it_connects_leaves_an_idle_connection(
    faults: FaultServer,
) -> None:
    """It was on its way for whoever comes next."""
    with asking(faults) as ground:
        ground.engine.cancel(ground.call(asks.get(b"/path")))
        assert await ground.at_rest() == [(1, 1)]
        assert (await ground.get("/text")).status is Status.NORMAL
    assert [(each.talk, each.path) for each in faults.seen] == [(1, "/text")]


@on_uvloop
async def test_a_connection_goes_to_the_next_in_line_when_one_gives_up(
    faults: FaultServer,
) -> None:
    """And not to the one that has gone."""
    with asking(faults) as ground:
        ground.keeper.pool.cap = 1
        first = ground.send(asks.get(b"/gate/a"))
        gone = ground.call(asks.get(b"/path?gone"))
        next_one = ground.send(asks.get(b"/path?next"))
        await in_thread(faults.wait_seen, 1)
        ground.engine.cancel(gone)
        faults.open("a")
        assert str(await first) == "/gate/a"
        assert str(await next_one) == "/path?next"
        assert await ground.at_rest() == [(1, 1)]
    assert faults.paths_seen == ["/gate/a", "/path?next"]


@on_uvloop
async def test_a_call_that_nobody_waits_for_is_swept_up(faults: FaultServer) -> None:
    """When it expires its connection is closed; who asks after that hears why, at once."""
    with asking(faults) as ground:
        call = ground.call(asks.get(b"/mute"))
        await in_thread(faults.wait_seen, 1)
        call.expires = 0.0
        assert await ground.at_rest() == NONE_LEFT
        assert [reply.status for reply in call.replies] == [Status.TIMEOUT]
        assert "in which nobody waited" in call.replies[0].msg


# --- several members ---


@on_uvloop
async def test_each_member_of_a_map_has_a_reply_of_its_own(
    faults: FaultServer,
) -> None:
    """One refuses, one hangs, one breaks off: the others' results are as if they did not."""
    with (
        refusing_port() as sock,
        FaultServer({"*": mute}) as hanging,
        FaultServer({"/path": lambda *_: False}) as closing,
        FaultServer() as other,
        asking(hanging, faults, sock.getsockname()[1], closing, other) as ground,
    ):
        call = ground.call(asks.get(b"/path"), Reach.ALL)
        await in_thread(hanging.wait_seen, 1)
        await until(lambda: len(call.replies) == 4)
        replies = sorted(call.replies, key=lambda reply: reply.member)
        assert [reply.member for reply in replies] == [1, 2, 3, 4]
        assert [reply.status for reply in replies] == [3, 0, 2, 3]
        assert [reply.node for reply in replies] == list(call.nodes[1:])
        assert [reply.body for reply in replies] == [b"/path", b"", b"", b"/path"]
        ground.engine.cancel(call)
        assert [size for size, _ in await ground.at_rest()] == [0, 1, 0, 0, 1]


@on_uvloop
async def test_lb_goes_on_to_another_member_when_one_cannot_be_reached(
    faults: FaultServer,
) -> None:
    """Even with a POST, since no byte of it went out; the result names who answered."""
    with refusing_port() as sock, asking(sock.getsockname()[1], faults) as ground:
        results = [await ground.post("/echo") for _ in range(10)]
        assert {(result.status, result.node) for result in results} == {(3, faults.node)}


@on_uvloop
async def test_lb_repeats_on_another_member_only_what_may_be_repeated(
    faults: FaultServer,
) -> None:
    """A GET may, a POST whose bytes went out may not."""
    with FaultServer({"*": lambda *_: False}) as closing, asking(closing, faults) as ground:
        assert (await ground.get("/path")).node == faults.node
        posts = [await ground.post("/echo") for _ in range(2)]
        assert sorted(result.status for result in posts) == [2, 3]


@on_uvloop
async def test_lb_fails_when_all_members_do() -> None:
    """The result is that of the last one tried."""
    with refusing_port() as one, refusing_port() as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        with asking(*ports) as ground:
            for _ in range(5):  # also when both are ejected
                result = await ground.get("/path")
                assert result.status is Status.NOT_CONNECTED
                assert result.node in result.msg


@on_uvloop
async def test_an_ejected_member_is_left_alone(faults: FaultServer) -> None:
    """After three failures in a row nobody tries it before its time."""
    with FaultServer({"*": lambda *_: False}) as closing, asking(closing, faults) as ground:
        for _ in range(20):
            assert (await ground.get("/path")).status is Status.NORMAL
        assert len(closing.seen) == 3


@on_uvloop
async def test_loads_are_even_in_the_end(faults: FaultServer) -> None:
    """Whatever happened to the calls, nobody is counted as in flight when all are over."""
    with FaultServer({"*": mute}) as hanging, asking(hanging, faults, balance="p2c") as ground:
        await asyncio.gather(
            *(ground.get(path, SOON) for path in ("/path", "/close", "/mute", "/once") * 5),
            *(ground.map(path, SOON) for path in ("/path", "/close", "/mute")),
        )
        await ground.at_rest()
        members = ground.fanout.clusters["all"].members
        assert [member.load.in_flight for member in members] == [0, 0]


@on_uvloop
async def test_a_target_that_is_not_in_the_conf_raises_at_once(faults: FaultServer) -> None:
    """UnknownCluster names the clusters there are."""
    with asking(faults) as ground, pytest.raises(Exception, match=r"\[@mine\]; there are: @all$"):
        calls.HttpHandle(ground.engine, Members("mine", Reach.ALL), asks.get(b"/"), None)
