"""Handler threads: who runs, who waits, who is next.

Every job (a request for a plain `def` handler) runs on one of these threads. A thread is in
one of three places: running (it holds a run slot), parked in `park` (it waits for replies and
holds none), or idle. What happens next is decided under one short lock by whoever brings news:
the loop (`submit`, `release`) or the thread that finishes or parks. Nothing is computed and
nothing waits under that lock. A thread that may go on is woken through its own semaphore.

Rules that must hold:
- A released waiter comes before a new job: finish before you start.
- A completion never needs a handler thread: replies land on the loop.
- The loop never waits for a thread, and threads never touch sockets.
- Threads are grown on demand up to `maximum`, handed out last in first out, and leave after
  `IDLE_SECONDS`, except for the first `Slots.limit`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from skitai.engine import Waiter

from .handoff import Handoff
from .runner import Runner
from .slots import TICK, Slots

log = logging.getLogger(__name__)

IDLE_SECONDS = 60.0  # as long as gunicorn's and Puma's reapers are patient, give or take
RETRY = 1.0  # seconds until the system is asked for a thread again


class Job(Protocol):
    """A request to run on a handler thread."""

    def run(self) -> None:
        """Runs on a handler thread; hands its result to the loop by itself and never raises."""


class Waitable(Protocol):
    """What a thread parks for: a `skitai.engine.Call` or `Bundle`, whose fields these are.

    Both are written under the lock, `wanted` before its replies are counted for the last time, and
    it is 0 while nobody waits. So the loop may look at it without the lock after each reply.
    """

    wanted: int
    waiter: Waiter | None

    @property
    def bundle(self) -> Waitable | None:
        """What it is waited for with; None: by itself."""

    @property
    def landed(self) -> int:
        """How many replies are in."""

    @property
    def is_given_up(self) -> bool:
        """Nobody may wait for it any more."""


class Counts(msgspec.Struct, frozen=True):
    """Where everybody is at one moment; every thread is idle, parked, or holds a run slot."""

    threads: int
    idle: int
    parked: int  # those released that have no slot yet included
    released: int
    running: int
    queued: int  # jobs without a thread


class HandlerThreads:
    """The handler threads of one worker, and the queue before them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handoff: Handoff,
        slots: Slots,
        maximum: int,
        queue_limit: int,
    ) -> None:
        self.slots = slots
        self._loop = loop
        self._handoff = handoff
        self._configured = max(maximum, slots.limit)
        self._maximum = self._configured  # less for a while when the system gives no more
        self._queue_limit = queue_limit
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._resumable: deque[Runner] = deque()
        self._idle: list[Runner] = []
        self._count = 0
        self._parked = 0
        self._numbers = 0
        self._current = threading.local()
        # News of this loop iteration, passed on in one go: the loop's alone.
        self._fresh: list[Job] = []
        self._released: list[Runner] = []
        self._is_flushing = False
        self._is_ticking = False

    # --- called on the loop ---

    def is_full(self) -> bool:
        """Whether a new request must be refused with 503."""
        return len(self._jobs) + len(self._fresh) >= self._queue_limit

    def counts(self) -> Counts:
        """For the status, and for tests. From any thread; `queued` is exact on the loop."""
        with self._lock:
            return Counts(
                threads=self._count,
                idle=len(self._idle),
                parked=self._parked,
                released=len(self._resumable),
                running=self.slots.running,
                queued=len(self._jobs) + len(self._fresh),
            )

    def submit(self, job: Job) -> None:
        """Run a job when a slot is free."""
        self._fresh.append(job)
        self._flush_soon()

    def landed(self, call: Waitable) -> None:
        """A reply was appended to `call`: release whoever waits for it, if it has enough."""
        call = call.bundle or call
        if call.landed < call.wanted:  # see `Waitable`: whoever waits has not enough
            return
        with self._lock:
            waiter = call.waiter
            if waiter is None or call.landed < call.wanted:
                return
            call.waiter, call.wanted = None, 0
        waiter.release()

    def give_up(self, call: Waitable) -> None:
        """`call` is given up: release whoever waits for it, without its replies."""
        call = call.bundle or call
        with self._lock:
            waiter, call.waiter, call.wanted = call.waiter, None, 0
        if waiter is not None:
            waiter.release()

    def _resume(self, runner: Runner) -> None:
        self._released.append(runner)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        with self._lock:
            self._jobs.extend(self._fresh)
            self._resumable.extend(self._released)
            woken = self._grant()
            pending = self._jobs or self._resumable
        self._fresh.clear()
        self._released.clear()
        self._wake(woken)
        if pending:
            self._tick_soon()

    def _tick_soon(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        with self._lock:
            # If nobody runs, no slot is missing: the jobs wait for a thread to be released.
            if not (self._jobs or self._resumable) or not self.slots.running:
                return
            self.slots.tick()
            woken = self._grant()
        self._wake(woken)
        self._tick_soon()

    def _try_again(self) -> None:
        self._maximum = self._configured
        self._flush()

    def on_loop(self) -> None:
        """A thread that is out of time found no slot: a `LoopTask`."""
        self._tick_soon()

    # --- called on a handler thread ---

    def park(self, call: Waitable, wanted: int, deadline: float | None) -> bool:
        """Wait until `wanted` replies are in or the deadline passes; see `Engine.wait`.

        deadline: monotonic; None waits for as long as it takes.

        A thread that is not one of ours (an app's own) just waits; it has no slot to give back.
        """
        runner: Runner | None = getattr(self._current, "runner", None)
        if runner is None:
            return self._wait_outside(call, wanted, deadline)
        with self._lock:
            if call.landed >= wanted:
                return True
            if call.is_given_up:
                return False
            call.wanted = wanted
            call.waiter = runner
            self.slots.progress += 1
            self.slots.give_back()
            self._parked += 1
            woken = self._grant()
        self._wake(woken)
        if not runner.wake.acquire(timeout=_seconds_until(deadline)):
            self._come_back(runner, call)
        return call.landed >= wanted

    def _come_back(self, runner: Runner, call: Waitable) -> None:
        """The deadline passed while parked: get a slot again, unless one is on its way."""
        with self._lock:
            if call.waiter is runner:
                call.waiter, call.wanted = None, 0
                if self.slots.take():
                    self._parked -= 1
                    return
                self._resumable.append(runner)
        self._handoff.post(self)
        runner.wake.acquire()

    def _wait_outside(self, call: Waitable, wanted: int, deadline: float | None) -> bool:
        gate = threading.Lock()
        gate.acquire()
        with self._lock:
            if call.landed >= wanted:
                return True
            if call.is_given_up:
                return False
            call.wanted = wanted
            call.waiter = gate
        gate.acquire(timeout=_seconds_until(deadline))
        with self._lock:
            if call.waiter is gate:
                call.waiter, call.wanted = None, 0
        return call.landed >= wanted

    def _work(self, runner: Runner) -> None:
        """The life of one thread."""
        self._current.runner = runner
        while self._wait_for_job(runner):
            job, runner.job = runner.job, None
            while job is not None:
                try:
                    job.run()
                except BaseException:  # a defect of ours; a thread that dies would take its slot
                    log.exception("%r failed outside the handler", job)
                job = self._next(runner)

    def _wait_for_job(self, runner: Runner) -> bool:
        """Idle until there is a job (True), or until it is time to leave (False)."""
        while not runner.wake.acquire(timeout=self._patience()):
            with self._lock:
                if runner in self._idle and self._count > self.slots.limit:
                    self._idle.remove(runner)
                    self._count -= 1
                    return False
        return True

    def _patience(self) -> float:
        return IDLE_SECONDS if self._count > self.slots.limit else -1.0

    def _next(self, runner: Runner) -> Job | None:
        """A job is done: take the next one, or pass the slot to a released waiter, or idle.

        The answer is decided under the lock and not read from `runner.job`: once a runner is
        among the idle, the job there is announced by `wake`, and must not be taken without it.
        """
        successor: Runner | None = None
        with self._lock:
            if not self.slots.may_keep():
                self.slots.give_back()
            elif self._resumable:
                successor = self._pop_resumable()
            elif self._jobs:
                return self._jobs.popleft()
            else:
                self.slots.give_back()
            self._idle.append(runner)
        if successor is not None:
            successor.wake.release()
        return None

    # --- called with the lock held ---

    def _grant(self) -> list[Runner]:
        """Give free slots to those who wait for one. Returns whom to wake, outside the lock."""
        woken: list[Runner] = []
        while (self._resumable or self._jobs) and self.slots.take():
            runner = self._pop_resumable() if self._resumable else self._pop_idle()
            if runner is None:  # all threads are parked: whoever is released first goes on
                self.slots.give_back()
                break
            woken.append(runner)
        return woken

    def _pop_resumable(self) -> Runner:
        self._parked -= 1
        return self._resumable.popleft()

    def _pop_idle(self) -> Runner | None:
        """An idle thread with the next job, a new one if there is none and may be one."""
        if self._idle:
            runner = self._idle.pop()
        elif self._count < self._maximum:
            self._count += 1
            self._numbers += 1
            runner = Runner(self._numbers, self._resume)
        else:
            return None
        runner.job = self._jobs.popleft()
        return runner

    # --- called without the lock, on any thread ---

    def _wake(self, runners: list[Runner]) -> None:
        for runner in runners:
            if runner.is_started or self._start(runner):
                runner.wake.release()

    def _start(self, runner: Runner) -> bool:
        runner.is_started = True
        name = f"handler-{runner.number}"
        try:
            threading.Thread(target=self._work, args=(runner,), name=name, daemon=True).start()
        except RuntimeError as error:  # the system gives no more threads
            log.error("no thread for a request, it stays queued: %s; lower threads_max?", error)
            with self._lock:
                assert runner.job is not None
                self._jobs.appendleft(runner.job)
                self._count -= 1
                self._maximum = self._count
                self.slots.give_back()
            self._handoff.post(_Retry(self._loop, self._try_again))
            return False
        return True


class _Retry(msgspec.Struct, frozen=True):
    """A job waits for a thread that could not be started, and perhaps there is no other."""

    loop: asyncio.AbstractEventLoop
    try_again: Callable[[], None]

    def on_loop(self) -> None:
        self.loop.call_later(RETRY, self.try_again)


def _seconds_until(deadline: float | None) -> float:
    """As Lock.acquire takes it: -1 waits for ever, which is what too long a time comes to."""
    if deadline is None:
        return -1.0
    seconds = max(0.0, deadline - time.monotonic())
    return seconds if seconds < threading.TIMEOUT_MAX else -1.0
