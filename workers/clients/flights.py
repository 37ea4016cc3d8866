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
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from skitai import rcache
from skitai.engine import Call
from skitai.rcache import Hit, Key, Store
from skitaid.workers.handoff import Handoff
from skitaid.workers.threads import Job

from .fanout import Fanout
from .flight import Flight, Judging


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
        self._flights: dict[Key, Flight] = {}
        self._joined: dict[Call, Flight] = {}
        self._misses = 0
        self._joins = 0

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
            if flight is None:
                flight = self._flights[key] = Flight(self, key, call, call.keep)
                self._join(flight, call)
                self.store.fetch(key, call.keep.stale, flight.looked)
            elif len(flight.call.nodes) == len(call.nodes):
                self._joins += 1
                self._join(flight, call)
            else:  # members have come or gone meanwhile: it will have another number of replies
                self.fanout.start(call)

    def refresh(self, call: Call) -> None:
        """Ask anew what a call has got a stale answer to, unless that is on its way."""
        key = rcache.key_of(call)
        if key is not None and key not in self._flights and call.keep is not None:
            flight = self._flights[key] = Flight(self, key, call, call.keep)
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
        """Have the members answer a flight's own call, which has its nodes."""
        self._misses += 1
        self.fanout.start(call)

    def nodes(self, call: Call) -> tuple[str, ...]:
        """Whom a call would ask now."""
        return self.fanout.nodes(call.target)

    def recall(self, call: Call) -> None:
        """Nobody waits any more for a flight's own call."""
        self.fanout.cancel(call)

    def tell(self, call: Call) -> None:
        """One more reply is here."""
        self._landed(call)

    def arrived(self, call: Call) -> None:
        """Nothing more will come for a call."""
        self._joined.pop(call, None)

    def judge(self, flight: Flight) -> None:
        """Have a handler thread see whether its replies may be kept."""
        self._submit(Judging(flight, self._handoff))

    def timer(self, when: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        """Act at a monotonic time."""
        return self._loop.call_later(max(0.0, when - time.monotonic()), act)

    def over(self, flight: Flight) -> None:
        """The next who asks begins anew."""
        del self._flights[flight.key]

    def _join(self, flight: Flight, call: Call) -> None:
        self._joined[call] = flight
        flight.join(call)

    def _found(self, call: Call, hit: Hit | None) -> None:
        """What another server keeps for a call that does not want to be kept itself."""
        if hit is None or len(hit.entry.nodes) != len(call.nodes):
            self.fanout.start(call)
        elif not call.cancelled:
            hit.entry.give(call)
            self._landed(call)


def _stale(call: Call) -> float:
    return call.keep.stale if call.keep is not None else 0.0
