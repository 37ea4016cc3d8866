"""What happened: the records `decide` is fed with, one at a time, in the order it happened.

A worker is named by its `serial`, the number the book gave it when it decided to fork it. A
pid would not do: it is unknown until the fork, and the kernel gives it out again.
"""

from __future__ import annotations

from dataclasses import dataclass

from skitaid.supervisor.control_records import Request
from skitaid.supervisor.settings import Settings
from skitaid.workers.control import Question, Wish, WishForMember
from skitaid.workers.member_report import MemberReport


@dataclass(frozen=True, slots=True)
class Started:
    """The socket is bound and the loop begins."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The deadline that was asked for is reached, or something woke the loop."""


@dataclass(frozen=True, slots=True)
class ChildDied:
    """Some child has died, of ours or not; of ours there is an event that says which."""


@dataclass(frozen=True, slots=True)
class Forked:
    """The fork that was decided has happened; the worker is importing its apps."""

    serial: int
    pid: int


@dataclass(frozen=True, slots=True)
class ForkFailed:
    """The kernel refused the fork (no memory, too many processes)."""

    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker accepts connections."""

    serial: int


@dataclass(frozen=True, slots=True)
class WorkerBootFailed:
    """An app does not import; the worker is leaving."""

    serial: int
    reason: str  # the traceback, or one sentence


@dataclass(frozen=True, slots=True)
class WorkerDraining:
    """The worker has heard `Retire` and finishes what it has."""

    serial: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class WorkerWantsRestart:
    """The worker asks for another in its place."""

    serial: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerWantsShutdown:
    """An app of the worker asks for the end of the whole server."""

    serial: int


@dataclass(frozen=True, slots=True)
class OperatorWishes:
    """Somebody who is let in wants something done, by the status page that a worker serves."""

    serial: int
    wish: Wish | WishForMember


@dataclass(frozen=True, slots=True)
class WorkerAsks:
    """A worker wants to know something of all workers."""

    serial: int
    ticket: int
    question: Question


@dataclass(frozen=True, slots=True)
class WorkerTold:
    """A worker has answered a survey; see `control.Told`."""

    serial: int
    survey: int


@dataclass(frozen=True, slots=True)
class WorkerMembers:
    """The worker tells how members of a cluster are."""

    serial: int
    ticket: int  # whose request it answers
    total: int  # members there are; 0: it has no such cluster
    members: list[MemberReport]


@dataclass(frozen=True, slots=True)
class WorkerHungUp:
    """The worker's end of the control pipe is closed: it is dying, or can be told nothing."""

    serial: int


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker is gone and reaped."""

    serial: int
    exit_code: int  # as of subprocess: negative is the signal that killed it


@dataclass(frozen=True, slots=True)
class ReloadWanted:
    """Somebody wants conf and apps to be read again."""

    cause: str  # who said so, for the log: "SIGHUP"
    ticket: int | None = None  # of the control socket


@dataclass(frozen=True, slots=True)
class Loaded:
    """The conf was read and its address is bound."""

    settings: Settings
    ticket: int | None


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The conf has mistakes, or its address cannot be bound."""

    reason: str
    ticket: int | None


@dataclass(frozen=True, slots=True)
class RestartWanted:
    """Somebody wants another program, maybe of another version, in the place of this one."""

    cause: str
    ticket: int | None = None  # of the control socket


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """The process that tried whether a restart would come up has ended."""

    exit_code: int  # 0: it would
    text: str  # what it wrote


@dataclass(frozen=True, slots=True)
class ConfBroken:
    """It was good when a restart was tried, and no more when the next program has read it."""

    reason: str


@dataclass(frozen=True, slots=True)
class BecameNothing:
    """The kernel would not run the other program."""

    reason: str
    tickets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CountWanted:
    """Somebody wants so many workers more, or less."""

    by: int
    cause: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What a worker has written into its slot."""

    serial: int
    heartbeat: float | None  # of the master's clock; None if there was none yet
    rss: int  # bytes
    in_flight: int  # requests


@dataclass(frozen=True, slots=True)
class Looked:
    """The slots were read."""

    figures: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class LogsMoved:
    """Somebody has moved the log files away: write to new ones."""

    cause: str


@dataclass(frozen=True, slots=True)
class StopWanted:
    """Somebody wants the server to end."""

    graceful: bool  # finish what is in flight first
    cause: str  # who said so, for the log: "SIGTERM"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request came over the control socket; its reply carries the same ticket."""

    ticket: int
    request: Request


# Of a worker that is in the book.
NewsOfWorker = (
    Forked
    | WorkerReady
    | WorkerBootFailed
    | WorkerDraining
    | WorkerWantsRestart
    | WorkerWantsShutdown
    | OperatorWishes
    | WorkerAsks
    | WorkerTold
    | WorkerMembers
    | WorkerHungUp
)

Event = (
    NewsOfWorker
    | ForkFailed  # these two strike it off
    | WorkerDied
    | Started
    | TimePassed
    | ChildDied
    | ReloadWanted
    | Loaded
    | LoadFailed
    | RestartWanted
    | TrialEnded
    | BecameNothing
    | ConfBroken
    | CountWanted
    | LogsMoved
    | Looked
    | StopWanted
    | Asked
)
