"""`skitai.engine.Engine` at work: what `was` reaches the loop through.

Handler threads call `send`, `cancel` and `wait`; async handlers call `send`, `cancel` and
`wait_async` on the loop. Everything that touches a connection happens on the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass

from skitai.engine import Call, Wish
from skitai.errors import WrongUse

from . import awaiting, control
from .clients.fanout import Fanout
from .handoff import Handoff
from .threads import HandlerThreads

WISHES: dict[Wish, control.FromWorker] = {
    Wish.RESTART: control.WantRestart("an app has called was.restart()"),
    Wish.SHUTDOWN: control.WantShutdown(),
}


class WorkerEngine:
    """One per worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handoff: Handoff,
        threads: HandlerThreads,
        fanout: Fanout,
        tell_master: Callable[[control.FromWorker], None],
    ) -> None:
        """tell_master: called on the loop."""
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._handoff = handoff
        self._threads = threads
        self._fanout = fanout
        self._tell_master = tell_master

    def run(self, coroutine: awaiting.AnyCoroutine) -> object:
        """See `Engine.run`."""
        return awaiting.run(coroutine, self._loop, self._handoff, self._threads)

    def want(self, wish: Wish) -> None:
        """See `Engine.want`."""
        self._handoff.post(_Tell(self._tell_master, WISHES[wish]))

    def send(self, call: Call) -> None:
        """See `Engine.send`."""
        call.nodes = self._fanout.nodes(call.target)
        if threading.get_ident() == self._loop_thread:
            self._fanout.start(call)
        else:
            self._handoff.post(_Start(self._fanout, call))

    def cancel(self, call: Call) -> None:
        """See `Engine.cancel`."""
        call.cancelled = True
        if threading.get_ident() == self._loop_thread:
            self._fanout.cancel(call)
        else:
            self._handoff.post(_Cancel(self._fanout, call))

    def wait(self, call: Call, wanted: int, deadline: float) -> bool:
        """See `Engine.wait`."""
        if threading.get_ident() == self._loop_thread:
            raise WrongUse(
                "getwait() and getswait() would stop the event loop; "
                "in an async handler write: await s, or await s.wait(timeout)"
            )
        return self._threads.park(call, wanted, deadline)

    async def wait_async(self, call: Call, wanted: int, deadline: float) -> bool:
        """See `Engine.wait_async`."""
        if len(call.replies) >= wanted:
            return True
        gate = _Gate(self._loop.create_future())
        call.wanted = wanted
        call.waiter = gate
        timer = self._loop.call_at(deadline, gate.release)
        try:
            await gate.future
        finally:
            timer.cancel()
            call.waiter = None
        return len(call.replies) >= wanted


@dataclass(slots=True)
class _Gate:
    """An async handler that waits."""

    future: asyncio.Future[None]

    def release(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


@dataclass(slots=True)
class _Start:
    fanout: Fanout
    call: Call

    def on_loop(self) -> None:
        self.fanout.start(self.call)


@dataclass(slots=True)
class _Cancel:
    fanout: Fanout
    call: Call

    def on_loop(self) -> None:
        self.fanout.cancel(self.call)


@dataclass(slots=True)
class _Tell:
    tell: Callable[[control.FromWorker], None]
    record: control.FromWorker

    def on_loop(self) -> None:
        self.tell(self.record)
