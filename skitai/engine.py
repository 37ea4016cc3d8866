"""How an app reaches sockets it never sees: small records, and the Protocol of what sends them.

The worker implements `Engine`; tests of this floor fake it. Who runs where: `send`, `cancel`
and `wait` are called from handler threads (and from the loop by async handlers); a `Call` is
written by the loop alone once it is sent, but for the fields that say who waits.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from enum import Enum
from typing import Any, ClassVar, Literal, Protocol

import msgspec
from psycopg.pq.abc import PGresult

from skitai.results import Status


class Reach(Enum):
    """How many members of a cluster a call goes to."""

    ONE = "one"  # the balancer chooses, and fails over
    ALL = "all"
    FIRST = "first"  # of databases: the first member that may be written to


class Wish(Enum):
    """What a handler may ask of the master."""

    RESTART = "restart"  # another worker in place of this one
    SHUTDOWN = "shutdown"  # the end of the server


class Origin(msgspec.Struct, frozen=True):
    """A server named by a URL."""

    host: str
    port: int
    tls: bool

    @property
    def node(self) -> str:
        """As in results: "host:port"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class DatabaseServer(msgspec.Struct, frozen=True):
    """A database that a call names by itself. unix: directory of the socket, if it has one."""

    host: str
    port: int
    name: str
    user: str
    password: str
    unix: str = ""

    @property
    def node(self) -> str:
        """As in results: "host:port/name"."""
        if self.unix:
            return f"unix:{self.unix}/{self.name}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.name}"

    def __repr__(self) -> str:  # it may come into a log, or a traceback
        return f"<DatabaseServer {self.node}>"

    __str__ = __repr__


class Members(msgspec.Struct, frozen=True):
    """A cluster of the conf, and how much of it.

    hedge, for `Reach.ONE`: another member is asked too when the first has not answered after so
        many seconds, or after the time in which 19 of 20 calls are answered ("p95"); the first
        normal answer counts. Whoever gives it says that the call may be made twice. None: what
        the conf says, for asks that are idempotent.
    key, for `Reach.ONE`: with `balance = hash` it decides which member is asked.
    """

    cluster: str
    reach: Reach
    hedge: float | Literal["p95"] | None = None
    key: bytes | None = None


class DatabaseMembers(msgspec.Struct, frozen=True):
    """A cluster of databases of the conf, and how much of it.

    is_write, for `Reach.ONE`: only those that may be written to. hedge, key: as of `Members`.
    """

    cluster: str
    reach: Reach
    is_write: bool = False
    hedge: float | Literal["p95"] | None = None
    key: bytes | None = None


class Held(Protocol):
    """A connection to a database that is kept from one call to the next: a transaction.

    Each call to it is one statement; they are sent one after the other.
    """

    @property
    def node(self) -> str:
        """As in results."""

    async def copy_in(self, ask: Sql, pieces: AsyncIterator[bytes]) -> Reply:
        """Send what COPY ... FROM STDIN takes. On the loop. Never raises, but for cancelling."""

    def copy_out(self, ask: Sql) -> AsyncIterator[bytes]:
        """What COPY ... TO STDOUT gives, as it comes. On the loop. Raises TransactionFailed."""


class Upload(Protocol):
    """A body that is not held in memory. It can be sent again, and to several members at once."""

    @property
    def length(self) -> int | None:
        """Bytes of all pieces together, as the Content-Length line of its ask says.

        None: nobody knows, and it is sent in chunks; then it is a `skitai.live_body.LiveBody`.
        """

    def pieces(self) -> Iterator[bytes]:
        """All of it, from the start; each iterator goes its own way. Not on the loop.

        A piece is at most 64 KiB, read from a local file when it is asked for. Raises OSError for
        a file that cannot be read, or that has become shorter meanwhile.
        """


class Ask(msgspec.Struct, frozen=True):
    """One HTTP request, ready for the wire but for its Host line, which each member has its own.

    start: request line with CRLF. fields: header lines, each with CRLF. idempotent: may be sent
    again after bytes went out (RFC 9110 section 9.2.2). follow: redirects that are followed at
    most; one more is status FAILED. 0: a redirect is the answer. passed: more header lines,
    those passed on of the request it is made for (`skitai.errand`); not part of what is asked.
    """

    start: bytes
    fields: bytes
    body: bytes | Upload
    idempotent: bool
    expects_body: bool = True  # False for HEAD
    follow: int = 0
    passed: bytes = b""


class Sql(msgspec.Struct, frozen=True):
    """One statement, ready for the wire; see `skitai.sql`.

    text: with $1, $2 and so on. params: None if it has no placeholders at all. types: the OID of
    each, 0 for one that the server infers. formats: 0 is text, 1 binary. idempotent: it only reads,
    so it may be sent again after bytes went out. request: for whom it is sent, said: what the app
    has written, as reports name them; neither is part of what is asked.
    """

    text: bytes
    params: tuple[bytes | None, ...] | None
    types: tuple[int, ...]
    formats: tuple[int, ...]
    idempotent: bool
    request: Any = None
    said: str = ""

    body: ClassVar[bytes] = b""  # as an `Ask` has it, like the next
    follow: ClassVar[int] = 0


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a database has sent, not decoded. zone: the name of the session's time zone."""

    result: PGresult
    zone: str


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What came of asking one member. Made on the loop; decoded by whoever waits.

    code: of a database that has refused a connection its SQLSTATE. retries: other members asked
    besides the first, as repeats or hedges. answer: what a database has sent, unless it is packed
    into `body` (`skitai.rows`).
    """

    member: int  # its place among those asked
    node: str
    status: Status
    code: int | str
    msg: str
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    elapsed: float
    retries: int = 0
    answer: Answer | None = None


Target = Origin | Members | DatabaseServer | DatabaseMembers | Held


class Keep(msgspec.Struct, frozen=True):
    """What a call wants of the result cache; see `skitai.rcache`.

    seconds: how long its replies are kept for whoever asks the same. stale: how long they are
    given after that while they are asked for anew. is_good: whether a reply may be kept; called
    on a handler thread.
    """

    seconds: float
    stale: float
    is_good: Callable[[Reply], bool]


class Waiter(Protocol):
    """Someone who waits for a call; released once, when enough replies are in."""

    def release(self) -> None:
        """Runs on the loop thread."""


class Call:
    """An ask on its way, and the place where its replies land.

    nodes: the members asked, in the order of the conf; set by `Engine.send`.
    replies: in the order of arrival; appended by the loop.
    wanted, waiter: how many replies the one who waits needs before it is released. Both are
        written and read under the engine's lock.
    expires: monotonic time after which the loop gives up even if nobody waits any more.
    bundle: what it is waited for with; None: by itself.
    is_given_up: the client it was made for has left; a wait for it ends at once.
    keep: what it wants of the result cache; None: only what others have put there.
    cached_time: when the replies were put into the result cache, epoch seconds; 0.0: they come
        from the members.
    """

    __slots__ = (
        "ask",
        "bundle",
        "cached_time",
        "cancelled",
        "expires",
        "is_given_up",
        "keep",
        "nodes",
        "replies",
        "sent_at",
        "target",
        "waiter",
        "wanted",
    )

    def __init__(
        self, target: Target, ask: Ask | Sql, timeout: float, keep: Keep | None = None
    ) -> None:
        self.target = target
        self.ask = ask
        self.keep = keep
        self.cached_time = 0.0
        self.sent_at = time.monotonic()
        self.expires = self.sent_at + timeout
        self.nodes: tuple[str, ...] = ()
        self.replies: list[Reply] = []
        self.wanted = 0
        self.waiter: Waiter | None = None
        self.cancelled = False
        self.bundle: Bundle | None = None
        self.is_given_up = False

    @property
    def is_complete(self) -> bool:
        """Whether every member asked has a reply."""
        return len(self.replies) >= len(self.nodes)

    @property
    def landed(self) -> int:
        """How many replies are in."""
        return len(self.replies)


class Bundle:
    """Several calls that are waited for together, from its making until `close`.

    wanted, waiter: as of a call; those of its calls are not looked at meanwhile.
    """

    __slots__ = ("calls", "waiter", "wanted")

    bundle = None  # as a call has one

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.wanted = 0
        self.waiter: Waiter | None = None
        for call in calls:
            call.bundle = self

    def close(self) -> None:
        """Let the calls go; they and this would hold each other."""
        for call in self.calls:
            call.bundle = None

    @property
    def landed(self) -> int:
        """How many replies are in, of all calls together."""
        return sum(len(call.replies) for call in self.calls)

    @property
    def is_given_up(self) -> bool:
        """Whether this goes for any of the calls."""
        return any(call.is_given_up for call in self.calls)


class Engine(Protocol):
    """What sends calls: the worker, or a fake in a test."""

    def send(self, call: Call) -> None:
        """Start a call, without blocking. Raises UnknownCluster."""

    def cancel(self, call: Call) -> None:
        """Give up what is still out; a late reply is dropped."""

    def give_up(self, call: Call) -> None:
        """Cancel a call whose client has left, and release whoever waits for it. On the loop."""

    def keep(self, call: Call, seconds: float) -> None:
        """Have the result cache keep the replies of a complete call, for whoever asks the same."""

    def forget(self, call: Call) -> None:
        """Have the result cache forget what it keeps for a call."""

    def wait(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        """Block until `wanted` replies are in (True) or the monotonic deadline passes (False).

        The handler's run slot is given back meanwhile. False at once for what is given up. Raises
        WrongUse on the loop's thread.
        """

    async def wait_async(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        """The same for an async handler."""

    def hold(self, target: DatabaseMembers | DatabaseServer, request: Any) -> Held:
        """A connection for calls that follow one another, taken with the first of them.

        request: for whom, as reports name it. Raises UnknownCluster.
        """

    def let_go(self, held: Held, why: str) -> None:
        """It is not needed any more: what is not committed is rolled back. From any thread.

        why: for whoever calls it after that all the same. Doing it twice is fine.
        """

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine that runs on the loop; the handler's slot is given back.

        Raises WrongUse on the loop's thread.
        """

    def want(self, wish: Wish) -> None:
        """Ask the master for something; it is done in its time."""
