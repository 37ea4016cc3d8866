"""From threads to the loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from skitaid.workers.handoff import Handoff


@dataclass
class Wakes:
    """A loop that only remembers how often it was woken; `run` does what it was woken for."""

    callbacks: list[Callable[[], Any]] = field(default_factory=list)

    def call_soon_threadsafe(self, callback: Callable[[], Any]) -> None:
        self.callbacks.append(callback)

    def run(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


@dataclass
class Task:
    """Notes that it ran; then does something more."""

    name: Any
    ran: list[Any]
    then: Callable[[], Any] = lambda: None

    def on_loop(self) -> None:
        self.ran.append(self.name)
        self.then()


def handoff_to(loop: Any) -> Handoff:
    return Handoff(cast(asyncio.AbstractEventLoop, loop))


def test_batch_wakes_once_and_keeps_its_order() -> None:
    """Only the first post finds the loop asleep."""
    loop, ran = Wakes(), list[Any]()
    handoff = handoff_to(loop)
    for number in range(100):
        handoff.post(Task(number, ran))
    assert len(loop.callbacks) == 1
    loop.run()

    assert ran == list(range(100))


def test_each_batch_wakes_again() -> None:
    """After a pass the loop is asleep."""
    loop, ran = Wakes(), list[Any]()
    handoff = handoff_to(loop)
    for number in range(3):
        handoff.post(Task(number, ran))
        loop.run()

    assert ran == [0, 1, 2]


def test_post_from_a_task_belongs_to_the_next_batch() -> None:
    """A task that posts for ever does not keep the loop from its other work."""
    loop, ran = Wakes(), list[Any]()
    handoff = handoff_to(loop)

    def again() -> None:
        handoff.post(Task("again", ran, again))

    handoff.post(Task("first", ran, again))
    handoff.post(Task("second", ran))
    loop.run()
    assert ran == ["first", "second"]
    loop.run()
    loop.run()

    assert ran == ["first", "second", "again", "again"]


def test_failing_task_loses_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log, the others of its batch run."""
    loop, ran = Wakes(), list[Any]()
    handoff = handoff_to(loop)
    handoff.post(Task("bad", ran, lambda: 1 // 0))
    handoff.post(Task("good", ran))
    loop.run()

    assert ran == ["bad", "good"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "'bad'" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_post_after_close_is_dropped() -> None:
    """There is nobody left whom it could reach."""
    loop, ran = Wakes(), list[Any]()
    handoff = handoff_to(loop)
    handoff.post(Task("waits", ran))
    handoff.close()
    handoff.post(Task("late", ran))
    loop.run()

    assert ran == []


def test_post_to_a_closed_loop_is_dropped() -> None:
    """A thread may be between the look at the flag and the wake when the worker ends."""
    loop = asyncio.new_event_loop()
    loop.close()
    Handoff(loop).post(Task("late", []))


def test_no_post_of_many_threads_is_lost() -> None:
    """All arrive, those of one thread in its order."""
    ran: list[tuple[int, int]] = []
    threads, posts = 8, 500

    async def collect() -> None:
        done = asyncio.Event()
        handoff = Handoff(asyncio.get_running_loop())

        def note() -> None:
            if len(ran) == threads * posts:
                done.set()

        def post(thread: int) -> None:
            for number in range(posts):
                handoff.post(Task((thread, number), ran, note))

        posting = [threading.Thread(target=post, args=(each,)) for each in range(threads)]
        for each in posting:
            each.start()
        await asyncio.wait_for(done.wait(), 30)
        for each in posting:
            each.join()

    asyncio.run(collect())
    for thread in range(threads):
        assert [number for who, number in ran if who == thread] == list(range(posts))
