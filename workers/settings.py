"""What a worker must know, decided before it is forked.

Frozen records, filled by `skitaid.conf`, handed down by the master. Nothing here reads a
file or has a default that the conf reference does not name. All of it can be written as JSON: a
master leaves it to the program that takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

CONNECTIONS_MAX = 256  # to one server from one worker; as many as handlers may wait by default

DATABASE_CONNECTIONS = 32  # to one server from all workers; PostgreSQL's own default is 100 for all


class StaticRoute(msgspec.Struct, tag=True, frozen=True):
    """`prefix = /a/directory`: files below `directory` are served below `prefix`."""

    prefix: str
    directory: str  # absolute, existing
    where: str  # "web.conf:12", for messages


class AppRoute(msgspec.Struct, tag=True, frozen=True):
    """`prefix = /path/to/webapp`: the module `/path/to/webapp.py`, which has a global `app`."""

    prefix: str  # as written: a trailing slash means that the bare path redirects to it
    file: str  # absolute, existing, ends in .py
    where: str


class ClusterRoute(msgspec.Struct, tag=True, frozen=True):
    """`prefix = @name`: requests below `prefix` go to the members of `[@name]`."""

    prefix: str
    cluster: str  # without the @; the section exists
    where: str


Route = StaticRoute | AppRoute | ClusterRoute


@dataclass(frozen=True, slots=True)
class Member:
    """One server of an HTTP cluster. Either host and port, or a unix socket path."""

    host: str  # a name or an address, IPv6 without brackets; "" when unix is set
    port: int  # 1..65535; 0 when unix is set
    weight: int = 1  # >= 1
    unix: str = ""  # absolute path of the socket


@dataclass(frozen=True, slots=True)
class Database:
    """One server of a PostgreSQL cluster."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    weight: int = 1
    unix: str = ""  # absolute directory of the socket
    is_replica: bool = False  # it may only be read


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How long a server that is asked is waited for, and how much of it is taken."""

    connect_timeout: float = 2.0  # seconds for name, TCP, proxy and TLS together
    read_timeout: float = 0.0  # seconds without a byte; 0: only the call's own time counts
    response_size: int = 64 * 1024 * 1024  # bytes of a response, which is held in memory


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Whose certificates are believed, and which one is shown when a server wants one."""

    cafile: str = ""  # absolute path of a PEM; "": the authorities of the system
    certfile: str = ""  # absolute path of a PEM with certificate and key; "": none is shown
    passphrase: str = field(repr=False, default="")
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """How the members of a cluster are checked: GET, which must be answered with 200 to 399."""

    path: str  # with its query, percent-encoded
    every: float  # seconds, >= 1


@dataclass(frozen=True, slots=True)
class HttpCluster:
    """A `[@name]` section of servers that speak HTTP, XML-RPC or JSON-RPC."""

    name: str
    members: tuple[Member, ...]  # at least one
    tls: bool
    balance: str  # "p2c", "roundrobin", "leastconn" or "hash"
    where: str
    hedge: float | Literal["p95"] | None = None  # for idempotent calls of `lb`; see `Members`
    max_connections: int = CONNECTIONS_MAX  # to each member from each worker
    check: Check | None = None  # None: only calls tell how members are
    limits: ClientLimits = ClientLimits()
    trust: ClientTls = ClientTls()  # counts with tls


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """The connections of one worker to one database. Times in seconds; 0 is never."""

    connections: int = 8  # at the most
    connections_min: int = 0  # kept open
    connect_timeout: float = 2.0  # for name, TCP, TLS and login together
    wait_timeout: float = 30.0  # in the line for a connection
    idle_timeout: float = 300.0  # beyond connections_min
    max_lifetime: float = 1800.0  # of a connection; less by chance, so that they do not end in step


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """How databases are connected to."""

    tls: str = "prefer"  # libpq's sslmode
    cafile: str = ""  # absolute path of a PEM; "": the authorities of the system
    passfile: str = ""  # absolute path, of the form of ~/.pgpass
    is_pooled: bool = False  # through a pooler that changes servers between transactions


@dataclass(frozen=True, slots=True)
class DatabaseCluster:
    """A `[@name]` section with `type = postgresql`."""

    name: str
    members: tuple[Database, ...]
    balance: str
    where: str
    hedge: float | Literal["p95"] | None = None  # for reads by `dlb`; see `Members`
    max_connections: int = DATABASE_CONNECTIONS  # to each server from all workers together
    limits: DatabaseLimits = DatabaseLimits()
    access: DatabaseAccess = DatabaseAccess()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may send before it is refused. Sizes in bytes, times in seconds."""

    request_line: int = 8190  # beyond it: 414
    header_size: int = 65536  # all header lines together; beyond it: 431
    headers: int = 100  # header lines; beyond it: 431
    body_size: int = 5 * 1024 * 1024  # beyond it: 413
    header_timeout: float = 15.0  # from the first byte of a request to the end of its header: 408
    body_timeout: float = 60.0  # between two pieces of a body: 408; also until a client reads on
    body_rate: int = 500  # bytes per second on average, after the first body_timeout: 408
    keepalive_timeout: float = 75.0  # an idle connection is closed
    queue: int = 1000  # requests waiting for a handler thread; beyond it: 503
    upload_size: int = 2 * 1024**3  # a multipart body, for which body_size does not hold: 413
    upload_file_size: int = 2 * 1024**3  # each file in it; beyond it: 413
    upload_field_size: int = 1024 * 1024  # each other field; all together body_size: 413
    upload_parts: int = 1000  # files and fields in it; beyond it: 413


@dataclass(frozen=True, slots=True)
class Tls:
    """`[certification]`, with the files found and readable."""

    certfile: str  # absolute path of a PEM with certificate and key
    cafile: str  # absolute path, or "" for none
    passphrase: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Logs:
    """What is written down, and for how long it is kept."""

    directory: str = ""  # absolute; "" means that there are no files, only the screen
    access: bool = True  # a line for each request
    style: str = "text"  # or "json"
    rotate: str = "daily"  # or "size", or "no"
    max_size: int = 100 * 1024 * 1024  # bytes of a file, for "size"
    keep: int = 100  # rotated files of each log


@dataclass(frozen=True, slots=True)
class Settings:
    """All a worker needs."""

    name: str  # the server's name, for process titles, logs and SERVER_SOFTWARE
    routes: tuple[Route, ...]  # in the order of the conf
    ip: str = ""  # "" is all interfaces
    port: int = 0  # 0: nothing knows it
    http_clusters: dict[str, HttpCluster] = field(default_factory=dict)
    database_clusters: dict[str, DatabaseCluster] = field(default_factory=dict)
    threads: int = 4  # handlers that may run at once in one worker
    threads_max: int = 256  # handler threads, waiting ones included
    limits: Limits = Limits()
    upload_dir: str = "/var/tmp"  # noqa: S108  # each worker has a directory of its own there
    trusted_proxies: tuple[str, ...] = ()  # addresses, networks, "unix:"
    static_max_age: int = 300  # seconds
    result_cache: str = field(default="", repr=False)  # URL of a server; "": in its memory
    result_cache_entries: int = 200
    result_cache_size: int = 64 * 1024 * 1024  # bytes, about
    session_timeout: int = 1200  # seconds
    secure_keys: tuple[str, ...] = field(default=(), repr=False)  # first seals, all open
    logs: Logs = Logs()
    admin_password: str = field(default="", repr=False)  # "" means no admin page
    forward_proxy: bool = False
    tls: Tls | None = None
    request_timeout: float = 0.0  # seconds for a handler, then 503; 0: as long as it takes
    drain_timeout: float = 30.0  # seconds for requests in flight after `Retire`
    worker_timeout: float = 30.0  # seconds without a heartbeat until it counts as hung; 0: never
    max_requests: int = 0  # answered requests after which this worker asks to be replaced; 0: never
