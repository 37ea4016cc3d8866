"""A coroutine run on the loop for a handler thread, which parks meanwhile.

For an `async def` handler that is called by XML-RPC or JSON-RPC: several calls may come in one
document and they are taken in order on a handler thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from skitai.engine import Waiter

from .handoff import Handoff
from .threads import HandlerThreads

AnyCoroutine = Coroutine[Any, Any, Any]


class Awaited:
    """One coroutine; parked for like a `Call`."""

    __slots__ = ("_coroutine", "_loop", "_task", "_threads", "replies", "waiter", "wanted")

    def __init__(
        self,
        coroutine: AnyCoroutine,
        loop: asyncio.AbstractEventLoop,
        threads: HandlerThreads,
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._threads = threads
        self._task: asyncio.Task[_Outcome] | None = None  # the loop itself holds it weakly
        self.replies: list[_Outcome] = []
        self.wanted = 1
        self.waiter: Waiter | None = None

    def on_loop(self) -> None:
        """`LoopTask`: start."""
        self._task = self._loop.create_task(self._outcome())
        self._task.add_done_callback(self._finished)

    async def _outcome(self) -> _Outcome:
        try:
            return _Outcome(await self._coroutine)
        except BaseException as error:  # asyncio would let a SystemExit end the loop
            return _Outcome(None, error)

    def _finished(self, task: asyncio.Task[_Outcome]) -> None:
        self.replies.append(task.result())
        self._threads.landed(self)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the coroutine returned, or raised."""

    value: Any
    error: BaseException | None = None


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
    outcome = awaited.replies[0]
    if outcome.error is not None:
        raise outcome.error
    return outcome.value
