"""The book of connections to one server: who has one, who waits, how many are being opened.

Pure: no sockets, no clock. Every method says what the keeper is to do; the keeper does it and
tells the book how it went. At all times:

    busy + idle + opening <= cap
    nobody waits while a connection is idle
    a connection is handed only to a waiter that is still in the book

Idle connections are a stack: the last one in is the first one out, so that the surplus of a
burst grows old at the bottom and leaves. A connection being opened belongs to nobody: whichever
becomes free first, a new or a used one, goes to whoever has waited longest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

C = TypeVar("C")  # a connection
W = TypeVar("W")  # someone who wants one


@dataclass(slots=True)
class Pool(Generic[C, W]):
    """cap: connections at the most, in whatever state."""

    cap: int
    idle: dict[C, None] = field(default_factory=dict)  # an ordered set; the newest is last
    busy: int = 0
    opening: int = 0
    waiting: dict[W, None] = field(default_factory=dict)  # an ordered set; the longest is first

    def take(self) -> C | None:
        """An idle connection, busy from now on; None if there is none."""
        if not self.idle:
            return None
        connection, _ = self.idle.popitem()
        self.busy += 1
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
        self.opening += 1
        return True

    def forget(self, waiter: W) -> bool:
        """A waiter has gone. False if it was not waiting (any more)."""
        return self.waiting.pop(waiter, self) is None

    def opened(self, connection: C) -> W | None:
        """A connection was opened: for whom? It is busy then, idle if there is nobody."""
        self.opening -= 1
        return self._place(connection)

    def not_opened(self) -> W | None:
        """Opening failed: who is to be told? None while others are on their way for all."""
        self.opening -= 1
        if len(self.waiting) <= self.opening:
            return None
        return self._next_waiter()

    def give_back(self, connection: C) -> W | None:
        """A busy connection can be used again: by whom? It stays busy then, idle otherwise."""
        self.busy -= 1
        return self._place(connection)

    def lost(self, connection: C) -> bool:
        """A connection has closed. True: open another one, for those who wait."""
        if self.idle.pop(connection, self) is not None:  # it was not idle, so it was busy
            self.busy -= 1
        return self.may_open()

    @property
    def size(self) -> int:
        """Connections in whatever state."""
        return len(self.idle) + self.busy + self.opening

    def _place(self, connection: C) -> W | None:
        waiter = self._next_waiter()
        if waiter is None:
            self.idle[connection] = None
        else:
            self.busy += 1
        return waiter

    def _next_waiter(self) -> W | None:
        if not self.waiting:
            return None
        waiter = next(iter(self.waiting))
        del self.waiting[waiter]
        return waiter
