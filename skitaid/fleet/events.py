"""What happened to the fleet: the records its `decide` is fed with."""

from __future__ import annotations

from dataclasses import dataclass

from skitaid.fleet.records import Request
from skitaid.supervisor.events import StopWanted, TimePassed


@dataclass(frozen=True, slots=True)
class FleetStarted:
    """The loop begins, with these confs enabled."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MasterSpawned:
    """A master process runs; it is reading its conf."""

    name: str
    pid: int
    log_from: int  # bytes of its log before this start


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
class FleetAsked:
    """A request came over the control socket; its reply carries the same ticket."""

    ticket: int
    request: Request


Event = (
    FleetStarted
    | TimePassed
    | MasterSpawned
    | SpawnFailed
    | MasterReady
    | MasterDied
    | StopWanted
    | FleetAsked
)
