"""One flight: a call on its way for all who ask the same. See `flights`.

Runs on the loop. Its replies land in one list that all who have joined have.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from skitai import rcache
from skitai.engine import Ask, Call, Keep, Sql
from skitai.rcache import Entry, Hit, Key, Store
from skitai.results import Status
from skitaid.workers.handoff import Handoff

log = logging.getLogger(__name__)

REFRESH_TIMEOUT = 30.0  # seconds, after which a refresh is given up


class Home(Protocol):
    """Where flights come from: `Flights`, whose methods these are."""

    store: Store

    def send(self, call: Call) -> None: ...

    def nodes(self, call: Call) -> tuple[str, ...]: ...

    def recall(self, call: Call) -> None: ...

    def tell(self, call: Call) -> None: ...

    def arrived(self, call: Call) -> None: ...

    def judge(self, flight: Flight) -> None: ...

    def timer(self, when: float, act: Callable[[], None]) -> asyncio.TimerHandle: ...

    def over(self, flight: Flight) -> None: ...


class Flight:
    """One call for all who ask the same. call: its own; the others have its replies."""

    __slots__ = ("_home", "_is_refresh", "_joined", "_timer", "call", "keep", "key")

    def __init__(self, home: Home, key: Key, asked: Call, keep: Keep) -> None:
        self._home = home
        self.key = key
        self.keep = keep
        self.call = Call(asked.target, _of_nobody(asked.ask), math.inf)
        self.call.nodes = asked.nodes
        self._joined: dict[Call, None] = {}  # in order
        self._timer: asyncio.TimerHandle | None = None
        self._is_refresh = False

    # --- who waits ---

    def join(self, call: Call) -> None:
        """Answer one more."""
        if self.call.is_complete and self.call.replies:  # it is being judged
            self._home.arrived(call)
        else:
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
            self._home.tell(call)

    # --- its way ---

    def looked(self, hit: Hit | None) -> None:
        """The cache has been asked."""
        if self.call.cancelled:
            return
        if hit is None or len(hit.entry.nodes) != len(self.call.nodes):
            # Nothing is kept, or of members that were more, or fewer: who waits counts on so many.
            self._ask()
            self._expire()
            return
        for call in self._let_go():
            hit.entry.give(call)
            self._home.tell(call)
        if hit.is_due:
            self.refresh()
        else:
            self._home.over(self)

    def refresh(self) -> None:
        """Ask, though nobody waits."""
        self._is_refresh = True
        self.call.expires = time.monotonic() + REFRESH_TIMEOUT
        self.call.nodes = self._home.nodes(self.call)  # what was found has those who had answered
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
            self._home.judge(self)
        else:
            self.settle(None)

    def settle(self, entry: Entry | None) -> None:
        """It is known what is to be kept; None: nothing."""
        if entry is not None:
            self._home.store.put(self.key, entry)
        self._home.over(self)

    def close(self) -> None:
        """For the end of the worker."""
        self._stop_timer()
        self._home.recall(self.call)

    def _ask(self) -> None:
        self._listen()
        self._home.send(self.call)

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
            self._home.arrived(call)
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
            self._timer = self._home.timer(latest, self._expire)

    def _give_up(self) -> None:
        self._stop_timer()
        self.call.cancelled = True
        self._home.recall(self.call)
        self._home.over(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _of_nobody(ask: Ask | Sql) -> Ask | Sql:
    """Without the deadline of whoever has asked first: the answer is for all."""
    if isinstance(ask, Sql) or b"X-Request-Deadline:" not in ask.passed:
        return ask
    lines = ask.passed.splitlines(keepends=True)
    kept = b"".join(line for line in lines if not line.startswith(b"X-Request-Deadline:"))
    return replace(ask, passed=kept)


class Judging:
    """A `Job` and a `LoopTask`: what is to be kept of the replies of a flight."""

    __slots__ = ("_entry", "_flight", "_handoff")

    def __init__(self, flight: Flight, handoff: Handoff) -> None:
        self._flight = flight
        self._handoff = handoff
        self._entry: Entry | None = None

    def run(self) -> None:
        flight = self._flight
        try:
            if rcache.is_good(flight.call, flight.keep):
                keep = flight.keep
                self._entry = rcache.entry_of(flight.call, keep.seconds, keep.stale)
        except Exception:  # a defect of ours: then it is not kept
            log.exception("replies of %s could not be read", ", ".join(flight.call.nodes))
        self._handoff.post(self)

    def on_loop(self) -> None:
        self._flight.settle(self._entry)
