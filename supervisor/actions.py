"""What is to be done: the records `decide` returns and `perform` carries out, in order."""

from __future__ import annotations

import msgspec

from skitaid.supervisor.control_records import Progress, Reply
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.survey import Survey
from skitaid.workers.control import Facts, FromMaster
from skitaid.workers.standing import Standing


class Fork(msgspec.Struct, frozen=True):
    """Start the worker that the book has already entered under this serial."""

    serial: int
    ordinal: int
    generation: int  # whose settings and listener it gets
    standings: tuple[Standing, ...] = ()  # what an operator has said of members so far


class Tell(msgspec.Struct, frozen=True):
    """Send a record down the worker's control pipe."""

    serial: int
    record: FromMaster


class Kill(msgspec.Struct, frozen=True):
    """SIGKILL the worker: it was asked and had its time."""

    serial: int


class Dump(msgspec.Struct, frozen=True):
    """Have the worker write to the log what it is doing: it seems to hang."""

    serial: int


class HandOver(msgspec.Struct, frozen=True):
    """Give whoever has asked what the workers have answered."""

    survey: Survey
    facts: Facts


class Drop(msgspec.Struct, frozen=True):
    """Nobody waits for this answer of a worker any more."""

    serial: int
    survey: int


class Look(msgspec.Struct, frozen=True):
    """Read the slots of these workers."""

    ordinals: tuple[tuple[int, int], ...]  # serial, ordinal


class Announce(msgspec.Struct, frozen=True):
    """All workers are ready for the first time: tell whoever waits for the start."""

    address: str


class Answer(msgspec.Struct, frozen=True):
    """Reply to a request of the control socket."""

    ticket: int
    reply: Reply


class Report(msgspec.Struct, frozen=True):
    """Tell a caller of the control socket how far it is; its answer is to come."""

    ticket: int
    progress: Progress


class Load(msgspec.Struct, frozen=True):
    """Read the conf again, and bind its address if that is new."""

    ticket: int | None


class Prepare(msgspec.Struct, frozen=True):
    """Workers of this generation will be forked."""

    generation: int
    settings: Settings


class Forget(msgspec.Struct, frozen=True):
    """No worker of this generation will be forked any more."""

    generation: int


class Try(msgspec.Struct, frozen=True):
    """Try in another process whether a restart would come up."""


class KillTrial(msgspec.Struct, frozen=True):
    """It takes too long, or nobody wants to know any more."""


class Become(msgspec.Struct, frozen=True):
    """Let another program take this one's place, once all that has happened is handled."""

    tickets: tuple[int, ...]


class CloseListeners(msgspec.Struct, frozen=True):
    """The server ends: let go of what it listens on, so that nobody connects to nobody."""


class Log(msgspec.Struct, frozen=True):
    """Write to the server's log."""

    level: int  # of the logging module
    text: str


class ReopenLog(msgspec.Struct, frozen=True):
    """The master's own log was moved away: write to a new one."""


class Bury(msgspec.Struct, frozen=True):
    """Wait for the dead who are not ours."""


class Exit(msgspec.Struct, frozen=True):
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
    | CloseListeners
    | Log
    | ReopenLog
    | Bury
    | Exit
)
