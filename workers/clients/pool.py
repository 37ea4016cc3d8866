"""The book of connections to one server: who has one, who waits, how many are being opened.

Pure: no sockets, no clock. Every method says what the keeper is to do; the keeper does it and
tells the book how it went. At all times:

    busy + idle + opening <= cap
    nobody waits while a connection is idle
    whoever waits has a connection on its way, or all of `cap` are busy or being opened, or as many
    are being opened as may be at one time
    a connection is handed only to a waiter that is still in the book

Idle connections are a stack: the last one in is the first one out, so that the surplus of a
burst grows old at the bottom and leaves. A connection being opened belongs to nobody: whichever
becomes free first, a new or a used one, goes to whoever has waited longest.
"""

from __future__ import annotations

import sys
from typing import Generic, TypeVar

import msgspec
from msgspec import field

C = TypeVar("C")  # a connection
W = TypeVar("W")  # someone who wants one


class Pool(msgspec.Struct, Generic[C, W]):
    """cap: connections at the most, in whatever state. pace: of these, being opened at one time."""

    cap: int
    idle: dict[C, None] = field(default_factory=dict)  # an ordered set; the newest is last
    busy: set[C] = field(default_factory=set)
    opening: int = 0
    waiting: dict[W, None] = field(default_factory=dict)  # an ordered set; the longest is first
    pace: int = sys.maxsize

    def take(self) -> C | None:
        """An idle connection, busy from now on; None if there is none."""
        if not self.idle:
            return None
        connection, _ = self.idle.popitem()
        self.busy.add(connection)
        return connection

    def wait(self, waiter: W) -> bool:
        """Put a waiter into the book. True: open one more connection."""
        self.waiting[waiter] = None
        return self.may_open()

    def may_open(self) -> bool:
        """Whether somebody waits for whom no connection is being opened, and the cap allows one.

        Counts it as being opened when it says True.
        """
        if len(self.waiting) <= self.opening or self.size >= self.cap:
            return False
        if self.opening >= self.pace:
            return False
        self.opening += 1
        return True

    def may_fill(self, least: int) -> bool:
        """Whether one more is to be opened so that there are `least`; counted as in `may_open`."""
        if self.size >= min(least, self.cap) or self.opening >= self.pace:
            return False
        self.opening += 1
        return True

    def forget(self, waiter: W) -> None:
        """A waiter has gone, if it still waited; a connection being opened for it is for others."""
        self.waiting.pop(waiter, None)

    def opened(self, connection: C) -> W | None:
        """A connection was opened: for whom? It is busy then, idle if there is nobody."""
        self.opening -= 1
        waiter = self._next_waiter()
        if waiter is None:
            self.idle[connection] = None
        else:
            self.busy.add(connection)
        return waiter

    def not_opened(self) -> W | None:
        """Opening failed: who is to be told? None while others are on their way for all.

        Then ask `may_open`: who waits beyond the cap deserves a try of its own.
        """
        self.opening -= 1
        if len(self.waiting) <= self.opening:
            return None
        return self._next_waiter()

    def give_back(self, connection: C) -> W | None:
        """A busy connection can be used again: by whom? It stays busy then, idle otherwise."""
        if self.waiting:
            return self._next_waiter()
        self.busy.remove(connection)
        self.idle[connection] = None
        return None

    def lost(self, connection: C) -> bool:
        """A connection has closed. True: open another one, for those who wait.

        One that is neither idle nor busy closed before `opened` was told; it is still counted
        as being opened, and ends with `not_opened`.
        """
        self.idle.pop(connection, None)
        self.busy.discard(connection)
        return self.may_open()

    @property
    def size(self) -> int:
        """Connections in whatever state."""
        return len(self.idle) + len(self.busy) + self.opening

    def _next_waiter(self) -> W | None:
        if not self.waiting:
            return None
        waiter = next(iter(self.waiting))
        del self.waiting[waiter]
        return waiter
