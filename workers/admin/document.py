"""The status document: what `status.json`, `was.status()` and the status page show.

Records only; docs/reference/status.md tells what each is for. Times are Unix times in seconds,
durations seconds, sizes bytes. A quantile is None when nothing was counted.

Figures are of the whole server since its start, through reloads, restarts and deaths of workers,
unless a record says that it is of one worker. What only living workers know (`slow`, `errors`,
loads of members, pools, caches) is of those that answered; `workers` tells who did not.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Latency(msgspec.Struct, frozen=True):
    """How long something takes, as of all that was counted; quantiles are right within a third."""

    count: int = 0
    seconds: float = 0.0  # of all of them together
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Change(msgspec.Struct, frozen=True):
    """The last reload or restart."""

    at: float  # when it was over
    error: str  # why it was abandoned, a sentence or a traceback; "": it was done


class Requests(msgspec.Struct, frozen=True):
    """All that was answered."""

    total: int
    by_class: dict[str, int]  # "2xx" to "5xx"; 499, a client that has left, is a "4xx"
    refused: int  # could not be read as a request; not in `total`
    latency: Latency  # from the first byte to the answer
    queue: Latency  # from its being complete to the start of its handler
    upstream: Latency  # of requests to members of clusters, and to other servers


class Server(msgspec.Struct, frozen=True):
    """The server as a whole."""

    name: str
    version: str  # of Skitai
    python: str
    pid: int  # of the master
    address: str  # as a URL, with * for all interfaces
    conf: str  # path of its file; "" if it has none
    state: str  # "starting", "serving" or "stopping"
    time: float  # when this was put together
    started: float
    uptime: float
    generation: int  # of code and conf; 1 is what it was started with
    processes: int  # workers it shall have
    answered_by: int  # ordinal of the worker that has put this together
    requests: Requests
    last_change: Change | None  # None: there was none
    last_error: str  # why a worker last failed; "": none did
    last_error_at: float | None
    crashes: int  # failures of workers in a row that are not forgotten
    environment: dict[str, str]  # versions of what it is made of, its machine, its limits


class Worker(msgspec.Struct, frozen=True):
    """One worker process. Its figures are since it began."""

    ordinal: int
    pid: int
    state: str  # "booting", "ready", "retiring" or "stopping"
    answers: bool  # False: its event loop gave no answer within a second
    silent: float | None  # since its last sign of life, which it gives every few; None: none yet
    age: float
    generation: int
    cpu: float  # seconds of CPU it has used
    cpu_share: float  # of one CPU, between its last two signs of life
    rss: int
    connections: int  # of clients
    in_flight: int  # requests received and not yet answered
    running: int  # handlers that hold a run slot
    parked: int  # handlers that wait for results
    queued: int  # requests that wait for a handler thread
    threads: int  # run slots there are
    requests: int  # answered
    errors: int  # of those, with 500 or above


class Route(msgspec.Struct, frozen=True):
    """What answers paths: a rule of an app, or one of the server's own ways.

    kind: "app"; "file"; "rpc" for a document that calls no handler; "proxy" for a cluster;
    "forward" for other servers, as a forward proxy; "admin"; or "none" for what nobody answers.
    """

    kind: str
    rule: str  # with its mount: "/test/company/<int:cid>"; for a proxy "/prefix = @cluster"
    methods: str  # "GET,HEAD"; "": the rule names none
    handler: str  # "module.function"; "" if there is none
    requests: int
    client_errors: int  # answered with 400 to 499
    errors: int  # with 500 or above
    latency: Latency


class Pool(msgspec.Struct, frozen=True):
    """Connections to one member, of all workers together."""

    cap: int  # at the most
    busy: int
    idle: int
    opening: int
    waiting: int  # requests that wait for one


class Member(msgspec.Struct, frozen=True):
    """One server of a cluster. Loads are those of all workers together.

    state: "up"; "ejected" if any worker leaves it alone for a while after failures; "down" if a
    check says so; "drained" or "disabled" by an operator. `ejected_by` is how many workers do.
    """

    node: str  # "host:port" or "unix:path"
    state: str
    weight: int
    in_flight: int
    ewma: float | None  # seconds an answer takes, a moving average; that of the slowest worker
    requests: int  # sent to it since the server's start
    failures: int  # of those
    latency: Latency
    ejections: int  # since the workers that live began
    ejected_by: int
    ejected_for: float  # seconds until it is tried again; 0.0 if it is not ejected
    last_error: str  # a sentence; "": none
    last_error_at: float | None
    pool: Pool


class Cluster(msgspec.Struct, frozen=True):
    """A `[@name]` section."""

    name: str
    balance: str
    members: list[Member]
    budget_left: float  # repeats and hedges that may be made now, of all workers together


class Cache(msgspec.Struct, frozen=True):
    """The result caches of all workers, or the one server that they share."""

    entries: int
    size: int  # about
    hits: int
    misses: int
    joined: int  # of the misses, those that waited for the answer to somebody else
    flights: int  # on their way


class Wait(msgspec.Struct, frozen=True):
    """What a request waited for."""

    cluster: str  # without @; "" for a server named by its URL
    node: str
    began: float  # seconds after the request's first byte
    seconds: float
    status: str  # "normal", "failed", "timeout", "not_connected"; "cancelled": nobody waited; "":
    # it was passed on to that member, and has the answer's own status
    code: int | str  # of HTTP, or of SQL (SQLSTATE); 0 if there was none


class SlowRequest(msgspec.Struct, frozen=True):
    """One of the slowest requests of the last quarter of an hour.

    total = arrival + queue + handler + response, and handler = running + waiting.
    """

    at: float  # when it was over
    worker: int  # ordinal
    id: str  # X-Request-ID
    trace: str  # of its traceparent: 32 hex digits; "": it had none
    method: str
    uri: str
    rule: str  # of its route, as there; "": nobody's
    handler: str
    status: int
    total: float  # seconds
    arrival: float  # until it was complete and those before it were answered
    queue: float  # for a handler thread
    running: float  # the handler's own
    waiting: float  # for what it asked for
    response: float  # from the handler's end to the end of the response
    waits: list[Wait]  # the longest first


class Failure(msgspec.Struct, frozen=True):
    """An entry of the log of level error or above; those alike are one."""

    at: float  # the last time
    first: float
    count: int
    worker: int  # where it happened last
    logger: str
    message: str
    traceback: str  # "": there was none
    request: str  # id of the last request it happened to; ""


class Package(msgspec.Struct, frozen=True):
    """A package that is part of an app."""

    name: str
    file: str
    loaded: float  # when it was imported by the worker that answered


class App(msgspec.Struct, frozen=True):
    """An app of the conf."""

    prefix: str  # of its route
    name: str
    file: str
    is_devel: bool
    loaded: float  # when it was imported by the worker that answered
    error: str  # why its changed file does not import, in development mode; ""
    packages: list[Package]


class Certificate(msgspec.Struct, frozen=True):
    """What clients are shown."""

    file: str
    names: list[str]
    not_after: float
    expires_in: float


class History(msgspec.Struct, frozen=True):
    """The last quarter of an hour: a value for each `every` seconds, the oldest first."""

    every: float
    ends: list[float]  # of each time
    requests: list[float]  # answered per second
    errors: list[float]  # of those, with 500 or above
    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]
    queue_p95: list[float | None]
    in_flight: list[int]  # at the end


class InFlight(msgspec.Struct, frozen=True):
    """A request that is in hand just now: for `skitaid top`."""

    worker: int
    age: float
    id: str
    method: str
    uri: str
    handler: str
    state: str  # "queued", "running", "waiting", "on the loop"
    doing: str  # a sentence: what for, or where


class Status(msgspec.Struct, frozen=True):
    """All of it."""

    server: Server
    workers: list[Worker]
    routes: list[Route]  # those that were asked for, the busiest first
    clusters: list[Cluster]
    databases: list[Cluster]
    cache: Cache
    slow: list[SlowRequest]  # the slowest first
    errors: list[Failure]  # the newest first
    apps: list[App]
    tls: list[Certificate]
    history: History
    registered: dict[str, Any]  # what `status()` of the apps' registered objects says
