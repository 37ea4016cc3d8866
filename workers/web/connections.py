"""All client connections of the worker: how many, who is late, who may be sent home.

Runs on the loop. One timer serves all: it sleeps until the earliest deadline it knows of. A
deadline that moves to later costs nothing; the timer just finds that it woke too early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from skitai.request import Request

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

    def too_late(self) -> None:
        """The deadline has passed."""

    def drain(self) -> None:
        """Close when the request in hand, if any, is answered."""

    def abort(self) -> None:
        """Close at once."""


class Connections:
    """The open connections of one worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = NEVER
        self._when_empty: Callable[[], None] | None = None
        self.is_draining = False

    def __len__(self) -> int:
        return len(self._open)

    def busy(self) -> int:
        """Connections with a request in hand."""
        return sum(connection.is_busy for connection in self._open)

    def in_hand(self) -> list[Request]:
        """The requests that are being answered. From any thread."""
        held = [connection.in_hand for connection in list(self._open)]
        return [request for request in held if request is not None]

    def add(self, connection: Connection) -> None:
        """A client has connected."""
        self._open.add(connection)

    def remove(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)
        if not self._open and self._when_empty is not None:
            self._when_empty()

    def drain(self, when_empty: Callable[[], None]) -> None:
        """Send everybody home as soon as they are answered, then say so."""
        self.is_draining = True
        self._when_empty = when_empty
        for connection in list(self._open):
            connection.drain()
        if not self._open:
            when_empty()

    def abort(self) -> None:
        """Close all at once."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._open):
            connection.abort()

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
