"""`skitai.engine.Engine` at work: what `was` reaches the loop through.

Handler threads call `send`, `cancel` and `wait`; async handlers call `send`, `cancel` and
`wait_async` on the loop. Everything that touches a connection happens on the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from skitai import rcache
from skitai.engine import Bundle, Call, DatabaseMembers, DatabaseServer, Held, Wish
from skitai.errors import WrongUse

from . import awaiting, control
from .clients.flights import Flights
from .clients.pg_session import PgSession
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
        flights: Flights,
        tell_master: Callable[[control.FromWorker], None],
    ) -> None:
        """tell_master: called on the loop."""
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._handoff = handoff
        self._threads = threads
        self._flights = flights
        self._tell_master = tell_master

    def run(self, coroutine: awaiting.AnyCoroutine) -> object:
        """See `Engine.run`."""
        if threading.get_ident() == self._loop_thread:
            coroutine.close()
            raise WrongUse("this would stop the event loop; in an async handler, await it instead")
        return awaiting.run(coroutine, self._loop, self._handoff, self._threads)

    def want(self, wish: Wish) -> None:
        """See `Engine.want`."""
        self._handoff.post(_Tell(self._tell_master, WISHES[wish]))

    def send(self, call: Call) -> None:
        """See `Engine.send`."""
        call.nodes = self._flights.fanout.nodes(call.target)
        hit = self._flights.look(call)
        if hit is None:
            self._on_loop(self._flights.start, call)
        elif hit.is_due:
            self._on_loop(self._flights.refresh, call)

    def cancel(self, call: Call) -> None:
        """See `Engine.cancel`."""
        call.cancelled = True
        self._on_loop(self._flights.cancel, call)

    def keep(self, call: Call, seconds: float) -> None:
        """See `Engine.keep`."""
        key = rcache.key_of(call)
        if key is not None:
            self._flights.store.put(key, rcache.entry_of(call, seconds))

    def forget(self, call: Call) -> None:
        """See `Engine.forget`."""
        key = rcache.key_of(call)
        if key is not None:
            self._flights.store.drop(key)

    def give_up(self, call: Call) -> None:
        """See `Engine.give_up`."""
        call.is_given_up = call.cancelled = True
        self._flights.cancel(call)
        self._threads.give_up(call)

    def hold(self, target: DatabaseMembers | DatabaseServer, request: Any) -> PgSession:
        """See `Engine.hold`."""
        return self._flights.fanout.session(target, request)

    def let_go(self, held: Held, why: str) -> None:
        """See `Engine.let_go`."""
        assert isinstance(held, PgSession)
        if threading.get_ident() == self._loop_thread:
            held.let_go(why)
        else:
            self._handoff.post(_LetGo(held, why))

    def wait(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        """See `Engine.wait`."""
        if threading.get_ident() == self._loop_thread:
            raise WrongUse(
                "getwait() and getswait() would stop the event loop; "
                "in an async handler write: await s, or await s.wait(timeout)"
            )
        return self._threads.park(call, wanted, deadline)

    async def wait_async(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        """See `Engine.wait_async`."""
        if call.landed >= wanted:
            return True
        if call.is_given_up:
            return False
        gate = _Gate(self._loop.create_future())
        call.wanted = wanted
        call.waiter = gate
        timer = self._loop.call_at(deadline, gate.release)
        try:
            await gate.future
        finally:
            timer.cancel()
            call.waiter, call.wanted = None, 0
        return call.landed >= wanted

    def _on_loop(self, act: Callable[[Call], None], call: Call) -> None:
        if threading.get_ident() == self._loop_thread:
            act(call)
        else:
            self._handoff.post(_Act(act, call))


class _Gate(msgspec.Struct):
    """An async handler that waits."""

    future: asyncio.Future[None]

    def release(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class _Act(msgspec.Struct):
    act: Callable[[Call], None]
    call: Call

    def on_loop(self) -> None:
        self.act(self.call)


class _LetGo(msgspec.Struct):
    held: PgSession
    why: str

    def on_loop(self) -> None:
        self.held.let_go(self.why)


class _Tell(msgspec.Struct):
    tell: Callable[[control.FromWorker], None]
    record: control.FromWorker

    def on_loop(self) -> None:
        self.tell(self.record)
