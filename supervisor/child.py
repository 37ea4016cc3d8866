"""One worker process as its master sees it.

    BOOTING --ready--> READY --retire--> RETIRING --stop--> STOPPING

Every state may skip ahead, none goes back, and death is possible in all of them: then the
book forgets the child.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class State(Enum):
    """Where in its life a child is."""

    BOOTING = "booting"  # decided, forked, importing apps
    READY = "ready"  # accepting connections
    RETIRING = "retiring"  # told to finish what it has
    STOPPING = "stopping"  # told to leave now, or leaving because it could not boot


MOVES: dict[State, frozenset[State]] = {
    State.BOOTING: frozenset({State.READY, State.RETIRING, State.STOPPING}),
    State.READY: frozenset({State.RETIRING, State.STOPPING}),
    State.RETIRING: frozenset({State.STOPPING}),
    State.STOPPING: frozenset(),
}


class Child(msgspec.Struct):
    """A living worker. Times are of the master's monotonic clock, in seconds."""

    serial: int  # never given twice in one master's life
    ordinal: int  # given again when its holder is dead
    generation: int  # of code and conf
    forked_at: float
    drain_timeout: float = 30.0  # seconds, as of its generation's conf
    worker_timeout: float = 0.0  # likewise: by that it beats; 0: it is not looked at
    boot_by: float | None = None  # when it is to be ready
    old_at: float | None = None  # when it is to be replaced
    state: State = State.BOOTING
    pid: int = 0  # 0 until the fork has happened
    ready_at: float | None = None
    kill_at: float | None = None  # when its time to leave is over
    in_flight: int = 0  # requests it still has, as it said when it began to drain
    worn: str = ""  # why it is to be replaced, if it is

    def __str__(self) -> str:
        return f"worker {self.ordinal} (pid {self.pid})"

    @property
    def serves(self) -> bool:
        """Whether it takes connections now or will do so."""
        return self.state in (State.BOOTING, State.READY)

    def move(self, state: State) -> None:
        """Go to another state; `ValueError` if that is not a legal move."""
        if state not in MOVES[self.state]:
            raise ValueError(f"{self} is {self.state.value} and cannot become {state.value}")
        self.state = state
