"""Wait, note, decide, perform: the life of a process that looks after others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from skitaid.supervisor.waiting import E, Waiter

A = TypeVar("A")


class Loop(msgspec.Struct, Generic[E, A], frozen=True):
    """The four parts, and how they follow each other. Runs in the main thread."""

    waiter: Waiter[E]
    decide: Callable[[E, float], list[A]]  # an event and the time it is handled at
    perform: Callable[[A], list[E]]  # what an action brings about is news like any other
    next_deadline: Callable[[], float | None]
    exit_code: Callable[[], int | None]  # None: go on

    def run(self, first: E, idle: E) -> int:
        """Handle `first`, then all that comes; `idle` when a deadline was reached without news."""
        self._handle(first)
        while (code := self.exit_code()) is None:
            for event in self.waiter.wait(self.next_deadline()) or [idle]:
                self._handle(event)
        return code

    def _handle(self, event: E) -> None:
        """Decide, perform it all, and only then look at what that brought about."""
        actions = self.decide(event, time.monotonic())
        for consequence in [news for action in actions for news in self.perform(action)]:
            self._handle(consequence)
