"""What the fleet is to do: the records its `decide` returns."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from skitaid.fleet.records import FleetStatus, Reply
from skitaid.supervisor.actions import Bury, Exit, Log


@dataclass(frozen=True, slots=True)
class Spawn:
    """Run the master of a server."""

    name: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to the master of a server."""

    name: str
    number: signal.Signals


@dataclass(frozen=True, slots=True)
class Look:
    """Read servers-enabled; `ConfsSeen` is what comes of it."""


@dataclass(frozen=True, slots=True)
class ReadFleetConf:
    """Read skitaid.conf again, for the servers that are started from now on."""


@dataclass(frozen=True, slots=True)
class ReopenLog:
    """Write the fleet's own log to a file of that name again."""


@dataclass(frozen=True, slots=True)
class FleetAnswer:
    """Reply to a request of the control socket."""

    ticket: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Settled:
    """Every server has come up or failed to: tell whoever waits for the start."""

    status: FleetStatus


Action = (
    Spawn | Signal | Look | ReadFleetConf | ReopenLog | FleetAnswer | Settled | Log | Bury | Exit
)
