"""How many handlers may run at once: the run-slot policy. Pure; its caller holds the lock.

`threads = N` is the number of handlers that may *run* at the same time in a worker; a handler
that waits in getwait() does not run. Under the GIL several runnable threads are a convoy: each
wake costs a switch and nothing runs sooner. So one hot thread is granted at first, and takes
the next job itself when it finishes or parks. A second slot is granted only when work is
pending and a whole tick has passed without progress (the handler blocks outside `was`, or
computes long), a third after another tick, up to N. Slots fall back one per tick when handlers
turn out short: more than two finished or parked per slot and tick.

Without a GIL threads do run side by side, and N are granted at once.
"""

from __future__ import annotations

import sys

TICK = 0.001  # seconds; well above the ~15 µs of a short handler, well below a human's patience


class Slots:
    """The book of run slots of one worker.

    limit: `threads` of the conf.
    granted: slots that may be held now, 1..limit.
    running: slots held, 0..limit; may exceed `granted` for a while after a fall back.
    progress: how often a handler finished or parked, ever.
    """

    __slots__ = ("_seen", "adaptive", "granted", "limit", "progress", "running")

    def __init__(self, limit: int, adaptive: bool | None = None) -> None:
        self.limit = limit
        self.adaptive = has_gil() if adaptive is None else adaptive
        self.granted = 1 if self.adaptive else limit
        self.running = 0
        self.progress = 0
        self._seen = 0

    def take(self) -> bool:
        """Take a free slot if there is one."""
        if self.running >= self.granted:
            return False
        self.running += 1
        return True

    def give_back(self) -> None:
        """A handler finished or parked and nobody took its slot over."""
        assert self.running > 0, "a slot was given back that nobody held"
        self.running -= 1

    def may_keep(self) -> bool:
        """A handler finished: whether its slot may go to the next one. Counts as progress."""
        self.progress += 1
        return self.running <= self.granted

    def tick(self) -> None:
        """A tick has passed with work pending: adapt `granted` to the progress made in it."""
        made = self.progress - self._seen
        self._seen = self.progress
        if not self.adaptive:
            pass
        elif made == 0:
            self.granted = min(self.granted + 1, self.limit)
        elif made > 2 * self.granted:
            self.granted = max(self.granted - 1, 1)


def has_gil() -> bool:
    """Whether this interpreter runs one thread at a time."""
    enabled = getattr(sys, "_is_gil_enabled", None)  # since Python 3.13
    return True if enabled is None else bool(enabled())
