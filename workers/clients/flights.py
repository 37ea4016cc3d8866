"""Single flight: of all who ask the same at one time, one goes to the members.

Runs on the loop, except for `look` and `status`. A call that wants to be kept is not sent itself:
it joins the flight of its key, which asks for all who have joined, and whose replies land in one
list that all of them have. Then a handler thread sees whether the replies may be kept, for which it
must decode them. Until that is settled whoever asks the same still joins, so no second call slips
in between the reply and its place in the cache.

Rules that must hold:
- There is one flight of a key at most.
- A flight ends: with its replies, or when nobody who has joined waits for them any more. A handler
  that gives up takes nothing from the others.
- A flight that refreshes a stale entry has nobody waiting; it is given up like any call nobody
  waits for. What it replaces stays as it is until it has brought something better.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from skitai import rcache
from skitai.engine import Call, Keep
from skitai.rcache import Hit, Key, Store
from skitai.resources import Resource
from skitai.results import Status
from skitaid.workers.handoff import Handoff
from skitaid.workers.threads import Job

from .fanout import Fanout

log = logging.getLogger(__name__)

REFRESH_TIMEOUT = 30.0  # seconds, after which a refresh is given up


class Flights:
    """The result cache of one worker, between its engine and what is sent.

    store: where replies are kept. landed: told of each call that has got a reply. submit: runs a
    job on a handler thread.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fanout: Fanout,
        store: Store,
        handoff: Handoff,
        landed: Callable[[Call], None],
        submit: Callable[[Job], None],
    ) -> None:
        self.fanout = fanout
        self.store = store
        self._loop = loop
        self._handoff = handoff
        self._landed = landed
        self._submit = submit
        self._flights: dict[Key, _Flight] = {}
        self._joined: dict[Call, _Flight] = {}
        self._misses = 0
        self._joins = 0
        self.seen: Resource = Seen(self)

    def look(self, call: Call) -> Hit | None:
        """What is kept for a call, if that is known at once; the call is answered with it then.

        From any thread. Whoever gets a hit that is due calls `refresh` on the loop.
        """
        if self.store.is_empty:
            return None
        key = rcache.key_of(call)
        hit = None if key is None else self.store.look(key, _stale(call))
        if hit is not None:
            hit.entry.give(call)
        return hit

    def start(self, call: Call) -> None:
        """Have a call answered: from the cache, by a flight, or by the members it is for."""
        key = rcache.key_of(call) if call.keep is not None or not self.store.is_near else None
        if key is None or call.cancelled:
            self.fanout.start(call)
        elif call.keep is None:
            self.store.fetch(key, 0.0, partial(self._found, call))
        else:
            flight = self._flights.get(key)
            if flight is not None:
                self._joins += 1
                self._join(flight, call)
            else:
                flight = self._flights[key] = _Flight(self, key, call, call.keep)
                self._join(flight, call)
                self.store.fetch(key, call.keep.stale, flight.looked)

    def refresh(self, call: Call) -> None:
        """Ask anew what a call has got a stale answer to, unless that is on its way."""
        key = rcache.key_of(call)
        if key is not None and key not in self._flights and call.keep is not None:
            flight = self._flights[key] = _Flight(self, key, call, call.keep)
            flight.refresh()

    def cancel(self, call: Call) -> None:
        """Nobody waits for a call any more."""
        flight = self._joined.pop(call, None)
        if flight is None:
            self.fanout.cancel(call)
        else:
            flight.leave(call)

    def close(self) -> None:
        """Give up everything. For the end of the worker."""
        for flight in list(self._flights.values()):
            flight.close()
        self.store.close()
        self.fanout.close()

    def status(self) -> dict[str, Any]:
        """Figures of `Store.status`, and: misses, those of them that joined a flight, and flights
        that are on their way. From any thread."""
        return {
            **self.store.status(),
            "misses": self._misses + self._joins,
            "joined": self._joins,
            "flights": len(self._flights),
        }

    # --- for flights ---

    def send(self, call: Call) -> None:
        """Have the members answer a flight's own call."""
        self._misses += 1
        call.nodes = self.fanout.nodes(call.target)
        self.fanout.start(call)

    def tell(self, call: Call) -> None:
        """One more reply is here."""
        self._landed(call)

    def arrived(self, call: Call) -> None:
        """Nothing more will come for a call."""
        self._joined.pop(call, None)

    def judge(self, flight: _Flight) -> None:
        """Have a handler thread see whether its replies may be kept."""
        self._submit(_Judging(flight, self._handoff))

    def timer(self, when: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        """Act at a monotonic time."""
        return self._loop.call_later(max(0.0, when - time.monotonic()), act)

    def over(self, flight: _Flight) -> None:
        """The next who asks begins anew."""
        del self._flights[flight.key]

    def _join(self, flight: _Flight, call: Call) -> None:
        self._joined[call] = flight
        flight.join(call)

    def _found(self, call: Call, hit: Hit | None) -> None:
        """What another server keeps for a call that does not want to be kept itself."""
        if hit is None:
            self.fanout.start(call)
        elif not call.cancelled:
            hit.entry.give(call)
            self._landed(call)


class Seen:
    """`was.rcache`: what apps see of the cache."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights

    def status(self) -> dict[str, Any]:
        """See `Flights.status`."""
        return self._flights.status()


class _Flight:
    """One call for all who ask the same. call: its own; the others have its replies."""

    __slots__ = ("_is_refresh", "_joined", "_timer", "call", "flights", "keep", "key")

    def __init__(self, flights: Flights, key: Key, asked: Call, keep: Keep) -> None:
        self.flights = flights
        self.key = key
        self.keep = keep
        self.call = Call(asked.target, asked.ask, math.inf)
        self.call.nodes = asked.nodes
        self._joined: dict[Call, None] = {}  # in order
        self._timer: asyncio.TimerHandle | None = None
        self._is_refresh = False

    # --- who waits ---

    def join(self, call: Call) -> None:
        """Answer one more."""
        self._joined[call] = None
        self._share(call)

    def leave(self, call: Call) -> None:
        """One of them waits no more."""
        self._joined.pop(call, None)
        call.replies = list(call.replies)  # what comes later is not for it
        if not self._joined and not self._is_refresh and not self.call.is_complete:
            self._give_up()

    def _share(self, call: Call) -> None:
        call.nodes, call.replies = self.call.nodes, self.call.replies
        if call.replies:
            self.flights.tell(call)

    # --- its way ---

    def looked(self, hit: Hit | None) -> None:
        """The cache has been asked."""
        if self.call.cancelled:
            return
        if hit is None:
            self._ask()
            self._expire()
            return
        for call in self._let_go():
            hit.entry.give(call)
            self.flights.tell(call)
        if hit.is_due:
            self.refresh()
        else:
            self.flights.over(self)

    def refresh(self) -> None:
        """Ask, though nobody waits."""
        self._is_refresh = True
        self.call.expires = time.monotonic() + REFRESH_TIMEOUT
        self._ask()

    def release(self) -> None:
        """`Waiter`: a reply has landed."""
        for call in self._joined:
            self._share(call)
        if not self.call.is_complete:
            self._listen()
            return
        self._let_go()
        if all(reply.status is Status.NORMAL for reply in self.call.replies):
            self.flights.judge(self)
        else:
            self.settle(is_good=False)

    def settle(self, is_good: bool) -> None:
        """It is known whether the replies may be kept."""
        if is_good:
            keep = self.keep
            self.flights.store.put(self.key, rcache.entry_of(self.call, keep.seconds, keep.stale))
        self.flights.over(self)

    def close(self) -> None:
        """For the end of the worker."""
        self._stop_timer()
        self.flights.fanout.cancel(self.call)

    def _ask(self) -> None:
        self._listen()
        self.flights.send(self.call)

    def _listen(self) -> None:
        # Only the loop releases, and the loop is where we are, so this needs no lock.
        self.call.wanted = len(self.call.replies) + 1
        self.call.waiter = self

    def _let_go(self) -> list[Call]:
        """Nobody is joined any more, as all there is to have is there."""
        self._stop_timer()
        calls = list(self._joined)
        self._joined.clear()
        for call in calls:
            self.flights.arrived(call)
        return calls

    def _expire(self) -> None:
        """Look when the last one stops to wait; that may be put off meanwhile."""
        if self.call.is_complete:
            return
        latest = max((call.expires for call in self._joined), default=0.0)
        if latest <= time.monotonic():
            self._let_go()
            self._give_up()
        else:
            self._timer = self.flights.timer(latest, self._expire)

    def _give_up(self) -> None:
        self._stop_timer()
        self.call.cancelled = True
        self.flights.fanout.cancel(self.call)
        self.flights.over(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Judging:
    """A `Job` and a `LoopTask`: whether the replies of a flight may be kept."""

    __slots__ = ("_flight", "_handoff", "_is_good")

    def __init__(self, flight: _Flight, handoff: Handoff) -> None:
        self._flight = flight
        self._handoff = handoff
        self._is_good = False

    def run(self) -> None:
        flight = self._flight
        try:
            self._is_good = rcache.is_good(flight.call, flight.keep)
        except Exception:  # a defect of ours: then it is not kept
            log.exception("replies of %s could not be read", ", ".join(flight.call.nodes))
        self._handoff.post(self)

    def on_loop(self) -> None:
        self._flight.settle(self._is_good)


def _stale(call: Call) -> float:
    return call.keep.stale if call.keep is not None else 0.0
