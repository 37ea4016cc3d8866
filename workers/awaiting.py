"""A coroutine run on the loop for a handler thread, which parks meanwhile.

For an `async def` handler that is called by XML-RPC or JSON-RPC: several calls may come in one
document and they are taken in order on a handler thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from skitai.engine import Waiter

from .handoff import Handoff
from .threads import HandlerThreads

AnyCoroutine = Coroutine[Any, Any, Any]


class Awaited:
    """One coroutine; parked for like a `Call`."""

    __slots__ = ("_coroutine", "_loop", "_outcomes", "_task", "_threads", "waiter", "wanted")

    bundle = None
    is_given_up = False  # when the client leaves, what the coroutine waits for is

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
        self._outcomes: list[_Outcome] = []
        self.wanted = 1
        self.waiter: Waiter | None = None

    @property
    def landed(self) -> int:
        """`Waitable`: 1 when it is over."""
        return len(self._outcomes)

    @property
    def outcome(self) -> _Outcome:
        """How it ended."""
        return self._outcomes[0]

    def on_loop(self) -> None:
        """`LoopTask`: start."""
        self._task = self._loop.create_task(self._await())
        self._task.add_done_callback(self._finished)

    async def _await(self) -> _Outcome:
        try:
            return _Outcome(await self._coroutine)
        except BaseException as error:  # asyncio would let a SystemExit end the loop
            return _Outcome(None, error)

    def _finished(self, task: asyncio.Task[_Outcome]) -> None:
        self._outcomes.append(task.result())
        self._threads.landed(self)


class _Outcome(msgspec.Struct, frozen=True):
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
    outcome = awaited.outcome
    if outcome.error is not None:
        raise outcome.error
    return outcome.value
