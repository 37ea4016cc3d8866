"""What a worker must know, decided before it is forked.

Frozen records, filled by `skitaid.conf`, handed down by the master. Nothing here reads a
file or has a default that the conf reference does not name. All of it can be written as JSON: a
master leaves it to the program that takes its place. What holds a secret is a dataclass, which can
leave a field out of its repr; the rest are structs, made in a tenth of the time at each start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from .standing import Standing

DNS_EVERY = 30.0  # seconds; as long as a name is remembered that is no group of members
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
    dns: bool = False  # stands for as many members as its host has addresses, at any moment

    @property
    def node(self) -> str:
        """As in results: "host:port" or "unix:path"; with dns as in the conf."""
        if self.unix:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'dns:' if self.dns else ''}{host}:{self.port}"


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

    @property
    def node(self) -> str:
        """As in results: "host:port/name", or "unix:directory/name"."""
        if self.unix:
            return f"unix:{self.unix}/{self.name}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.name}"


class ClientLimits(msgspec.Struct, frozen=True):
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


class Check(msgspec.Struct, frozen=True):
    """How the members of a cluster are checked: GET, which must be answered with 200 to 399."""

    path: str  # with its query, percent-encoded
    every: float  # seconds, >= 1


class Passing(msgspec.Struct, frozen=True):
    """How requests of clients are passed on to a cluster that a route names."""

    keep_prefix: bool = False  # members are asked for the path with the route's prefix
    keep_host: bool = False  # by the name that the client has called, not by their own
    sticky: str = ""  # name of the cookie that brings a client to the same member again; "": none
    timeout: float = 60.0  # seconds of silence of a member, then 504; 0: never
    tunnel_timeout: float = 3600.0  # seconds in which nothing moves in a tunnel; 0: never
    max_request_size: int = 2 * 1024**3  # bytes of a body, which is not held; beyond it: 413
    cache: int = 0  # bytes of answers that one worker keeps; 0: none
    keep_location: bool = False  # where a member sends a client; not a conf's: clients know it


class HttpCluster(msgspec.Struct, frozen=True):
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
    dns_every: float = DNS_EVERY  # seconds between two look-ups of members with dns
    passing: Passing = Passing()  # counts with a route


class DatabaseLimits(msgspec.Struct, frozen=True):
    """The connections of one worker to one database. Times in seconds; 0 is never."""

    connections: int = 8  # at the most
    connections_min: int = 0  # kept open
    connect_timeout: float = 2.0  # for name, TCP, TLS and login together
    wait_timeout: float = 30.0  # in the line for a connection
    idle_timeout: float = 300.0  # beyond connections_min
    max_lifetime: float = 1800.0  # of a connection; less by chance, so that they do not end in step


class DatabaseAccess(msgspec.Struct, frozen=True):
    """How databases are connected to."""

    tls: str = "prefer"  # libpq's sslmode
    cafile: str = ""  # absolute path of a PEM; "": the authorities of the system
    passfile: str = ""  # absolute path, of the form of ~/.pgpass
    is_pooled: bool = False  # through a pooler that changes servers between transactions


class DatabaseCluster(msgspec.Struct, frozen=True):
    """A `[@name]` section with `type = postgresql`."""

    name: str
    members: tuple[Database, ...]
    balance: str
    where: str
    hedge: float | Literal["p95"] | None = None  # for reads by `dlb`; see `Members`
    max_connections: int = DATABASE_CONNECTIONS  # to each server from all workers together
    limits: DatabaseLimits = DatabaseLimits()
    access: DatabaseAccess = DatabaseAccess()


class Limits(msgspec.Struct, frozen=True):
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
class Certificate:
    """One of `[certification]`, read: no worker opens its files, whoever it runs as."""

    file: str  # where it was read, for messages
    names: tuple[str, ...]  # that it is for: DNS names, lower case, "*." first for all of one label
    not_after: float  # Unix time
    chain: str = field(repr=False)  # PEM: the certificate, then those up to the root
    key: str = field(repr=False)  # PEM
    passphrase: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Tls:
    """`ssl = yes`."""

    certificates: tuple[Certificate, ...]  # the first is for who names no host, or another one
    client_ca: str = field(repr=False, default="")  # PEM of authorities; "": clients show none
    is_client_cert_optional: bool = False  # counts with client_ca
    hsts: str = ""  # value of Strict-Transport-Security; "": it is not sent


@dataclass(frozen=True, slots=True)
class Forwarding:
    """`proxy = yes`: who may use it, and for what."""

    clients: tuple[str, ...] = ("127.0.0.0/8", "::1/128")  # addresses, networks, "unix:"
    connect_ports: tuple[int, ...] = (443,)
    destinations: tuple[str, ...] = ()  # networks that may be reached although they are not public
    credentials: tuple[str, ...] = field(default=(), repr=False)  # "user:password"; none: all may


class Logs(msgspec.Struct, frozen=True):
    """What is written down, and for how long it is kept."""

    directory: str = ""  # absolute; "" means that there are no files, only the screen
    access: bool = True  # a line for each request
    style: str = "text"  # or "json"
    rotate: str = "daily"  # or "size", or "no"
    max_size: int = 100 * 1024 * 1024  # bytes of a file, for "size"
    keep: int = 100  # rotated files of each log


@dataclass(frozen=True, slots=True)
class Admin:
    """Where an operator looks at the server, and who may."""

    password: str = field(default="", repr=False)  # of user admin; "": nobody may
    path: str = "/skitai"  # what the pages are below; without slash at its end
    allow: tuple[str, ...] = ()  # addresses, networks, "unix:"; none: from everywhere
    insecure: bool = False  # also over plain HTTP from other machines


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
    limits: Limits = field(default_factory=Limits)
    upload_dir: str = "/var/tmp"  # noqa: S108  # each worker has a directory of its own there
    trusted_proxies: tuple[str, ...] = ()  # addresses, networks, "unix:"
    proxy_protocol: bool = False  # they begin each connection with a header of it
    static_max_age: int = 300  # seconds
    result_cache: str = field(default="", repr=False)  # URL of a server; "": in its memory
    result_cache_entries: int = 200
    result_cache_size: int = 64 * 1024 * 1024  # bytes, about
    session_timeout: int = 1200  # seconds
    secure_keys: tuple[str, ...] = field(default=(), repr=False)  # first seals, all open
    logs: Logs = field(default_factory=Logs)
    admin: Admin = Admin()
    conf: str = ""  # absolute path of the file that this was read from; "" if there is none
    forwarding: Forwarding | None = None  # None: this is no forward proxy
    tls: Tls | None = None
    request_timeout: float = 0.0  # seconds for a handler, then 503; 0: as long as it takes
    otel: bool = False  # traces are exported, as OpenTelemetry's environment variables say
    slow_request: float = 1.0  # seconds; a request that takes longer is logged; 0: none is
    drain_timeout: float = 30.0  # seconds for requests in flight after `Retire`
    worker_timeout: float = 30.0  # seconds without a heartbeat until it counts as hung; 0: never
    max_requests: int = 0  # answered requests after which this worker asks to be replaced; 0: never
    standings: tuple[Standing, ...] = ()  # what an operator has said of members so far

    @property
    def clusters(self) -> dict[str, HttpCluster | DatabaseCluster]:
        """All that there are, by name."""
        return {**self.http_clusters, **self.database_clusters}
