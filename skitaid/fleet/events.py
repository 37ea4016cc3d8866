"""What happened to the fleet: the records its `decide` is fed with."""

from __future__ import annotations

from dataclasses import dataclass

from skitaid.fleet.records import Request
from skitaid.supervisor.events import ChildDied, StopWanted, TimePassed


@dataclass(frozen=True, slots=True)
class ConfSeen:
    """A conf as it stands in servers-enabled now."""

    name: str
    digest: str  # of what it says; "" if it cannot be read
    complaints: str = ""  # its mistakes, a line for each; "" is a good conf


@dataclass(frozen=True, slots=True)
class FleetStarted:
    """The loop begins, with these confs enabled."""

    confs: tuple[ConfSeen, ...]


@dataclass(frozen=True, slots=True)
class ConfsTouched:
    """Something happened in or around servers-enabled, and more may follow at once."""


@dataclass(frozen=True, slots=True)
class ConfsSeen:
    """The answer to `Look`: all enabled confs, by name."""

    confs: tuple[ConfSeen, ...]


@dataclass(frozen=True, slots=True)
class MasterSpawned:
    """A master process runs; it is reading its conf."""

    name: str
    pid: int
    log_from: int  # bytes of its log before this start
    digest: str  # of the conf just before


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """The program could not be run at all."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class MasterReady:
    """All workers of the server are ready."""

    name: str


@dataclass(frozen=True, slots=True)
class MasterDied:
    """The master is gone and reaped."""

    name: str
    exit_code: int  # as of subprocess: negative is the signal that killed it
    log_to: int  # bytes of its log by then


@dataclass(frozen=True, slots=True)
class ReadWanted:
    """Somebody wants skitaid.conf and servers-enabled read again."""

    cause: str  # who said so, for the log: "SIGHUP"


@dataclass(frozen=True, slots=True)
class RotateWanted:
    """Somebody has moved the logs away and wants new files."""

    cause: str


@dataclass(frozen=True, slots=True)
class MeaninglessSignal:
    """A signal that says something to a master, but nothing to the fleet."""

    cause: str


@dataclass(frozen=True, slots=True)
class FleetAsked:
    """A request came over the control socket; its reply carries the same ticket."""

    ticket: int
    request: Request


Event = (
    FleetStarted
    | TimePassed
    | ChildDied
    | ConfsTouched
    | ConfsSeen
    | MasterSpawned
    | SpawnFailed
    | MasterReady
    | MasterDied
    | ReadWanted
    | RotateWanted
    | MeaninglessSignal
    | StopWanted
    | FleetAsked
)
