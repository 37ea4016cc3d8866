"""What is to be done: the records `decide` returns and `perform` carries out, in order."""

from __future__ import annotations

from dataclasses import dataclass

from skitaid.supervisor.control_records import Progress, Reply
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.survey import Survey
from skitaid.workers.control import Facts, FromMaster
from skitaid.workers.standing import Standing


@dataclass(frozen=True, slots=True)
class Fork:
    """Start the worker that the book has already entered under this serial."""

    serial: int
    ordinal: int
    generation: int  # whose settings and listener it gets
    standings: tuple[Standing, ...] = ()  # what an operator has said of members so far


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a record down the worker's control pipe."""

    serial: int
    record: FromMaster


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL the worker: it was asked and had its time."""

    serial: int


@dataclass(frozen=True, slots=True)
class Dump:
    """Have the worker write to the log what it is doing: it seems to hang."""

    serial: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give whoever has asked what the workers have answered."""

    survey: Survey
    facts: Facts


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody waits for this answer of a worker any more."""

    serial: int
    survey: int


@dataclass(frozen=True, slots=True)
class Look:
    """Read the slots of these workers."""

    ordinals: tuple[tuple[int, int], ...]  # serial, ordinal


@dataclass(frozen=True, slots=True)
class Announce:
    """All workers are ready for the first time: tell whoever waits for the start."""

    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Reply to a request of the control socket."""

    ticket: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Report:
    """Tell a caller of the control socket how far it is; its answer is to come."""

    ticket: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Load:
    """Read the conf again, and bind its address if that is new."""

    ticket: int | None


@dataclass(frozen=True, slots=True)
class Prepare:
    """Workers of this generation will be forked."""

    generation: int
    settings: Settings


@dataclass(frozen=True, slots=True)
class Forget:
    """No worker of this generation will be forked any more."""

    generation: int


@dataclass(frozen=True, slots=True)
class Try:
    """Try in another process whether a restart would come up."""


@dataclass(frozen=True, slots=True)
class KillTrial:
    """It takes too long, or nobody wants to know any more."""


@dataclass(frozen=True, slots=True)
class Become:
    """Let another program take this one's place, once all that has happened is handled."""

    tickets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """Write to the server's log."""

    level: int  # of the logging module
    text: str


@dataclass(frozen=True, slots=True)
class ReopenLog:
    """The master's own log was moved away: write to a new one."""


@dataclass(frozen=True, slots=True)
class Bury:
    """Wait for the dead who are not ours."""


@dataclass(frozen=True, slots=True)
class Exit:
    """All workers are gone: leave the loop."""

    code: int


Action = (
    Fork
    | Tell
    | Kill
    | Dump
    | HandOver
    | Drop
    | Look
    | Announce
    | Answer
    | Report
    | Load
    | Prepare
    | Forget
    | Try
    | KillTrial
    | Become
    | Log
    | ReopenLog
    | Bury
    | Exit
)
