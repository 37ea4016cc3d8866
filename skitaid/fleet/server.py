"""One server as the fleet sees it: a master process, or the absence of one.

    STOPPED --start--> QUEUED --its turn--> STARTING --ready--> RUNNING
    STARTING, RUNNING --stop--> STOPPING --dead--> STOPPED
    STARTING, RUNNING --dies with an error--> WAITING --back-off is over, or start--> QUEUED

A master that ends with exit code 0 leaves the server STOPPED.
"""

from __future__ import annotations

import signal
from enum import Enum

import msgspec
from msgspec import field

from skitaid.supervisor.backoff import Backoff


class State(Enum):
    """Where in its life a server is."""

    QUEUED = "queued"  # to be started as soon as fewer others are starting
    STARTING = "starting"  # its master runs, not all workers are ready
    RUNNING = "running"  # all workers have been ready
    STOPPING = "stopping"  # its master was told to end
    STOPPED = "stopped"  # no master, and none wanted
    WAITING = "waiting"  # no master; the next try is due when the back-off is over


MOVES: dict[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.QUEUED}),
    State.QUEUED: frozenset({State.STARTING, State.STOPPED}),
    State.STARTING: frozenset({State.RUNNING, State.STOPPING, State.STOPPED, State.WAITING}),
    State.RUNNING: frozenset({State.STOPPING, State.STOPPED, State.WAITING}),
    State.STOPPING: frozenset({State.STOPPED}),
    State.WAITING: frozenset({State.QUEUED, State.STOPPED}),
}


class Failure(msgspec.Struct, frozen=True):
    """Why a master is no more, and where its log tells of it."""

    why: str  # "master left with exit code 1"
    at: float
    log_from: int  # bytes of the log before
    log_to: int  # and after; nothing was written if they are equal


class Server(msgspec.Struct):
    """Times are of the fleet's monotonic clock, in seconds."""

    name: str
    backoff: Backoff
    since: float  # of the last change of state
    state: State = State.STOPPED
    pid: int = 0  # 0 without a master
    start_again: bool = False  # when it is stopped
    is_held: bool = False  # stays down, whatever becomes of its conf: somebody has shut it down
    is_removed: bool = False  # its conf is gone; it is forgotten when it is stopped
    digest: str = ""  # of the conf that its master has read, or will have when told
    complaints: str = (
        ""  # what is wrong with the conf as it is now, which nobody has read therefore
    )
    when_ready: list[signal.Signals] = field(
        default_factory=list
    )  # a master that boots dies of them
    kill_at: float | None = None
    log_from: int = 0  # bytes of its log before its last start
    failure: Failure | None = None  # the last one

    @property
    def is_settled(self) -> bool:
        """Whether nothing happens to it unless something goes wrong, or its wait is over."""
        return self.state in (State.RUNNING, State.STOPPED, State.WAITING)

    @property
    def has_master(self) -> bool:
        """Whether there is a process to wait for."""
        return self.state in (State.STARTING, State.RUNNING, State.STOPPING)

    def move(self, state: State, now: float) -> None:
        """Go to another state; `ValueError` if that is not a legal move."""
        if state not in MOVES[self.state]:
            raise ValueError(f"{self.name} is {self.state.value} and cannot be {state.value}")
        self.state = state
        self.since = now
