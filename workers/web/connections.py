"""All client connections of the worker: how many, who is late, who may be sent home.

Runs on the loop. One timer serves all: it sleeps until the earliest deadline it knows of. A
deadline that moves to later costs nothing; the timer just finds that it woke too early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from skitai.request import Request
from skitaid.workers.scoreboard import Field, Slot, lone_slot
from skitaid.workers.tally import Tally

COARSE = 1.0  # seconds: deadlines are kept no more exactly than that
NEVER = float("inf")


class Connection(Protocol):
    """What is asked of a client connection here."""

    deadline: float  # loop time; NEVER while a handler runs

    @property
    def in_hand(self) -> Request | None:
        """The request that is being answered."""

    @property
    def is_busy(self) -> bool:
        """A request is being received or answered."""

    @property
    def is_streaming(self) -> bool:
        """A part of the response has been sent."""

    def respond(self, request: Request, data: bytes, keep_alive: bool) -> None:
        """The whole response to the request in hand."""

    def too_late(self) -> None:
        """The deadline has passed."""

    def drain(self) -> None:
        """Close when the request in hand, if any, is answered."""

    def abort(self) -> None:
        """Close at once."""


class Connections:
    """The open connections of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        slot: Slot | None = None,
        max_requests: int = 0,
        tally: Tally | None = None,
    ) -> None:
        """slot: where the siblings read how much there is to do; None without siblings.
        tally: counts what is over; None: one of its own.
        max_requests: after so many answers `when_used_up` is called, once; 0 is never.
        """
        self._loop = loop
        self._slot = lone_slot() if slot is None else slot
        self.tally = Tally(self._slot) if tally is None else tally
        self.began = self._slot.request_began  # a request is taken in hand
        self._requests_left = max_requests
        self.when_used_up: Callable[[], None] | None = None
        self._open: set[Connection] = set()
        self._arriving = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = NEVER
        self._when_empty: Callable[[], None] | None = None
        self.is_draining = False

    def __len__(self) -> int:
        return len(self._open)

    def busy(self) -> int:
        """Connections with a request in hand."""
        return sum(connection.is_busy for connection in self._open)

    def answering(self) -> list[Connection]:
        """Those with a request in hand."""
        return [each for each in self._open if each.in_hand is not None]

    def in_hand(self) -> list[Request]:
        """The requests that are being answered. From any thread."""
        held = [connection.in_hand for connection in list(self._open)]
        return [request for request in held if request is not None]

    def arriving(self) -> None:
        """A connection was accepted and is being set up; it counts from now on."""
        self._arriving += 1
        self._slot.add(Field.CONNECTIONS, 1)

    def arrived(self) -> None:
        """It is set up and was added, or came to nothing."""
        self._arriving -= 1
        self._slot.add(Field.CONNECTIONS, -1)
        self._check_empty()

    def add(self, connection: Connection) -> None:
        """A client has connected."""
        self._open.add(connection)
        self._slot.add(Field.CONNECTIONS, 1)

    def remove(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)
        self._slot.add(Field.CONNECTIONS, -1)
        self._check_empty()

    def ended(self) -> None:
        """It is answered, or its client has gone."""
        self._slot.request_ended()
        if self._requests_left:
            self._requests_left -= 1
            if not self._requests_left and self.when_used_up is not None:
                self.when_used_up()

    def drain(self, when_empty: Callable[[], None]) -> None:
        """Send everybody home as soon as they are answered, then say so."""
        self.is_draining = True
        self._when_empty = when_empty
        for connection in list(self._open):
            connection.drain()
        self._check_empty()

    def abort(self) -> None:
        """Close all at once."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._open):
            connection.abort()

    def _check_empty(self) -> None:
        if self._when_empty is not None and not self._open and not self._arriving:
            self._when_empty()

    def watch(self, deadline: float) -> None:
        """A connection has set this deadline."""
        if deadline < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = max(deadline, self._loop.time() + COARSE)
            self._timer = self._loop.call_at(self._wakes_at, self._look)

    def _look(self) -> None:
        self._timer = None
        self._wakes_at = NEVER
        now = self._loop.time()
        earliest = NEVER
        for connection in list(self._open):
            if connection.deadline <= now:
                connection.too_late()
            else:
                earliest = min(earliest, connection.deadline)
        if earliest < NEVER:
            self.watch(earliest)
