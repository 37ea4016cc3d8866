"""The book of one server: who lives, in which state, and what the next deadline is.

Only state lives here, and it changes by method calls from `decide`, in the master's only
thread. Never a syscall, a clock or a log line: times come in as arguments, so tests can feed
any history. Times are seconds of one monotonic clock.

A child is entered when its fork is decided, not when it has happened; otherwise two decisions
in a row would both see it missing. It is struck off when it is reaped, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

from skitaid.supervisor.backoff import Backoff
from skitaid.supervisor.child import Child, State


class Stage(Enum):
    """Where in its life the server is."""

    STARTING = "starting"  # not all workers have been ready yet: a boot failure ends it
    SERVING = "serving"  # was complete once: whatever fails now is tried again
    STOPPING = "stopping"  # leaves when the last child is gone


QUICK_DEATHS = 3  # deaths in a row that are mended at once, beyond one per worker; a guess


class Book:
    """The state of one master."""

    def __init__(
        self, processes: int, now: float, random: Callable[[], float], *, pid: int, unix_time: float
    ) -> None:
        """`pid` is the master's; `unix_time` is the wall clock's word for `now`."""
        self.pid = pid
        self.children: dict[int, Child] = {}  # by serial
        self.stage = Stage.STARTING
        self.generation = 1
        self.exit_code = 0
        self.started = now
        self.last_error = ""
        self.last_error_at: float | None = None
        self.boots = Backoff(random)  # workers that never became ready
        self.crashes = Backoff(random, free=processes + QUICK_DEATHS)  # that died later
        self._serial = 0
        self._to_unix = unix_time - now

    def enter(self, now: float) -> Child:
        """A new child, about to be forked."""
        self._serial += 1
        child = Child(self._serial, self._free_ordinal(), self.generation, forked_at=now)
        self.children[child.serial] = child
        return child

    def strike_off(self, serial: int) -> Child:
        """The child is dead."""
        return self.children.pop(serial)

    def serving(self) -> list[Child]:
        """Those who take connections now or soon."""
        return [child for child in self.children.values() if child.serves]

    def ready(self) -> list[Child]:
        """Those who take connections now."""
        return [child for child in self.children.values() if child.state is State.READY]

    def overdue(self, now: float) -> list[Child]:
        """Those who had their time to leave."""
        return [
            child
            for child in self.children.values()
            if child.kill_at is not None and child.kill_at <= now
        ]

    def note_error(self, reason: str, now: float) -> None:
        """Keep why a worker failed, for the operator who asks later."""
        self.last_error = reason
        self.last_error_at = now

    def unix(self, time: float) -> float:
        """A time of this book on the wall clock."""
        return time + self._to_unix

    def missing(self, processes: int) -> int:
        """How many workers are to be forked, now or when the back-off allows."""
        if self.stage is Stage.STOPPING:
            return 0
        return max(0, processes - len(self.serving()))

    def fork_from(self) -> float:
        """When a fork is allowed again after failures."""
        return max(self.boots.until, self.crashes.until)

    def next_deadline(self, processes: int) -> float | None:
        """When something is due even if nothing happens; None is never."""
        return min(self._deadlines(processes), default=None)

    def _deadlines(self, processes: int) -> Iterator[float]:
        for child in self.children.values():
            if child.kill_at is not None:
                yield child.kill_at
        if self.missing(processes):
            yield self.fork_from()

    def _free_ordinal(self) -> int:
        taken = {child.ordinal for child in self.children.values()}
        return next(n for n in range(len(taken) + 1) if n not in taken)
