"""The one place that waits, and signals as something to wait for."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from skitaid.supervisor.signals import Signals
from skitaid.supervisor.waiting import Waiter


@pytest.fixture
def waiter() -> Iterator[Waiter[str]]:
    waiter: Waiter[str] = Waiter()
    yield waiter
    waiter.close()


def test_news_become_events(waiter: Waiter[str]) -> None:
    """What the note of a readable descriptor returns."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        waiter.watch(ours, lambda: [ours.recv(10).decode(), "!"])
        theirs.send(b"hello")
        assert waiter.wait(None) == ["hello", "!"]


def test_a_deadline_ends_the_wait(waiter: Waiter[str]) -> None:
    """With nothing to tell; one in the past does so at once."""
    deadline = time.monotonic() + 0.05
    assert waiter.wait(deadline) == []
    assert time.monotonic() >= deadline
    assert waiter.wait(0.0) == []


def test_what_was_forgotten_meanwhile_is_not_noted(waiter: Waiter[str]) -> None:
    """A worker's death closes its pipe, which was readable in the same round."""
    pairs = [socket.socketpair() for _ in range(2)]

    def note() -> list[str]:
        for ours, theirs in pairs:
            waiter.forget(ours)
            ours.close()
            theirs.close()
        return ["all gone"]

    for ours, theirs in pairs:
        waiter.watch(ours, note)
        theirs.send(b"x")
    assert waiter.wait(None) == ["all gone"]


def test_signals_are_queued_in_order() -> None:
    """None is lost between two waits, and their default is back afterwards."""
    before = signal.getsignal(signal.SIGUSR1)
    signals = Signals([signal.SIGUSR1, signal.SIGUSR2])
    try:
        for number in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), number)
        assert signals.take() == [signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2]
        assert signals.take() == []
    finally:
        signals.close()
    assert signal.getsignal(signal.SIGUSR1) == before
