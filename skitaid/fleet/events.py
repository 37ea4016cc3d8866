"""What happened to the fleet: the records its `decide` is fed with."""

from __future__ import annotations

import msgspec

from skitaid.fleet.records import Request
from skitaid.supervisor.events import ChildDied, StopWanted, TimePassed


class ConfSeen(msgspec.Struct, frozen=True):
    """A conf as it stands in servers-enabled now."""

    name: str
    digest: str  # of what it says; "" if it cannot be read
    complaints: str = ""  # its mistakes, a line for each; "" is a good conf


class FleetStarted(msgspec.Struct, frozen=True):
    """The loop begins, with these confs enabled."""

    confs: tuple[ConfSeen, ...]


class ConfsTouched(msgspec.Struct, frozen=True):
    """Something happened in or around servers-enabled, and more may follow at once."""


class ConfsSeen(msgspec.Struct, frozen=True):
    """The answer to `Look`: all enabled confs, by name."""

    confs: tuple[ConfSeen, ...]


class MasterSpawned(msgspec.Struct, frozen=True):
    """A master process runs; it is reading its conf."""

    name: str
    pid: int
    log_from: int  # bytes of its log before this start
    digest: str  # of the conf just before


class SpawnFailed(msgspec.Struct, frozen=True):
    """The program could not be run at all."""

    name: str
    reason: str


class MasterReady(msgspec.Struct, frozen=True):
    """All workers of the server are ready."""

    name: str


class MasterDied(msgspec.Struct, frozen=True):
    """The master is gone and reaped."""

    name: str
    exit_code: int  # as of subprocess: negative is the signal that killed it
    log_to: int  # bytes of its log by then
    said: str = ""  # the end of its log


class ReadWanted(msgspec.Struct, frozen=True):
    """Somebody wants skitaid.conf and servers-enabled read again."""

    cause: str  # who said so, for the log: "SIGHUP"


class RotateWanted(msgspec.Struct, frozen=True):
    """Somebody has moved the logs away and wants new files."""

    cause: str


class MeaninglessSignal(msgspec.Struct, frozen=True):
    """A signal that says something to a master, but nothing to the fleet."""

    cause: str


class FleetAsked(msgspec.Struct, frozen=True):
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
