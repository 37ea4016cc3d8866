"""A second member is asked when the first is slow: the first normal answer counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Literal

import pytest
from asking import Ground, asking, in_thread, on_uvloop, until
from fault_server import PATIENCE, Board, FaultServer, Seen, Talk, mute, response
from operator_session import Home

from skitai import asks
from skitai.engine import Ask, Call, Members, Reach, Reply
from skitai.results import Status
from skitaid.workers.clients.budget import FLOOR
from skitaid.workers.clients.latencies import KNOWN_FROM

AT_ONCE = 0.0  # seconds until the hedge
NEVER = 2 * PATIENCE
GET = asks.get(b"/gate/a")
POST = asks.post(b"/gate/a", b"text/plain", b"data")


def breaks_at_gate(board: Board, talk: Talk, request: Seen) -> bool:
    """Closes without an answer when the gate is open."""
    board.wait_for(lambda: "a" in board.gates, "the gate's opening")
    return False


@pytest.fixture
def other() -> Iterator[FaultServer]:
    """A second member."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def hanging() -> Iterator[FaultServer]:
    """A member that never answers."""
    with FaultServer({"*": mute}) as server:
        yield server


def send(
    ground: Ground, ask: Ask, hedge: float | Literal["p95"] | None, key: bytes | None = None
) -> Call:
    call = Call(Members("all", Reach.ONE, hedge, key), ask, PATIENCE)
    ground.engine.send(call)
    return call


async def reply_to(ground: Ground, call: Call) -> Reply:
    """The one reply of a call."""
    assert await ground.engine.wait_async(call, 1, time.monotonic() + PATIENCE)
    (reply,) = call.replies
    return reply


async def hedged(
    ground: Ground, ask: Ask = GET, hedge: float | Literal["p95"] | None = AT_ONCE
) -> Reply:
    return await reply_to(ground, send(ground, ask, hedge))


async def books_are_right(ground: Ground) -> bool:
    """Nobody is thought to be busy, nobody has a bad name, and the pools are at rest."""
    await ground.at_rest()
    members = ground.fanout.clusters["all"].members
    return all(each.load.in_flight == 0 and each.health.failures == 0 for each in members)


@on_uvloop
async def test_a_slow_member_is_overtaken(hanging: FaultServer, other: FaultServer) -> None:
    """The loser's request is cancelled, which closes its connection and is no failure of it."""
    other.open("a")
    with asking(hanging, other) as ground:
        reply = await hedged(ground)
        assert (reply.status, reply.node, reply.body) == (Status.NORMAL, other.node, b"/gate/a")
        assert reply.retries == 1
        await in_thread(hanging.wait_talks, 0)
        assert await books_are_right(ground)


@on_uvloop
async def test_the_first_member_may_still_win(faults: FaultServer, hanging: FaultServer) -> None:
    """Whoever answers first, whenever asked."""
    with asking(faults, hanging) as ground:
        call = send(ground, GET, AT_ONCE)
        await in_thread(hanging.wait_seen, 1)
        assert call.nodes == (f"{faults.node} and {hanging.node}",)
        faults.open("a")
        reply = await reply_to(ground, call)
        assert (reply.status, reply.node, reply.retries) == (Status.NORMAL, faults.node, 1)
        assert call.nodes == (faults.node,)
        await in_thread(hanging.wait_talks, 0)
        assert await books_are_right(ground)


@on_uvloop
async def test_a_fast_member_is_not_hedged(faults: FaultServer, other: FaultServer) -> None:
    """Its answer is there before the time is over."""
    faults.open("a")
    with asking(faults, other) as ground:
        reply = await hedged(ground, hedge=NEVER)
        assert (reply.node, reply.retries) == (faults.node, 0)
    assert other.seen == []


@on_uvloop
async def test_a_failure_is_not_the_answer_while_another_is_out(other: FaultServer) -> None:
    """The slow member breaks off; the hedge that is out already is its repeat."""
    with FaultServer({"*": breaks_at_gate}) as breaking, asking(breaking, other) as ground:
        call = send(ground, GET, AT_ONCE)
        await in_thread(other.wait_seen, 1)
        breaking.open("a")
        await in_thread(breaking.wait_talks, 0)
        await until(lambda: ground.fanout.clusters["all"].members[0].load.in_flight == 0)
        assert call.replies == []
        other.open("a")
        reply = await reply_to(ground, call)
        assert (reply.status, reply.node, reply.retries) == (Status.NORMAL, other.node, 1)


@on_uvloop
async def test_when_both_break_off_one_failure_is_the_answer() -> None:
    """That of whoever is seen last."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(FaultServer({"*": breaks_at_gate})) for _ in range(2))
        ground = stack.enter_context(asking(first, second))
        call = send(ground, GET, AT_ONCE)
        await in_thread(second.wait_seen, 1)
        first.open("a")
        await in_thread(first.wait_talks, 0)
        second.open("a")
        reply = await reply_to(ground, call)
        assert reply.status is Status.FAILED
        assert reply.node in (first.node, second.node)
        assert reply.msg.startswith(f"{reply.node} closed the connection before it answered, ")
        assert [size for size, _ in await ground.at_rest()] == [0, 0]


@on_uvloop
async def test_a_cancelled_call_gives_up_both(hanging: FaultServer) -> None:
    """Nothing lands; neither member is blamed for a short time."""
    with FaultServer({"*": mute}) as second, asking(hanging, second) as ground:
        call = send(ground, GET, AT_ONCE)
        await in_thread(second.wait_seen, 1)
        ground.engine.cancel(call)
        await in_thread(hanging.wait_talks, 0)
        await in_thread(second.wait_talks, 0)
        assert await books_are_right(ground)
        assert call.replies == []


@on_uvloop
async def test_a_cancelled_call_sends_no_hedge(faults: FaultServer, other: FaultServer) -> None:
    """Though its time had come."""
    with asking(faults, other) as ground:
        call = send(ground, GET, AT_ONCE)
        ground.engine.cancel(call)
        await asyncio.sleep(0.01)  # more than one turn of the loop; a hedge would be out
        assert await books_are_right(ground)
    assert other.seen == []


@on_uvloop
async def test_one_hedge_at_the_most(faults: FaultServer, other: FaultServer) -> None:
    """A third member is spared, however slow the two are."""
    with FaultServer() as third, asking(faults, other, third) as ground:
        call = send(ground, GET, AT_ONCE)
        await in_thread(other.wait_seen, 1)
        other.open("a")
        assert (await reply_to(ground, call)).retries == 1
        assert third.seen == []


@on_uvloop
async def test_what_may_not_be_made_twice_is_hedged_only_by_whoever_calls(
    faults: FaultServer, other: FaultServer
) -> None:
    """The conf's hedge is for idempotent requests; that of a call says that it does no harm."""
    faults.open("a")
    with asking(faults, other, balance="leastconn") as ground:
        cluster = ground.fanout.clusters["all"]
        cluster.hedge = AT_ONCE
        cluster.members[1].load.in_flight = 1000  # so that the first one is asked
        assert (await hedged(ground, POST, None)).retries == 0
        assert other.seen == []
    with FaultServer() as slow, asking(slow, other) as ground:
        other.open("a")
        ground.fanout.clusters["all"].hedge = AT_ONCE
        assert (await hedged(ground, GET, None)).node == other.node
        ground.fanout.clusters["all"].members[0].load.turn = 2  # so that it is asked again
        assert (await hedged(ground, POST, AT_ONCE)).node == other.node
    assert [each.method for each in other.seen] == ["GET", "POST"]


@on_uvloop
async def test_without_a_budget_there_are_no_hedges(
    faults: FaultServer, other: FaultServer
) -> None:
    """Slow members do not get twice the requests when all of them are slow."""
    with asking(faults, other) as ground:
        budget = ground.fanout.clusters["all"].budget
        for _ in range(FLOOR):
            assert budget.take(time.monotonic())
        call = send(ground, GET, AT_ONCE)
        await in_thread(faults.wait_seen, 1)
        faults.open("a")
        assert (await reply_to(ground, call)).retries == 0
    assert other.seen == []


def hiccups(board: Board, talk: Talk, request: Seen) -> bool:
    """One of twenty requests is never answered."""
    with board.changed:
        number = board.seen.index(request)
    if number % 20 == 10:
        return mute(board, talk, request)
    talk.send(response(b"ok"))
    return True


@on_uvloop
async def test_the_tail_is_cut_off_for_few_requests_more(
    faults: FaultServer, other: FaultServer
) -> None:
    """One of three members hangs now and then: no call does, and hardly any is asked twice."""
    ask = asks.get(b"/text")
    with FaultServer({"*": hiccups}) as hiccuping, asking(faults, other, hiccuping) as ground:
        hedged = 0
        for _ in range(10):
            calls = [send(ground, ask, 0.5) for _ in range(30)]
            replies = [await reply_to(ground, call) for call in calls]
            assert {reply.status for reply in replies} == {Status.NORMAL}
            hedged += sum(reply.retries for reply in replies)
        assert len(hiccuping.seen) // 20 <= hedged <= 30


@on_uvloop
async def test_an_ejected_member_is_no_hedge(faults: FaultServer, other: FaultServer) -> None:
    """It is no hope for a call that is only slow."""
    with asking(faults, other) as ground:
        dead = ground.fanout.clusters["all"].members[1]
        for _ in range(3):
            now = time.monotonic() + PATIENCE  # so that it stays ejected
            dead.failed(dead.asked(now), now, 0.5, "it is out of order")
        call = send(ground, GET, AT_ONCE)
        await in_thread(faults.wait_seen, 1)
        faults.open("a")
        assert (await reply_to(ground, call)).retries == 0
    assert other.seen == []


@on_uvloop
async def test_a_cluster_of_one_has_nobody_to_hedge_with(faults: FaultServer) -> None:
    """The call waits for the one there is."""
    with asking(faults) as ground:
        call = send(ground, GET, AT_ONCE)
        await in_thread(faults.wait_seen, 1)
        faults.open("a")
        assert (await reply_to(ground, call)).retries == 0


@on_uvloop
async def test_p95_waits_until_it_is_known(faults: FaultServer, other: FaultServer) -> None:
    """With the first few calls nobody can say what slow is."""
    faults.open("a")
    other.open("a")
    with asking(faults, other) as ground:
        for _ in range(KNOWN_FROM):
            assert (await hedged(ground, hedge="p95")).retries == 0
        latencies = ground.fanout.clusters["all"].latencies
        assert latencies.p95 is not None
    with FaultServer() as slow, asking(slow, other) as ground:
        ground.fanout.clusters["all"].latencies = latencies
        reply = await hedged(ground, hedge="p95")
        assert (reply.node, reply.retries) == (other.node, 1)


@on_uvloop
async def test_calls_that_are_overtaken_count_as_slow(
    faults: FaultServer, other: FaultServer
) -> None:
    """Would only the winners' times count, hedges would come sooner and sooner."""
    other.open("a")
    with asking(faults, other) as ground:
        cluster = ground.fanout.clusters["all"]
        for _ in range(KNOWN_FROM - 3):
            cluster.latencies.add(0.0001)
        for _ in range(3):
            cluster.members[0].load.turn = 2  # so that the slow one is asked
            assert (await hedged(ground, hedge=0.05)).node == other.node
        assert cluster.latencies.p95 is not None
        assert cluster.latencies.p95 >= 0.05


@on_uvloop
async def test_calls_go_by_their_key(faults: FaultServer, other: FaultServer) -> None:
    """The same member for the same key, and both have some of the keys."""
    ask = asks.get(b"/path")
    with asking(faults, other, balance="hash") as ground:
        homes = []
        for number in range(32):
            key = b"user-%d" % (number % 16)
            homes.append((await reply_to(ground, send(ground, ask, None, key))).node)
        assert homes[:16] == homes[16:]
        assert set(homes) == {faults.node, other.node}


@on_uvloop
async def test_a_failing_cluster_is_not_asked_more_than_its_budget_allows(
    faults: FaultServer, other: FaultServer
) -> None:
    """The failure says why nobody else was asked."""
    with asking(faults, other) as ground:
        budget = ground.fanout.clusters["all"].budget
        now = time.monotonic()
        while budget.take(now):
            pass
        reply = await hedged(ground, asks.get(b"/close"), None)
        assert reply.status is Status.FAILED
        assert reply.msg.startswith(f"{faults.node} closed the connection before it answered, ")
        why = "; no other member was asked, as too many calls were repeated already"
        assert reply.msg.endswith(why)
    assert other.seen == []


# --- from a handler ---

APP = """
import json

from skitai.errors import WrongUse
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hedged")
def hedged(was):
    s = was.lb("pair/rpc3", hedge=0)
    s.add(40, 2)
    rs = s.getwait(30)
    return json.dumps([rs.data, rs.node, rs.retries, rs.elapsed < 30])


@app.route("/keyed")
def keyed(was):
    nodes = []
    for key in ("a", b"b", 3) * 3:
        s = was.lb("keyed/rpc3", key=key)
        s.add(1)
        nodes.append(s.getwait(30).node)
    return json.dumps(nodes)


@app.route("/wrong")
def wrong(was):
    complaints = []
    for hedge in (-1, "p99", float("nan"), float("inf")):
        try:
            was.lb("pair/rpc3", hedge=hedge)
        except WrongUse as error:
            complaints.append(str(error))
    return json.dumps(complaints)
"""


def test_hedges_and_keys_of_a_handler(
    home: Home, hanging: FaultServer, faults: FaultServer, other: FaultServer
) -> None:
    """A call of a remote procedure is made twice only since the handler says so."""
    sections = (
        f"[@pair]\nbalance = roundrobin\nmembers = {hanging.node}, {other.node}\n"
        f"[@keyed]\nbalance = hash\nmembers = {faults.node}, {other.node}\n"
    )
    server = home.serve("web", apps={"webapp.py": APP}, sections=sections)
    assert server.get("/hedged").json() == [42, other.node, 1, True]
    nodes = server.get("/keyed").json()
    assert nodes == nodes[:3] * 3
    complaints = server.get("/wrong").json()
    assert complaints[1] == "hedge = 'p99' is neither a number of seconds nor \"p95\""
    assert len(complaints) == 4
    assert server.stop() == 0
