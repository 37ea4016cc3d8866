"""What happened: the records `decide` is fed with, one at a time, in the order it happened.

A worker is named by its `serial`, the number the book gave it when it decided to fork it. A
pid would not do: it is unknown until the fork, and the kernel gives it out again.
"""

from __future__ import annotations

import msgspec

from skitaid.supervisor.control_records import Request
from skitaid.supervisor.settings import Settings
from skitaid.workers.control import Question, Wish, WishForMember
from skitaid.workers.member_report import MemberReport


class Started(msgspec.Struct, frozen=True):
    """The socket is bound and the loop begins."""


class TimePassed(msgspec.Struct, frozen=True):
    """The deadline that was asked for is reached, or something woke the loop."""


class ChildDied(msgspec.Struct, frozen=True):
    """Some child has died, of ours or not; of ours there is an event that says which."""


class Forked(msgspec.Struct, frozen=True):
    """The fork that was decided has happened; the worker is importing its apps."""

    serial: int
    pid: int


class ForkFailed(msgspec.Struct, frozen=True):
    """The kernel refused the fork (no memory, too many processes)."""

    serial: int
    reason: str


class WorkerReady(msgspec.Struct, frozen=True):
    """The worker accepts connections."""

    serial: int


class WorkerBootFailed(msgspec.Struct, frozen=True):
    """An app does not import; the worker is leaving."""

    serial: int
    reason: str  # the traceback, or one sentence


class WorkerDraining(msgspec.Struct, frozen=True):
    """The worker has heard `Retire` and finishes what it has."""

    serial: int
    in_flight: int


class WorkerWantsRestart(msgspec.Struct, frozen=True):
    """The worker asks for another in its place."""

    serial: int
    reason: str


class WorkerWantsShutdown(msgspec.Struct, frozen=True):
    """An app of the worker asks for the end of the whole server."""

    serial: int


class OperatorWishes(msgspec.Struct, frozen=True):
    """Somebody who is let in wants something done, by the status page that a worker serves."""

    serial: int
    wish: Wish | WishForMember


class WorkerAsks(msgspec.Struct, frozen=True):
    """A worker wants to know something of all workers."""

    serial: int
    ticket: int
    question: Question


class WorkerTold(msgspec.Struct, frozen=True):
    """A worker has answered a survey; see `control.Told`."""

    serial: int
    survey: int


class WorkerMembers(msgspec.Struct, frozen=True):
    """The worker tells how members of a cluster are."""

    serial: int
    ticket: int  # whose request it answers
    total: int  # members there are; 0: it has no such cluster
    members: list[MemberReport]


class WorkerHungUp(msgspec.Struct, frozen=True):
    """The worker's end of the control pipe is closed: it is dying, or can be told nothing."""

    serial: int


class WorkerDied(msgspec.Struct, frozen=True):
    """The worker is gone and reaped."""

    serial: int
    exit_code: int  # as of subprocess: negative is the signal that killed it


class ReloadWanted(msgspec.Struct, frozen=True):
    """Somebody wants conf and apps to be read again."""

    cause: str  # who said so, for the log: "SIGHUP"
    ticket: int | None = None  # of the control socket


class Loaded(msgspec.Struct, frozen=True):
    """The conf was read and its address is bound."""

    settings: Settings
    ticket: int | None


class LoadFailed(msgspec.Struct, frozen=True):
    """The conf has mistakes, or its address cannot be bound."""

    reason: str
    ticket: int | None


class RestartWanted(msgspec.Struct, frozen=True):
    """Somebody wants another program, maybe of another version, in the place of this one."""

    cause: str
    ticket: int | None = None  # of the control socket


class TrialEnded(msgspec.Struct, frozen=True):
    """The process that tried whether a restart would come up has ended."""

    exit_code: int  # 0: it would
    text: str  # what it wrote


class ConfBroken(msgspec.Struct, frozen=True):
    """It was good when a restart was tried, and no more when the next program has read it."""

    reason: str


class BecameNothing(msgspec.Struct, frozen=True):
    """The kernel would not run the other program."""

    reason: str
    tickets: tuple[int, ...]


class CountWanted(msgspec.Struct, frozen=True):
    """Somebody wants so many workers more, or less."""

    by: int
    cause: str


class Figures(msgspec.Struct, frozen=True):
    """What a worker has written into its slot."""

    serial: int
    heartbeat: float | None  # of the master's clock; None if there was none yet
    rss: int  # bytes
    in_flight: int  # requests


class Looked(msgspec.Struct, frozen=True):
    """The slots were read."""

    figures: tuple[Figures, ...]


class LogsMoved(msgspec.Struct, frozen=True):
    """Somebody has moved the log files away: write to new ones."""

    cause: str


class StopWanted(msgspec.Struct, frozen=True):
    """Somebody wants the server to end."""

    graceful: bool  # finish what is in flight first
    cause: str  # who said so, for the log: "SIGTERM"


class Asked(msgspec.Struct, frozen=True):
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
