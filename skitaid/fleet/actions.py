"""What the fleet is to do: the records its `decide` returns."""

from __future__ import annotations

import signal

import msgspec

from skitaid.fleet.records import FleetStatus, Reply
from skitaid.supervisor.actions import Bury, Exit, Log


class Spawn(msgspec.Struct, frozen=True):
    """Run the master of a server."""

    name: str


class Signal(msgspec.Struct, frozen=True):
    """Send a signal to the master of a server."""

    name: str
    number: signal.Signals


class Look(msgspec.Struct, frozen=True):
    """Read servers-enabled; `ConfsSeen` is what comes of it."""


class ReadFleetConf(msgspec.Struct, frozen=True):
    """Read skitaid.conf again, for the servers that are started from now on."""


class ReopenLog(msgspec.Struct, frozen=True):
    """Write the fleet's own log to a file of that name again."""


class FleetAnswer(msgspec.Struct, frozen=True):
    """Reply to a request of the control socket."""

    ticket: int
    reply: Reply


class Settled(msgspec.Struct, frozen=True):
    """Every server has come up or failed to: tell whoever waits for the start."""

    status: FleetStatus


Action = (
    Spawn | Signal | Look | ReadFleetConf | ReopenLog | FleetAnswer | Settled | Log | Bury | Exit
)
