"""Members that an operator drains, disables and enables, and what becomes of calls to them."""

from __future__ import annotations

import time

from asking import Ground, asking, in_thread, on_uvloop, until
from fault_server import FaultServer

from skitai import asks
from skitai.engine import Reach
from skitai.results import Status
from skitaid.workers.clients import reporting
from skitaid.workers.clients.health import FAILURES
from skitaid.workers.member_report import PAGE
from skitaid.workers.standing import Standing, State


def say(ground: Ground, node: str, state: State = State.ENABLED, weight: int = 0) -> None:
    ground.fanout.stand([Standing("all", node, state, weight)])


@on_uvloop
async def test_a_drained_member_gets_no_new_calls(faults: FaultServer) -> None:
    """Neither of lb nor of map."""
    with FaultServer() as other, asking(faults, other) as ground:
        say(ground, other.node, State.DRAINED)
        for _ in range(6):
            assert (await ground.get("/text")).node == faults.node
        assert [result.node for result in await ground.map("/text")] == [faults.node]
        assert not other.seen


@on_uvloop
async def test_a_drained_member_answers_what_it_was_asked_and_keeps_no_connection(
    faults: FaultServer,
) -> None:
    """A call that was out is answered; then its connection closes, as the idle ones did."""
    with asking(faults) as ground:
        waiting = ground.send(asks.get(b"/gate/a"))
        await in_thread(faults.wait_seen, 1)
        await ground.get("/text")
        assert len(ground.keeper.pool.idle) == 1
        say(ground, faults.node, State.DRAINED)
        await until(lambda: not ground.keeper.pool.idle)
        faults.open("a")
        assert (await waiting.wait(5)).status is Status.NORMAL
        assert await ground.at_rest() == [(0, 0)]


@on_uvloop
async def test_calls_to_a_disabled_member_end_at_once(faults: FaultServer) -> None:
    """One that may be repeated goes on to another member; any other fails and says why."""
    with FaultServer() as other, asking(faults, other) as ground:
        get = ground.send(asks.get(b"/gate/a"))
        await in_thread(faults.wait_seen, 1)
        await ground.get("/text")  # roundrobin: the other one's turn
        post = ground.send(asks.post(b"/gate/a", b"text/plain", b"x"))
        await in_thread(faults.wait_seen, 2)
        other.open("a")
        say(ground, faults.node, State.DISABLED)
        repeated, failed = await get.wait(5), await post.wait(5)
        assert (repeated.status, repeated.node, repeated.retries) == (Status.NORMAL, other.node, 1)
        assert failed.status is Status.FAILED
        assert failed.msg.startswith(f"{faults.node} was disabled by an operator, ")
        assert (await ground.at_rest())[0] == (0, 0)


@on_uvloop
async def test_what_we_cut_off_is_no_failure_of_the_member(faults: FaultServer) -> None:
    """It is not ejected for it, and its last error is not that."""
    with FaultServer() as other, asking(faults, other) as ground:
        calls = [ground.send(asks.get(b"/gate/a")) for _ in range(2 * FAILURES)]
        await in_thread(faults.wait_seen, FAILURES)
        await in_thread(other.wait_seen, FAILURES)
        say(ground, faults.node, State.DISABLED)
        other.open("a")
        assert {(await call.wait(5)).node for call in calls} == {other.node}
        (report, _) = reporting.reports(ground.fanout.clusters["all"].members)
        assert (report.ejections, report.last_error, report.in_flight) == (0, "", 0)


@on_uvloop
async def test_calls_that_wait_for_a_connection_of_a_disabled_member_go_elsewhere(
    faults: FaultServer,
) -> None:
    """Nobody is left waiting in its pool."""
    with FaultServer() as other, asking(faults, other) as ground:
        ground.keeper.pool.cap = 1
        calls = [ground.send(asks.get(b"/gate/a")) for _ in range(6)]
        await in_thread(faults.wait_seen, 1)
        assert len(ground.keeper.pool.waiting) == 2
        other.open("a")
        say(ground, faults.node, State.DISABLED)
        assert {(await call.wait(5)).node for call in calls} == {other.node}


@on_uvloop
async def test_an_enabled_member_is_asked_again(faults: FaultServer) -> None:
    """After either, slowly at first, and it keeps connections again."""
    with asking(faults) as ground:
        (member,) = ground.fanout.clusters["all"].members
        for state in (State.DRAINED, State.DISABLED):
            say(ground, faults.node, state)
            assert (await ground.get("/text")).status is Status.NOT_CONNECTED
            say(ground, faults.node)
            assert (await ground.get("/text")).status is Status.NORMAL
            assert member.load.share(time.monotonic()) < 1
            assert await ground.at_rest() == [(1, 1)]


@on_uvloop
async def test_a_cluster_of_which_nobody_may_be_asked_says_so(faults: FaultServer) -> None:
    """At once, for lb and for map: one result each, which names who is what."""
    with FaultServer() as other, asking(faults, other) as ground:
        say(ground, faults.node, State.DRAINED)
        say(ground, other.node, State.DISABLED)
        one, (all_of_it,) = await ground.get("/text"), await ground.map("/text")
        assert one.status is all_of_it.status is Status.NOT_CONNECTED
        assert one.node == all_of_it.node == "@all"
        who = f"{faults.node} is drained, {other.node} is disabled"
        assert {one.msg, all_of_it.msg} == {f"no member of [@all] can be asked: {who}"}


@on_uvloop
async def test_a_map_on_its_way_keeps_its_members(faults: FaultServer) -> None:
    """One that is drained meanwhile has its place among the results."""
    with FaultServer() as other, asking(faults, other) as ground:
        handle = ground.send(asks.get(b"/gate/a"), Reach.ALL)
        await in_thread(other.wait_seen, 1)
        say(ground, faults.node, State.DRAINED)
        faults.open("a")
        other.open("a")
        results = await handle.wait(5)
        assert [(each.node, each.ok) for each in results] == [
            (faults.node, True),
            (other.node, True),
        ]


@on_uvloop
async def test_a_weight_counts_until_the_conf_has_it_back(faults: FaultServer) -> None:
    """Three of four calls for a member of weight 3."""
    with FaultServer() as other, asking(faults, other) as ground:
        say(ground, other.node, weight=3)
        nodes = [(await ground.get("/text")).node for _ in range(8)]
        assert nodes.count(other.node) == 6
        say(ground, other.node)
        nodes = [(await ground.get("/text")).node for _ in range(8)]
        assert nodes.count(other.node) == 4


@on_uvloop
async def test_enable_forgives_an_ejected_member(faults: FaultServer) -> None:
    """It is asked at once, not when its time is over; a mere weight forgives nothing."""
    with FaultServer() as other, asking(faults, other) as ground:
        member = ground.fanout.clusters["all"].members[1]
        now = time.monotonic()
        for _ in range(FAILURES):
            member.failed(member.asked(now), now, 0.5, "it is out of order")
        say(ground, other.node, weight=2)
        assert not member.health.may_ask(now)
        ground.fanout.stand([Standing("all", other.node)], is_forgiven=True)
        assert member.health.may_ask(now)


@on_uvloop
async def test_a_report_tells_what_there_is_to_know(faults: FaultServer) -> None:
    """Of calls, connections and failures."""
    with asking(faults) as ground:
        call = ground.send(asks.get(b"/gate/a"))
        await in_thread(faults.wait_seen, 1)
        await ground.get("/text")
        await ground.get("/close")
        total, (report,) = reporting.page(ground.fanout.clusters["all"], 0)
        assert (total, report.node, report.state, report.weight) == (
            1,
            faults.node,
            State.ENABLED,
            1,
        )
        assert (report.in_flight, report.busy, report.cap) == (1, 1, 256)
        assert report.latency > 0
        assert report.last_error.startswith(f"{faults.node} closed the connection")
        assert abs(report.last_error_at - time.time()) < 60
        faults.open("a")
        await call.wait(5)


@on_uvloop
async def test_a_report_has_pages(faults: FaultServer) -> None:
    """A packet of the control pipe holds so many members."""
    with asking(*range(1001, 1001 + PAGE + 3)) as ground:
        cluster = ground.fanout.clusters["all"]
        total, first = reporting.page(cluster, 0)
        _, rest = reporting.page(cluster, PAGE)
        assert (total, len(first), len(rest)) == (PAGE + 3, PAGE, 3)
        assert [each.node for each in first + rest] == [each.node for each in cluster.members]
    assert reporting.page(None, 0) == (0, [])
