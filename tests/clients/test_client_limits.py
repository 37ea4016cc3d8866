"""How long a server may be silent, and how much of it is taken: what a conf says of a cluster."""

from __future__ import annotations

import asyncio
import re

import pytest
from asking import exchange, in_thread, on_uvloop, until
from fault_server import Board, FaultServer, Seen, Talk, endless, hangs, response, sends
from fetching import fetching, get, one

from skitai.results import Status
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.settings import ClientLimits, HttpCluster, Member

SOON = 0.05  # seconds; a deadline, not a wait for something
HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"


def keeper_of(server: FaultServer, limits: ClientLimits) -> ConnectionKeeper:
    loop = asyncio.get_running_loop()
    return ConnectionKeeper(loop, Address("127.0.0.1", server.port), 1, limits)


# --- silence ---


@pytest.mark.parametrize(
    "path", ["/mute", "/hang-in-header", "/hang-after-header", "/hang-in-body"]
)
@on_uvloop
async def test_a_server_that_is_silent_for_too_long_is_status_1(
    faults: FaultServer, path: str
) -> None:
    """Wherever it stops; its connection is closed, as its answer may still come."""
    keeper = keeper_of(faults, ClientLimits(read_timeout=SOON))
    outcome = await exchange(keeper, get(path))
    assert (outcome.status, outcome.code, outcome.body) == (Status.TIMEOUT, 0, b"")
    said = rf"{faults.node} was silent for 0.05 s, 0\.\d+ s after GET {path}"
    assert re.fullmatch(said, outcome.msg)
    await until(lambda: keeper.pool.size == 0)
    await in_thread(faults.wait_talks, 0)


def in_two_parts(board: Board, talk: Talk, request: Seen) -> bool:
    """The second when the gate is opened."""
    talk.send(response(b"first", length=11))
    board.wait_for(lambda: "second" in board.gates, "the gate")
    talk.send(b"second")
    return True


@on_uvloop
async def test_a_server_that_goes_on_speaking_is_not_silent() -> None:
    """What counts is the pause since its last byte, not the time of it all."""
    with FaultServer({"*": in_two_parts}) as server:
        keeper = keeper_of(server, ClientLimits(read_timeout=60.0))
        asking = asyncio.create_task(exchange(keeper, get("/")))
        await until(lambda: any(each.has_bytes for each in keeper.pool.busy))
        (connection,) = keeper.pool.busy
        connection._heard_at -= 59.0
        connection._hear()  # as at the end of its time: it is to listen for one more second
        assert connection._silence is not None
        server.open("second")
        assert (await asking).body == b"firstsecond"
        assert connection._silence is None
        keeper.close()
        await until(lambda: keeper.pool.size == 0)


@on_uvloop
async def test_an_idle_connection_may_be_silent(faults: FaultServer) -> None:
    """No timer is left behind by an answer."""
    keeper = keeper_of(faults, ClientLimits(read_timeout=SOON))
    assert (await exchange(keeper, get("/path"))).status is Status.NORMAL
    (idle,) = keeper.pool.idle
    assert idle._silence is None
    keeper.close()
    await until(lambda: keeper.pool.size == 0)


@on_uvloop
async def test_another_member_is_asked_when_one_is_silent(faults: FaultServer) -> None:
    """If the request may be repeated: silence is a failure like others."""
    with FaultServer({"*": hangs()}) as hanging:
        members = tuple(Member("127.0.0.1", each.port) for each in (hanging, faults))
        limits = ClientLimits(read_timeout=SOON)
        cluster = HttpCluster("c", members, False, "roundrobin", "test.conf:1", limits=limits)
        with fetching(cluster) as ground:
            replies = [await ground.fetch(one("c"), "/path") for _ in range(2)]
            assert [(reply.status, reply.node) for reply in replies] == [(3, faults.node)] * 2
            assert len(hanging.seen) == 1


# --- sizes ---


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (sends(response(bytes(1_000_001))), "announced a body of 1000001 bytes, and 1000000 are"),
        (hangs(HUGE), "announced a body of 10000000000 bytes, and 1000000 are taken"),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536)), "sent more than 1000000 bytes"),
    ],
)
@on_uvloop
async def test_a_body_that_is_too_large_is_status_2(behaviour: object, said: str) -> None:
    """At once if it says so itself; never is more of it held than is allowed."""
    with FaultServer({"*": behaviour}) as server:  # type: ignore[dict-item]
        keeper = keeper_of(server, ClientLimits(response_size=1_000_000))
        outcome = await exchange(keeper, get("/"))
        assert outcome.status is Status.FAILED
        assert outcome.msg.startswith(f"{server.node} {said}")
        await until(lambda: keeper.pool.size == 0)


@on_uvloop
async def test_as_much_as_is_allowed_is_taken() -> None:
    """Header and body together."""
    with FaultServer({"*": sends(response(bytes(900_000)))}) as server:
        keeper = keeper_of(server, ClientLimits(response_size=1_000_000))
        outcome = await exchange(keeper, get("/"))
        assert (outcome.status, len(outcome.body)) == (Status.NORMAL, 900_000)
        keeper.close()
        await until(lambda: keeper.pool.size == 0)


@on_uvloop
async def test_the_length_of_what_is_not_sent_is_no_size() -> None:
    """An answer to HEAD announces what a GET would bring."""
    with FaultServer({"*": sends(HUGE)}) as server:
        ask = get("/")
        head = type(ask)(b"HEAD / HTTP/1.1\r\n", b"", b"", idempotent=True, expects_body=False)
        keeper = keeper_of(server, ClientLimits())
        for _ in range(2):
            outcome = await exchange(keeper, head)
            assert (outcome.status, outcome.code) == (Status.NORMAL, 200)
        assert server.board.accepted == 1
        keeper.close()
        await until(lambda: keeper.pool.size == 0)
