"""Handler threads at work: real threads, a real loop, and no wake-up that gets lost.

What happens is made certain by events: a job says on the loop where it is, and goes on when
the test lets it. Nothing waits for time to pass, but for the ticks and timeouts under test.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from skitai.engine import Waiter
from skitaid.workers import threads as threads_module
from skitaid.workers.handoff import Handoff
from skitaid.workers.slots import Slots
from skitaid.workers.threads import HandlerThreads

PATIENCE = 30.0  # seconds; only a test that fails waits that long


@dataclass(eq=False)
class Parcel:
    """What a handler waits for: a `Waitable`."""

    replies: list[Any] = field(default_factory=list)
    wanted: int = 0
    waiter: Waiter | None = None
    bundle: None = None
    is_given_up: bool = False

    @property
    def landed(self) -> int:
        return len(self.replies)


class Bench:
    """Handler threads and what is needed around them, on the running loop."""

    def __init__(self, slots: Slots, maximum: int, queue: int = 10_000) -> None:
        self.loop = asyncio.get_running_loop()
        self.handoff = Handoff(self.loop)
        self.threads = HandlerThreads(self.loop, self.handoff, slots, maximum, queue)
        self.most = 0  # that ever ran at once
        self._running = 0
        self._lock = threading.Lock()

    def start(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """Submit a job; its outcome arrives on the loop."""
        job = Job(self, work, self.loop.create_future())
        self.threads.submit(job)
        return job.done

    # on a handler thread

    def park(self, parcel: Parcel, wanted: int = 1, deadline: float | None = None) -> bool:
        self.stops()
        try:
            return self.threads.park(parcel, wanted, deadline)
        finally:
            self.runs()

    def tell(self, work: Callable[[], Any]) -> None:
        """Have the loop do something."""
        self.handoff.post(Told(work))

    def runs(self) -> None:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)

    def stops(self) -> None:
        with self._lock:
            self._running -= 1

    # on the loop

    def land(self, parcel: Parcel, reply: Any = None) -> None:
        parcel.replies.append(reply)
        self.threads.landed(parcel)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop go round until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  # threads cannot set an asyncio.Event
                await asyncio.sleep(0)

    def is_at_rest(self) -> bool:
        """Nobody runs, waits or is queued, and all threads are idle."""
        counts = self.threads.counts()
        busy = counts.parked, counts.released, counts.running, counts.queued
        return busy == (0, 0, 0, 0) and counts.idle == counts.threads


@dataclass
class Job:
    bench: Bench
    work: Callable[[], Any]
    done: asyncio.Future[Any]

    def run(self) -> None:
        self.bench.runs()
        try:
            outcome = self.work()
        except BaseException as error:
            outcome = error
        finally:
            self.bench.stops()
        self.bench.tell(lambda: self.done.set_result(outcome))


@dataclass
class Told:
    work: Callable[[], Any]

    def on_loop(self) -> None:
        self.work()


@asynccontextmanager
async def bench(slots: Slots, maximum: int = 8, **more: int) -> AsyncIterator[Bench]:
    """A bench for one test; in the end all must be at rest."""
    made = Bench(slots, maximum, **more)
    yield made
    await made.until(made.is_at_rest)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def within_patience() -> None:
        async with asyncio.timeout(PATIENCE):
            await test

    asyncio.run(within_patience())


def fixed(limit: int) -> Slots:
    """All slots are granted at once."""
    return Slots(limit, adaptive=False)


def adaptive(limit: int) -> Slots:
    """One slot is granted, and more when nothing moves."""
    return Slots(limit, adaptive=True)


both = pytest.mark.parametrize("slots", [fixed, adaptive])


# Jobs


@both
def test_jobs_run(slots: Callable[[int], Slots]) -> None:
    """Many more jobs than threads, each once; no more threads than slots are made for them."""

    async def test() -> None:
        async with bench(slots(3)) as some:
            numbers = list(range(500))
            outcomes = await asyncio.gather(*[some.start(lambda n=n: n) for n in numbers])

            assert outcomes == numbers
            assert some.most <= 3
            assert some.threads.counts().threads <= 3

    run(test())


def test_jobs_start_in_order() -> None:
    """First come, first served."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            started: list[int] = []
            await asyncio.gather(*[some.start(lambda n=n: started.append(n)) for n in range(50)])

            assert started == list(range(50))

    run(test())


def test_handler_that_blocks_gets_company() -> None:
    """A second slot is granted when there is no progress: here the first job waits for it."""

    async def test() -> None:
        async with bench(adaptive(2)) as some:
            gate = threading.Event()
            first = some.start(lambda: gate.wait(PATIENCE))
            some.start(gate.set)

            assert await first is True

    run(test())


def test_queue_has_a_limit() -> None:
    """It counts what waits for a thread, not what runs."""

    async def test() -> None:
        async with bench(fixed(1), queue=2) as some:
            gate, started = threading.Event(), asyncio.Event()

            def hold() -> None:
                some.tell(started.set)
                gate.wait(PATIENCE)

            jobs = [some.start(hold)]
            await started.wait()
            full = []
            for _ in range(3):
                full.append(some.threads.is_full())
                if not full[-1]:
                    jobs.append(some.start(lambda: None))
            gate.set()
            await asyncio.gather(*jobs)

            assert full == [False, False, True]
            assert not some.threads.is_full()

    run(test())


def test_job_that_fails_outside_its_handler(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; the thread and its slot stay."""

    class Defect:
        def run(self) -> None:
            raise SystemExit("a defect")

    async def test() -> None:
        async with bench(fixed(1)) as some:
            some.threads.submit(Defect())
            await some.start(lambda: None)

            assert some.threads.counts().threads == 1

    run(test())
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "a defect" in caplog.text


def test_threads_leave_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are slots stay."""
    monkeypatch.setattr(threads_module, "IDLE_SECONDS", 0.001)

    async def test() -> None:
        async with bench(fixed(2), maximum=12) as some:
            parcels = [Parcel() for _ in range(12)]
            jobs = [some.start(lambda p=p: some.park(p)) for p in parcels]
            await some.until(lambda: some.threads.counts().parked == 12)
            assert some.threads.counts().threads == 12
            for parcel in parcels:
                some.land(parcel)
            await asyncio.gather(*jobs)
            await some.until(lambda: some.threads.counts().threads == 2)

            assert await some.start(lambda: "still at work") == "still at work"

    run(test())


# Parking


@both
def test_parked_thread_gives_its_slot_to_the_next(slots: Callable[[int], Slots]) -> None:
    """200 wait at once with four slots; released together, all finish, few at a time."""

    async def test() -> None:
        async with bench(slots(4), maximum=200) as some:
            parcels = [Parcel() for _ in range(200)]
            jobs = [some.start(lambda p=p: some.park(p)) for p in parcels]
            await some.until(lambda: some.threads.counts().parked == 200)
            await some.until(lambda: some.threads.counts().running == 0)
            for parcel in parcels:
                some.land(parcel)

            assert await asyncio.gather(*jobs) == [True] * 200
            assert some.most <= 4

    run(test())


def test_reply_that_is_there_is_not_waited_for() -> None:
    """Who asks late goes on at once."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            parcel = Parcel()
            some.land(parcel)

            assert await some.start(lambda: some.threads.park(parcel, 1, None)) is True

    run(test())


def test_all_that_is_wanted_is_waited_for() -> None:
    """One of two replies releases nobody."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            parcel = Parcel()
            job = some.start(lambda: some.park(parcel, 2))
            await some.until(lambda: some.threads.counts().parked == 1)
            some.land(parcel)
            await some.start(lambda: None)
            assert not job.done()
            some.land(parcel)

            assert await job is True

    run(test())


def test_released_waiter_comes_before_new_jobs() -> None:
    """Finish before you start."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            order: list[str] = []
            parcel, gate, started = Parcel(), threading.Event(), asyncio.Event()

            def first() -> None:
                some.park(parcel)
                order.append("first")

            def second() -> None:
                some.tell(started.set)
                gate.wait(PATIENCE)
                order.append("second")

            jobs = [some.start(first), some.start(second)]
            jobs += [some.start(lambda: order.append("third"))]
            await started.wait()
            some.land(parcel)
            await some.until(lambda: some.threads.counts().released == 1)
            gate.set()
            await asyncio.gather(*jobs)

            assert order == ["second", "first", "third"]

    run(test())


@pytest.mark.parametrize("seconds", [1e10, float("inf")])
def test_deadline_beyond_what_a_clock_can_wait_for(seconds: float) -> None:
    """It is as good as none: the handler waits for its reply, and no slot is lost."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            parcel = Parcel()
            done = some.start(lambda: some.park(parcel, 1, time.monotonic() + seconds))
            await some.until(lambda: some.threads.counts().parked == 1)
            some.land(parcel, "reply")
            assert await done is True
            assert await some.start(lambda: "next") == "next"
            await some.until(lambda: some.threads.counts().running == 0)

    run(test())


def test_deadline_that_passes_while_parked() -> None:
    """The waiter is told so, and has a slot again when it goes on."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            parcel = Parcel()
            past = time.monotonic() - 1
            counts = []

            def work() -> bool:
                came = some.park(parcel, 1, past)
                counts.append(some.threads.counts())
                return came

            assert await some.start(work) is False
            assert (counts[0].running, counts[0].parked) == (1, 0)
            some.land(parcel)  # late: nobody waits any more

    run(test())


@both
def test_deadline_that_passes_while_others_run(slots: Callable[[int], Slots]) -> None:
    """It waits for a slot, and gets the next one, ahead of new jobs."""

    async def test() -> None:
        async with bench(slots(1)) as some:
            order: list[str] = []
            gate, parcel = threading.Event(), Parcel()

            def late() -> None:
                came = some.park(parcel, 1, time.monotonic() + 0.01)
                order.append(f"late {came}")

            def other() -> None:
                gate.wait(PATIENCE)
                order.append("other")

            jobs = [some.start(late), some.start(other), some.start(lambda: order.append("new"))]
            await some.until(lambda: some.threads.counts().released == 1)
            gate.set()
            await asyncio.gather(*jobs)

            assert order == ["other", "late False", "new"]

    run(test())


def test_those_who_wait_hold_nobody_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """All start at once, as long as there are threads."""
    monkeypatch.setattr(threads_module, "TICK", PATIENCE)  # none passes

    async def test() -> None:
        async with bench(adaptive(1), maximum=30) as b:
            parcels = [Parcel() for _ in range(30)]
            jobs = [b.start(lambda each=each: b.park(each)) for each in parcels]
            await b.until(lambda: b.threads.counts().parked == len(parcels))
            for each in parcels:
                b.land(each)
            assert all(await asyncio.gather(*jobs))

    run(test())


def test_all_threads_parked() -> None:
    """With no thread left, jobs wait, and go on when somebody is released."""

    async def test() -> None:
        async with bench(fixed(1), maximum=3) as some:
            parcels = [Parcel() for _ in range(3)]
            jobs = [some.start(lambda p=p: some.park(p)) for p in parcels]
            await some.until(lambda: some.threads.counts().parked == 3)
            waiting = [some.start(lambda n=n: n) for n in range(5)]
            await some.until(lambda: some.threads.counts().queued == 5)
            assert some.threads.counts().threads == 3
            some.land(parcels[1])
            assert await asyncio.gather(*waiting) == list(range(5))

            assert [job.done() for job in jobs] == [False, True, False]
            some.land(parcels[0])
            some.land(parcels[2])
            await asyncio.gather(*jobs)

    run(test())


def test_all_threads_parked_until_a_deadline() -> None:
    """The same when nobody is released but by the time."""

    async def test() -> None:
        async with bench(adaptive(2), maximum=2) as some:
            late = [
                some.start(lambda: some.park(Parcel(), 1, time.monotonic() + 0.01))
                for _ in range(2)
            ]
            waiting = [some.start(lambda n=n: n) for n in range(5)]

            assert await asyncio.gather(*late) == [False, False]
            assert await asyncio.gather(*waiting) == list(range(5))

    run(test())


def test_thread_that_is_not_ours_can_wait() -> None:
    """An app's own thread has no slot to give, and holds up nobody."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            parcel, came = Parcel(), asyncio.Queue[bool]()

            def work() -> None:
                outcomes = [
                    some.threads.park(Parcel(), 1, time.monotonic() - 1),
                    some.threads.park(parcel, 1, None),
                    some.threads.park(parcel, 1, None),
                ]
                for outcome in outcomes:
                    some.tell(lambda outcome=outcome: came.put_nowait(outcome))

            own = threading.Thread(target=work)
            own.start()
            await some.until(lambda: parcel.waiter is not None)
            await some.start(lambda: None)
            some.land(parcel)
            outcomes = [await came.get() for _ in range(3)]
            own.join()

            assert outcomes == [False, True, True]

    run(test())


# Wakes


@both
@pytest.mark.parametrize("deadline", [None, 0.0005], ids=["replies", "deadlines"])
def test_no_wake_is_ever_lost(slots: Callable[[int], Slots], deadline: float | None) -> None:
    """Many short parks, released by replies and by deadlines that race with them."""
    jobs, parks = 60, 25

    async def test() -> None:
        async with bench(slots(3), maximum=24) as some:

            def work() -> int:
                came = 0
                for _ in range(parks):
                    parcel = Parcel()
                    some.tell(lambda p=parcel: some.land(p))
                    until = None if deadline is None else time.monotonic() + deadline
                    came += some.park(parcel, 1, until)
                    if deadline is not None:  # late is fine, but it must land
                        some.park(parcel)
                        assert len(parcel.replies) == 1
                return came

            outcomes = await asyncio.gather(*[some.start(work) for _ in range(jobs)])

            assert some.most <= 3
            assert all(isinstance(each, int) for each in outcomes)
            if deadline is None:
                assert outcomes == [parks] * jobs

    run(test())


class LeisurelyLock:
    """A lock after whose release a handler thread lets the loop go first, at one chosen moment.

    It makes certain what else happens once in a million times: that the loop hands a job to a
    thread which has just gone idle, before that thread has looked where it is.
    """

    def __init__(self, is_moment: Callable[[], bool], go_first: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._is_moment = is_moment
        self._go_first = go_first

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        is_moment = self._is_moment()
        self._lock.release()
        if is_moment:
            self._go_first()


def test_job_for_a_thread_that_has_just_gone_idle() -> None:
    """It is announced by a wake and taken with it; a later park must not find that wake."""

    async def test() -> None:
        async with bench(fixed(1)) as some:
            parcel, handed_over = Parcel(), threading.Event()
            outcomes: list[asyncio.Future[Any]] = []
            moments = iter([True])

            def has_gone_idle() -> bool:
                is_handler = threading.current_thread().name.startswith("handler-")
                return is_handler and bool(some.threads._idle) and next(moments, False)

            def submit() -> None:
                outcomes.append(some.start(lambda: some.park(parcel)))
                some.loop.call_soon(handed_over.set)  # after the flush

            def let_the_loop_go_first() -> None:
                some.tell(submit)
                assert handed_over.wait(PATIENCE)

            lock: Any = LeisurelyLock(has_gone_idle, let_the_loop_go_first)
            some.threads._lock = lock
            await some.start(lambda: None)
            await some.until(lambda: outcomes)
            await some.until(lambda: some.threads.counts().parked == 1 or outcomes[0].done())
            assert not outcomes[0].done(), "woken before its reply was there"
            some.land(parcel)

            assert await outcomes[0] is True

    run(test())


# The system has no more threads. It cannot be asked to refuse one without harm to everything
# else that runs on the machine, so here Thread.start itself refuses.


def refuse_threads(monkeypatch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    """Refuse to start a thread the n-th times, from 1."""
    start, count = threading.Thread.start, iter(range(1, 1000))

    def start_or_not(self: threading.Thread) -> None:
        if next(count) in numbers:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    monkeypatch.setattr(threads_module, "RETRY", 0.001)


def test_first_thread_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that has no thread at all is not forgotten."""
    refuse_threads(monkeypatch, {1, 2, 3})

    async def test() -> None:
        async with bench(fixed(2)) as some:
            assert await some.start(lambda: "ran") == "ran"

    run(test())
    assert caplog.text.count("can't start new thread") == 3
    assert "threads_max" in caplog.text


def test_other_threads_take_the_job(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread that cannot be had is done without; its slot is not lost, and no order."""
    refuse_threads(monkeypatch, set(range(2, 1000)))
    monkeypatch.setattr(threads_module, "RETRY", 1000.0)

    async def test() -> None:
        async with bench(fixed(2)) as some:
            order: list[int] = []
            gate, started = threading.Event(), asyncio.Event()

            def hold() -> None:
                some.tell(started.set)
                gate.wait(PATIENCE)

            jobs = [some.start(hold)]
            await started.wait()
            jobs += [some.start(lambda n=n: order.append(n)) for n in range(3)]
            await some.until(lambda: "can't start new thread" in caplog.text)
            gate.set()
            await asyncio.gather(*jobs)

            assert order == [0, 1, 2]
            assert some.threads.counts().threads == 1

    run(test())


def test_parked_threads_go_on_when_no_more_are_to_be_had(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The only thread waits, the next job finds none; the reply sets both free."""
    refuse_threads(monkeypatch, set(range(2, 1000)))
    monkeypatch.setattr(threads_module, "RETRY", 1000.0)

    async def test() -> None:
        async with bench(fixed(1)) as some:
            parcel = Parcel()
            first = some.start(lambda: some.park(parcel))
            second = some.start(lambda: "second")
            await some.until(lambda: "can't start new thread" in caplog.text)
            some.land(parcel)

            assert await first is True
            assert await second == "second"

    run(test())
