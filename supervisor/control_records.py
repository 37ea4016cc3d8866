"""What crosses the control socket of a master: one JSON packet asks, one answers."""

from __future__ import annotations

import msgspec


class Status(msgspec.Struct, tag=True, frozen=True):
    """How is the server? Answered with `ServerStatus`."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """End the server. Answered with `Done` at once; the end itself is the end of the process."""

    graceful: bool = False


class Start(msgspec.Struct, tag=True, frozen=True):
    """Fork at once who is missing, whatever the back-off says. Answered with `Done`."""


class Rotate(msgspec.Struct, tag=True, frozen=True):
    """Write to new log files. Answered with `Done`."""


class Reload(msgspec.Struct, tag=True, frozen=True):
    """Read conf and apps again. Answered when the last old worker is gone, or it has failed.

    Before that come as many `Progress` as there is progress.
    """


class Restart(msgspec.Struct, tag=True, frozen=True):
    """Run the program anew in the same process. Answered as `Reload` is, by the new program."""


Request = Status | Start | Stop | Rotate | Reload | Restart


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker process."""

    ordinal: int  # the N of its title "skitaid: worker NAME/N"
    pid: int
    state: str  # "booting", "ready", "retiring" or "stopping"
    age: float  # seconds since it was forked
    generation: int  # of code and conf: 1 is what the server was started with
    connections: int = 0  # of clients, open
    requests: int = 0  # answered since it began
    in_flight: int = 0  # requests received and not yet answered
    parked: int = 0  # handlers that wait for results; with `queued` and `rss` as of its last beat
    queued: int = 0  # requests that wait for a handler thread
    rss: int = 0  # bytes


class CertificateStatus(msgspec.Struct, frozen=True):
    """One that clients are shown."""

    file: str
    names: list[str]  # hosts that it is for
    not_after: float  # Unix time


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
    generation: int = 1  # of code and conf, that all workers shall be of
    crashes: int = 0  # failures in a row that are not forgotten
    certificates: list[CertificateStatus] = []  # with `ssl = yes`; the first is the default
    fork_from: float | None = None  # Unix time of the next try after them, if it is to come


class Done(msgspec.Struct, tag=True, frozen=True):
    """It is done, or under way where the request says so."""


class Progress(msgspec.Struct, tag=True, frozen=True):
    """How far it is; the answer is to come."""

    text: str  # one line


class Refused(msgspec.Struct, tag=True, frozen=True):
    """It cannot be done."""

    reason: str  # a sentence, or a traceback


Reply = ServerStatus | Done | Refused | Progress
