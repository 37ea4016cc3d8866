"""Active checks: one worker asks, all of them know."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from asking import Ground, asking, in_thread, on_uvloop, until
from fault_server import Board, FaultServer, Seen, Talk, refusing_port, response
from hypothesis import given
from hypothesis import strategies as st
from operator_session import Home

from skitaid.workers.clients.checks import FALL, LATE, LOOK, TIMEOUT, Checks, is_due
from skitaid.workers.clients.health import FAILURES, FIRST
from skitaid.workers.member_table import ROWS, STALE, MemberTable
from skitaid.workers.settings import Check, HttpCluster

PASSES = Check("/path", 60.0)
FAILS = Check("/broken", 60.0)
identities = st.integers(1, 2**64 - 1)


class Worker:
    """The checks of one worker, in hand: it looks when it is told to."""

    def __init__(self, ground: Ground, table: MemberTable, check: Check, rank: int | None) -> None:
        (self.member,) = ground.fanout.clusters["all"].members
        self.member.cluster = "all"
        self.table = table
        conf = HttpCluster("all", (), tls=False, balance="p2c", where="", check=check)
        clusters = ground.fanout.clusters
        self.checks = Checks(
            asyncio.get_running_loop(), table, {"all": conf}, clusters, lambda: self.rank
        )
        self.rank: int | None = None  # so that the first look finds members, and checks nobody
        self.checks.look()
        self.rank = rank
        self.watch = self.checks.watches[self.member]

    async def check(self) -> None:
        """Do a check that is due now, and learn what it tells."""
        row = self.table.row(self.watch.identity, time.monotonic_ns())
        assert row is not None
        row.claim(0)
        self.checks.look()
        assert self.watch.is_out
        await until(lambda: not self.watch.is_out)
        self.checks.look()

    @property
    def may_ask(self) -> bool:
        return self.member.health.may_ask(time.monotonic())


@contextmanager
def worker(
    server: FaultServer | int, table: MemberTable, check: Check = PASSES, rank: int | None = 0
) -> Iterator[Worker]:
    with asking(server) as ground:
        one = Worker(ground, table, check, rank)
        try:
            yield one
        finally:
            one.checks.stop()


@on_uvloop
async def test_a_member_that_fails_its_checks_is_down_for_all_workers(faults: FaultServer) -> None:
    """An error status is a failure here; the second in a row counts, the first is an accident."""
    table = MemberTable()
    with worker(faults, table, FAILS) as first, worker(faults, table, FAILS, rank=1) as second:
        for number in range(1, FALL + 1):
            assert first.may_ask
            await first.check()
            assert len(faults.seen) == number
        second.checks.look()
        assert not first.may_ask
        assert not second.may_ask
    assert faults.paths_seen == ["/broken"] * FALL


@pytest.mark.parametrize("path", ["/close", "/mute", "/garbage"])
@on_uvloop
async def test_whatever_is_no_answer_fails(faults: FaultServer, path: str) -> None:
    """Silence too: a check has its own time."""
    with worker(faults, MemberTable(), Check(path, 0.05)) as one:
        for _ in range(FALL):
            await one.check()
        assert not one.may_ask


@on_uvloop
async def test_a_member_that_refuses_fails() -> None:
    """No connection, no pass."""
    with refusing_port() as sock, worker(sock.getsockname()[1], MemberTable()) as one:
        for _ in range(FALL):
            await one.check()
        assert not one.may_ask


@on_uvloop
async def test_one_check_that_passes_brings_a_member_back(faults: FaultServer) -> None:
    """Slowly, as after an ejection."""
    table = MemberTable()
    with worker(faults, table) as other:
        with worker(faults, table, FAILS) as one:
            for _ in range(FALL):
                await one.check()
            other.checks.look()
            assert not other.may_ask
        await other.check()
        assert other.may_ask
        assert other.member.load.share(time.monotonic()) < 1


@on_uvloop
async def test_an_ejected_member_comes_back_by_the_check_alone(faults: FaultServer) -> None:
    """When its time is over; calls are not used to find out."""
    with worker(faults, MemberTable()) as one:
        await one.check()
        long_ago = time.monotonic() - 2 * FIRST
        for _ in range(FAILURES):
            one.member.failed(one.member.asked(long_ago), long_ago, 0.5, "it is out of order")
        assert not one.may_ask
        await one.check()
        assert one.may_ask


@on_uvloop
async def test_a_check_does_not_shorten_an_ejection(faults: FaultServer) -> None:
    """A member that passes checks and fails calls would be asked again at once."""
    with worker(faults, MemberTable()) as one:
        now = time.monotonic() + 3600
        for _ in range(FAILURES):
            one.member.failed(one.member.asked(now), now, 0.5, "it is out of order")
        await one.check()
        assert not one.may_ask


@on_uvloop
async def test_a_verdict_does_not_hold_for_ever(faults: FaultServer) -> None:
    """Who checked has gone and nobody has stepped in: calls find out by themselves."""
    table = MemberTable()
    with worker(faults, table, rank=None) as one:
        row = table.row(one.watch.identity, time.monotonic_ns())
        assert row is not None
        row.judge(False, time.monotonic_ns())
        one.checks.look()
        assert not one.may_ask
        row.judge(False, time.monotonic_ns() - int((LATE * PASSES.every + TIMEOUT + 1) * 1e9))
        one.checks.look()
        assert one.may_ask
        assert not one.member.health.is_checked


@on_uvloop
async def test_who_does_not_serve_checks_nobody(faults: FaultServer) -> None:
    """A worker that retires leaves it to the others."""
    with worker(faults, MemberTable(), rank=None) as one:
        one.checks.look()
        assert not one.watch.is_out


@on_uvloop
async def test_a_member_is_not_checked_twice_at_a_time(faults: FaultServer) -> None:
    """What is claimed by one worker is left alone by the others."""
    table = MemberTable()
    with (
        worker(faults, table, Check("/gate/a", 60.0)) as first,
        worker(faults, table, Check("/gate/a", 60.0), rank=1) as second,
    ):
        first.checks.look()
        second.checks.look()
        first.checks.look()
        assert (first.watch.is_out, second.watch.is_out) == (True, False)
        await in_thread(faults.wait_seen, 1)
        faults.open("a")
        await until(lambda: not first.watch.is_out)
    assert faults.paths_seen == ["/gate/a"]


@given(every=st.floats(1, 100), ranks=st.integers(0, 10))
def test_the_first_in_the_row_comes_first(every: float, ranks: int) -> None:
    """The next one has a second to see that it is done."""
    assert is_due(1000 + every + LOOK * ranks, 1000, every, ranks)
    assert not is_due(1000 + every + LOOK * ranks, 1000, every, ranks + 1)


# --- the table ---


@given(identities=st.lists(identities, unique=True, max_size=50))
def test_each_member_has_a_row_of_its_own(identities: list[int]) -> None:
    """Whatever their identities are; and finds it again."""
    table = MemberTable()
    for number, identity in enumerate(identities):
        row = table.row(identity, 1)
        assert row is not None
        assert row.verdict is None
        row.judge(number % 2 == 0, number + 1)
    for number, identity in enumerate(identities):
        row = table.row(identity, 1)
        assert row is not None
        assert row.verdict == (number % 2 == 0, number + 1)


def test_a_full_table_has_no_rows_for_others() -> None:
    """Until somebody is not used for long."""
    table, now = MemberTable(), 10 * STALE
    for number in range(1, ROWS + 1):
        assert table.row(number * 7, now) is not None
    newcomer = ROWS * 7 + 7
    assert table.row(newcomer, now + STALE) is None
    for number in range(2, ROWS + 1):
        row = table.row(number * 7, now + STALE)
        assert row is not None
        row.judge(True, now)
    row = table.row(newcomer, now + STALE + 1)
    assert row is not None
    assert row.verdict is None
    assert table.row(7, now + STALE + 1) is None


# --- a whole server ---


def test_one_of_two_workers_checks_for_both(home: Home) -> None:
    """The log tells once that a member is down, and once that it is back."""
    healthy = threading.Event()

    def switched(board: Board, talk: Talk, request: Seen) -> bool:
        talk.send(response(status="200 OK" if healthy.is_set() else "503 Service Unavailable"))
        return True

    with FaultServer({"*": switched}) as faults:
        checks_are_told_once(home, faults.node, healthy)


def checks_are_told_once(home: Home, node: str, healthy: threading.Event) -> None:
    sections = f"[@checked]\nmembers = {node}\ncheck = /switched every 1s\n"
    server = home.serve("web", sections=sections, processes=2)
    down = f"[@checked]: {node} answers /switched with 503; after {FALL} such checks it is"
    server.wait_log(down)
    healthy.set()
    log = server.wait_log(f"[@checked]: {node} passes its check again")
    assert log.count(down) == 1
    assert server.stop() == 0
