"""The one place where threads hand things to the loop.

A thread posts a task; the loop runs `task.on_loop()` for each, in order of posting, and is
woken once per batch: only the post that finds the loop not yet woken wakes it. `_drain` lowers
the flag before it looks, so a post it does not see raises the flag and wakes again.

Closing: after `close()` a post is dropped. The worker is leaving then, its connections are
closed, and there is nobody left whom a result could reach.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol

log = logging.getLogger(__name__)


class LoopTask(Protocol):
    """Something a thread wants done on the loop."""

    def on_loop(self) -> None:
        """Runs on the loop thread; must not block."""


class Handoff:
    """Threads to loop, one wake per batch."""

    __slots__ = ("_awake", "_closed", "_loop", "_tasks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: deque[LoopTask] = deque()
        self._awake = False
        self._closed = False

    def post(self, task: LoopTask) -> None:
        """Have the loop run `task.on_loop()` soon. From any thread."""
        self._tasks.append(task)
        if not self._awake and not self._closed:
            self._awake = True
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:
                pass  # closed while we looked: this task is dropped like those after it

    def close(self) -> None:
        """Take no more. On the loop, before it stops."""
        self._closed = True
        self._tasks.clear()

    def _drain(self) -> None:
        self._awake = False
        tasks = self._tasks
        if self._closed:
            tasks.clear()
        for _ in range(len(tasks)):  # a bounded pass: what is posted meanwhile wakes us again
            task = tasks.popleft()
            try:
                task.on_loop()
            except Exception:
                # A defect in one task must not lose the others of its batch.
                log.exception("a task handed to the loop failed: %r", task)
