"""What crosses the control socket of the fleet: one JSON packet asks, one answers.

`Start`, `Stop` and `Look` are answered when all named servers have settled: are
running, stopped, or waiting for their next try.
"""

from __future__ import annotations

import msgspec

from skitaid.supervisor.control_records import Refused


class Status(msgspec.Struct, tag=True, frozen=True):
    """How are the servers? Answered with `FleetStatus` at once."""


class Start(msgspec.Struct, tag=True, frozen=True):
    """Start those that do not run, now, whatever their back-off says."""

    names: list[str]


class Stop(msgspec.Struct, tag=True, frozen=True):
    """Stop those that run, and try no more to start the others."""

    names: list[str]
    graceful: bool = False


class Look(msgspec.Struct, tag=True, frozen=True):
    """Look at servers-enabled now. Of the names, those that are no servers are left out."""

    names: list[str]


class Rotate(msgspec.Struct, tag=True, frozen=True):
    """Write to new log files. Without names it is all servers and the fleet itself.

    Answered with `FleetStatus` at once.
    """

    names: list[str]


Request = Status | Start | Stop | Look | Rotate


class FailureReport(msgspec.Struct, frozen=True):
    """Why a server's master last ended when it should not have."""

    why: str  # "master left with exit code 1"
    at: float  # Unix time
    log_from: int  # its log tells more from this byte
    log_to: int  # to this one; nothing if they are equal


class ServerReport(msgspec.Struct, frozen=True):
    """One server, as the fleet sees it."""

    name: str
    # "queued" (for its turn to start), "starting", "running", "stopping", "stopped" or "waiting"
    # (for its next try)
    state: str
    pid: int  # of its master, 0 if it has none
    since: float  # Unix time of the last change of state
    failures: int  # in a row; 0 is well
    again_at: float | None  # Unix time of the next try, if it is waiting
    failure: FailureReport | None  # the last one
    complaints: str = ""  # what is wrong with its conf, which has changed nothing therefore


class FleetStatus(msgspec.Struct, tag=True, frozen=True):
    """The fleet, or those of its servers that were asked for, by name."""

    pid: int
    started: float  # Unix time
    servers: list[ServerReport]


Reply = FleetStatus | Refused
