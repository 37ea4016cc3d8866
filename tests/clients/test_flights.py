"""Calls that are kept: one of all who ask the same goes to the members, and who gets its answer."""

from __future__ import annotations

import asyncio
import time

import pytest
from asking import Ground, asking, in_thread, on_uvloop, until
from fault_server import PATIENCE, FaultServer, sends
from msgspec.structs import replace

from skitai import asks, rcache
from skitai.engine import Call, Keep, Members, Reach, Reply
from skitai.results import Status
from skitaid.workers.threads import Job


def is_ok(reply: Reply) -> bool:
    return reply.code == 200


def is_not(reply: Reply) -> bool:
    return False


KEPT = Keep(60.0, 0.0, is_ok)
WITH_STALE = Keep(60.0, 300.0, is_ok)


def ask(
    ground: Ground, path: str, keep: Keep | None = KEPT, reach: Reach = Reach.ONE, **given: float
) -> Call:
    """A call that is on its way."""
    timeout = given.get("timeout", PATIENCE)
    call = Call(Members("all", reach), asks.get(path.encode()), timeout, keep)
    ground.engine.send(call)
    return call


async def answers(ground: Ground, call: Call) -> list[bytes]:
    """The bodies, when all are there."""
    wanted = len(call.nodes)
    assert await ground.engine.wait_async(call, wanted, time.monotonic() + PATIENCE)
    assert [reply.member for reply in call.replies] == list(range(wanted)) or wanted > 1
    return sorted(reply.body for reply in call.replies)


async def settled(ground: Ground) -> None:
    await until(lambda: not ground.flights.status()["flights"])


@on_uvloop
async def test_a_thousand_misses_send_one_request(faults: FaultServer) -> None:
    """And all have its answer, whether they came before it was there or after."""
    with asking(faults) as ground:
        crowd = [ask(ground, "/gate/a") for _ in range(1000)]
        await in_thread(faults.wait_seen, 1)
        faults.open("a")
        assert [await answers(ground, each) for each in crowd] == [[b"/gate/a"]] * 1000
        assert await answers(ground, ask(ground, "/gate/a")) == [b"/gate/a"]
        assert {each.cached_time for each in crowd} == {0.0}
        await settled(ground)
        assert faults.paths_seen == ["/gate/a"]
        assert ground.flights.status()["misses"] >= 1000


@on_uvloop
async def test_who_asks_while_a_reply_is_judged_is_answered_at_once(
    faults: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not kept by the flight, nor by those who look for flights to leave."""
    with asking(faults) as ground:
        busy: list[Job] = []  # what no handler thread has come to
        with monkeypatch.context() as patched:
            patched.setattr(ground.flights, "_submit", busy.append)
            await answers(ground, ask(ground, "/path"))
            for _ in range(3):
                assert await answers(ground, ask(ground, "/path")) == [b"/path"]
            (flight,) = ground.flights._flights.values()
            assert (len(flight._joined), len(ground.flights._joined)) == (0, 0)
        for each in busy:
            ground.flights._submit(each)
        await settled(ground)
        assert faults.paths_seen == ["/path"]


@on_uvloop
async def test_the_deadline_of_who_comes_first_is_not_passed_on(faults: FaultServer) -> None:
    """The answer is for all, and the others may have more time; the rest is."""
    with asking(faults) as ground:
        passed = b"X-Request-ID: abc-1\r\nX-Request-Deadline: 20\r\n"
        for keep in (None, KEPT):
            asked = replace(asks.get(b"/path"), passed=passed)
            call = Call(Members("all", Reach.ONE), asked, PATIENCE, keep)
            ground.engine.send(call)
            await answers(ground, call)
        await settled(ground)
        alone, shared = (each.fields for each in faults.seen)
        assert alone["x-request-deadline"] == "20"
        assert "x-request-deadline" not in shared
        assert alone["x-request-id"] == shared["x-request-id"] == "abc-1"


@on_uvloop
async def test_what_was_brought_is_kept(faults: FaultServer) -> None:
    """Also for calls that do not want to be kept themselves."""
    with asking(faults) as ground:
        before = time.time()
        await answers(ground, ask(ground, "/path"))
        await settled(ground)
        for keep in (KEPT, None):
            call = ask(ground, "/path", keep)
            assert call.is_complete  # at once
            assert before <= call.cached_time <= time.time()
            assert call.nodes == (faults.node,)
            assert await answers(ground, call) == [b"/path"]
        assert len(faults.seen) == 1


@on_uvloop
async def test_calls_that_are_not_kept_are_sent_each(faults: FaultServer) -> None:
    """Nobody has asked for sharing."""
    with asking(faults) as ground:
        for call in [ask(ground, "/path", None) for _ in range(3)]:
            await answers(ground, call)
        assert len(faults.seen) == 3


@on_uvloop
async def test_whoever_gives_up_takes_nothing_from_the_others(faults: FaultServer) -> None:
    """Not even who came first."""
    with asking(faults) as ground:
        first, second = ask(ground, "/gate/a"), ask(ground, "/gate/a")
        await in_thread(faults.wait_seen, 1)
        ground.engine.cancel(first)
        faults.open("a")
        assert await answers(ground, second) == [b"/gate/a"]
        assert first.replies == []
        await settled(ground)
        assert len(faults.seen) == 1


@on_uvloop
async def test_when_all_have_given_up_the_request_is(faults: FaultServer) -> None:
    """Its connection is closed, and the next who asks begins anew."""
    with asking(faults) as ground:
        crowd = [ask(ground, "/gate/a") for _ in range(3)]
        await in_thread(faults.wait_seen, 1)
        for each in crowd:
            ground.engine.cancel(each)
        assert ground.flights.status()["flights"] == 0
        faults.open("a")
        assert await answers(ground, ask(ground, "/gate/a")) == [b"/gate/a"]
        assert len(faults.seen) == 2


@on_uvloop
async def test_a_client_that_leaves_takes_nothing_from_the_others(faults: FaultServer) -> None:
    """Its handler is released without an answer."""
    with asking(faults) as ground:
        first, second = ask(ground, "/gate/a"), ask(ground, "/gate/a")
        await in_thread(faults.wait_seen, 1)
        ground.engine.give_up(first)
        assert not await ground.engine.wait_async(first, 1, time.monotonic() + PATIENCE)
        faults.open("a")
        assert await answers(ground, second) == [b"/gate/a"]


@on_uvloop
async def test_what_nobody_waits_for_is_given_up(faults: FaultServer) -> None:
    """When the time of the last call is over."""
    with asking(faults) as ground:
        ask(ground, "/mute", timeout=0.01)
        later = ask(ground, "/mute", timeout=0.02)
        later.expires += 0.01  # a wait begins that lasts longer than the call said
        await settled(ground)
        assert later.replies == []
        ((size, idle),) = await ground.at_rest()
        assert size == idle  # one that was still being opened has come for others


@pytest.mark.parametrize("path", ["/broken", "/close"])
@on_uvloop
async def test_what_is_not_good_is_not_kept(faults: FaultServer, path: str) -> None:
    """All who have asked by then are told; the next who asks has the members asked again."""
    with asking(faults) as ground:
        crowd = [ask(ground, path) for _ in range(3)]
        for each in crowd:
            await answers(ground, each)
        assert crowd[0].replies == crowd[1].replies == crowd[2].replies
        await settled(ground)
        seen = len(faults.seen)
        await answers(ground, ask(ground, path))
        assert len(faults.seen) > seen
        assert ground.flights.status()["entries"] == 0


@on_uvloop
async def test_what_cannot_be_read_is_not_kept(faults: FaultServer) -> None:
    """200, but a fault, or garbage: only who decodes it can tell."""
    with asking(faults) as ground:
        await answers(ground, ask(ground, "/path", Keep(60.0, 0.0, is_not)))
        await settled(ground)
        assert ground.flights.status()["entries"] == 0


@on_uvloop
async def test_an_unreadable_reply_ends_its_flight(faults: FaultServer) -> None:
    """A defect in whoever judges it costs the keeping, not the next call."""

    def fails(reply: Reply) -> bool:
        raise ZeroDivisionError

    with asking(faults) as ground:
        await answers(ground, ask(ground, "/path", Keep(60.0, 0.0, fails)))
        await settled(ground)
        assert await answers(ground, ask(ground, "/path")) == [b"/path"]


@on_uvloop
async def test_a_map_is_joined_half_way() -> None:
    """What has landed is there at once, the rest comes."""
    with FaultServer() as quick, FaultServer() as slow, asking(quick, slow) as ground:
        quick.open("a")
        first = ask(ground, "/gate/a", reach=Reach.ALL)
        assert await ground.engine.wait_async(first, 1, time.monotonic() + PATIENCE)
        second = ask(ground, "/gate/a", reach=Reach.ALL)
        assert len(second.replies) == 1
        slow.open("a")
        for call in (first, second):
            assert len(await answers(ground, call)) == 2
        await settled(ground)
        assert (len(quick.seen), len(slow.seen)) == (1, 1)
        assert ask(ground, "/gate/a", reach=Reach.ALL).is_complete
        assert not ask(ground, "/gate/a", reach=Reach.ONE).is_complete


@on_uvloop
async def test_a_map_with_a_failure_is_not_kept(faults: FaultServer) -> None:
    """It would be one for as long as it is kept."""
    closing = {"*": sends(closes=True)}
    with FaultServer(closing) as other, asking(faults, other) as ground:
        call = ask(ground, "/path", reach=Reach.ALL)
        await answers(ground, call)
        assert sorted(reply.status for reply in call.replies) == [2, 3]
        await settled(ground)
        assert ground.flights.status()["entries"] == 0


# --- stale ones ---


async def keep_stale(ground: Ground, path: str, body: bytes) -> None:
    """Have an entry that went stale the moment it was kept."""
    call = Call(Members("all", Reach.ONE), asks.get(path.encode()), 30.0)
    call.nodes = ("s0:80",)
    call.replies.append(Reply(0, "s0:80", Status.NORMAL, 200, "", (), body, 0.1))
    key = rcache.key_of(call)
    assert key is not None
    ground.flights.store.put(key, rcache.entry_of(call, 0.0, 300.0))


@on_uvloop
async def test_a_stale_answer_is_given_while_a_new_one_is_fetched(faults: FaultServer) -> None:
    """Nobody waits for it, and one request brings it."""
    with asking(faults) as ground:
        await keep_stale(ground, "/gate/a", b"old")
        for _ in range(3):
            call = ask(ground, "/gate/a", WITH_STALE)
            assert await answers(ground, call) == [b"old"]
            assert call.cached_time > 0
        faults.open("a")
        await settled(ground)
        assert await answers(ground, ask(ground, "/gate/a", WITH_STALE)) == [b"/gate/a"]
        assert faults.paths_seen == ["/gate/a"]


@on_uvloop
async def test_who_takes_no_stale_answer_joins_the_refresh(faults: FaultServer) -> None:
    """It is on its way already."""
    with asking(faults) as ground:
        await keep_stale(ground, "/gate/a", b"old")
        assert await answers(ground, ask(ground, "/gate/a", WITH_STALE)) == [b"old"]
        fresh, impatient = ask(ground, "/gate/a"), ask(ground, "/gate/a")
        ground.engine.cancel(impatient)
        faults.open("a")
        assert await answers(ground, fresh) == [b"/gate/a"]
        assert faults.paths_seen == ["/gate/a"]


@pytest.mark.parametrize("path", ["/broken", "/close"])
@on_uvloop
async def test_a_stale_answer_stays_while_the_members_fail(faults: FaultServer, path: str) -> None:
    """A failure is no reason to lose it."""
    with asking(faults) as ground:
        await keep_stale(ground, path, b"old")
        assert await answers(ground, ask(ground, path, WITH_STALE)) == [b"old"]
        await in_thread(faults.wait_seen, 1)
        await settled(ground)
        assert await answers(ground, ask(ground, path, WITH_STALE)) == [b"old"]


# --- by hand ---


@on_uvloop
async def test_replies_are_kept_and_forgotten_by_hand(faults: FaultServer) -> None:
    """`result.cache()` and `result.expire()`."""
    with asking(faults) as ground:
        call = ask(ground, "/path", None)
        await answers(ground, call)
        ground.engine.keep(call, 60.0)
        assert ask(ground, "/path", None).is_complete
        ground.engine.forget(call)
        assert not ask(ground, "/path", None).is_complete


@on_uvloop
async def test_at_the_end_nothing_is_left(faults: FaultServer) -> None:
    """A worker that leaves gives up its flights."""
    with asking(faults) as ground:
        ask(ground, "/mute")
        await in_thread(faults.wait_seen, 1)
        ground.flights.close()
        await asyncio.to_thread(faults.wait_talks, 0)
