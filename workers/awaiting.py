"""A coroutine run on the loop for a handler thread, which parks meanwhile.

For an `async def` handler that is called by XML-RPC or JSON-RPC: several calls may come in one
document and they are taken in order on a handler thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from skitai.engine import Waiter

from .handoff import Handoff
from .threads import HandlerThreads

AnyCoroutine = Coroutine[Any, Any, Any]


class Awaited:
    """One coroutine; parked for like a `Call`."""

    __slots__ = ("_coroutine", "_loop", "_threads", "replies", "waiter", "wanted")

    def __init__(
        self,
        coroutine: AnyCoroutine,
        loop: asyncio.AbstractEventLoop,
        threads: HandlerThreads,
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._threads = threads
        self.replies: list[asyncio.Task[Any]] = []
        self.wanted = 1
        self.waiter: Waiter | None = None

    def on_loop(self) -> None:
        """`LoopTask`: start."""
        self._loop.create_task(self._coroutine).add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self.replies.append(task)
        self._threads.landed(self)


def run(
    coroutine: AnyCoroutine,
    loop: asyncio.AbstractEventLoop,
    handoff: Handoff,
    threads: HandlerThreads,
) -> Any:
    """The coroutine's result, or its exception. On a handler thread."""
    awaited = Awaited(coroutine, loop, threads)
    handoff.post(awaited)
    threads.park(awaited, 1, None)
    return awaited.replies[0].result()
