"""What crosses the control socket of a master: one JSON packet asks, one answers."""

from __future__ import annotations

import msgspec

from skitaid.workers.control import Answers, Question
from skitaid.workers.standing import State


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


class Inquire(msgspec.Struct, tag=True, frozen=True):
    """Ask all workers this. Answered with one or more `Answers`, with descriptors."""

    question: Question


class ListClusters(msgspec.Struct, tag=True, frozen=True):
    """Which clusters can be shown? Answered with `ClusterList`."""


class ShowCluster(msgspec.Struct, tag=True, frozen=True):
    """How are its members, from the one at `start` on? Answered with `ClusterStatus`.

    As many as fit into a packet are told; `total` says how many there are.
    """

    cluster: str  # without the @
    start: int = 0


class ChangeMembers(msgspec.Struct, tag=True, frozen=True):
    """An operator's word on members, for all workers, those that come later too.

    Answered with `Done` when all who live have been told. Who asks with `ShowCluster` then, is
    answered by workers who have heard it.
    """

    cluster: str
    nodes: list[str]  # as in results: "host:port", "unix:path"
    state: State | None = None  # None: as it is
    weight: int | None = None  # 0: what the conf says; None: as it is


Request = (
    Status
    | Start
    | Stop
    | Rotate
    | Reload
    | Restart
    | Inquire
    | ListClusters
    | ShowCluster
    | ChangeMembers
)


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


class ClusterList(msgspec.Struct, tag=True, frozen=True):
    """The clusters of HTTP servers that the conf has."""

    names: list[str]  # in the order of the conf


class MemberStatus(msgspec.Struct, frozen=True):
    """One member of a cluster, all workers together."""

    node: str
    state: State  # what the operator wants: "enabled", "drained" or "disabled"
    weight: int
    in_flight: int  # calls that are not answered yet
    latency: float | None  # seconds, the mean of the workers' moving averages; None: unknown
    ejections: int  # since these workers began
    ejected: int  # workers that leave it alone now
    ejected_for: float | None  # seconds until the first of them tries it again
    down: int  # workers that go by a check which has found it down
    workers: int  # that have it as a member
    last_error: str  # of all workers the newest; "" is never
    last_error_at: float | None  # Unix time
    idle: int  # connections that wait for a call
    busy: int  # connections with a call
    opening: int  # connections on their way
    waiting: int  # calls that wait for a connection
    cap: int  # connections that there may be


class ClusterStatus(msgspec.Struct, tag=True, frozen=True):
    """Some members of a cluster, in the order of the conf."""

    total: int  # how many there are
    workers: int  # that have answered
    silent: int  # that have not, in time
    members: list[MemberStatus]


class Done(msgspec.Struct, tag=True, frozen=True):
    """It is done, or under way where the request says so."""


class Progress(msgspec.Struct, tag=True, frozen=True):
    """How far it is; the answer is to come."""

    text: str  # one line


class Refused(msgspec.Struct, tag=True, frozen=True):
    """It cannot be done."""

    reason: str  # a sentence, or a traceback


Reply = ServerStatus | ClusterList | ClusterStatus | Done | Refused | Progress | Answers
