"""What crosses the control socket of a master: one JSON packet asks, one answers."""

from __future__ import annotations

import msgspec


class Status(msgspec.Struct, tag=True, frozen=True):
    """How is the server? Answered with `ServerStatus`."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """End the server. Answered with `Done` at once; the end itself is the end of the process."""

    graceful: bool = False


Request = Status | Stop


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker process."""

    ordinal: int  # the N of its title "skitaid: worker NAME/N"
    pid: int
    state: str  # "booting", "ready", "retiring" or "stopping"
    age: float  # seconds since it was forked
    generation: int  # of code and conf: 1 is what the server was started with


class ServerStatus(msgspec.Struct, tag=True, frozen=True):
    """One server, as its master sees it."""

    name: str
    pid: int
    address: str  # as a URL, with * for all interfaces
    state: str  # "starting", "serving" or "stopping"
    started: float  # Unix time
    processes: int  # workers it shall have
    workers: list[WorkerStatus]  # those that live, by ordinal
    last_error: str = ""  # why a worker last failed: traceback or sentence; "" is never
    last_error_at: float | None = None  # Unix time


class Done(msgspec.Struct, tag=True, frozen=True):
    """It is done, or under way where the request says so."""


class Refused(msgspec.Struct, tag=True, frozen=True):
    """It cannot be done."""

    reason: str  # one sentence


Reply = ServerStatus | Done | Refused
