"""How an app reaches sockets it never sees: small records, and the Protocol of what sends them.

The worker implements `Engine`; tests of this floor fake it. Who runs where: `send`, `cancel`
and `wait` are called from handler threads (and from the loop by async handlers); a `Call` is
written by the loop alone once it is sent, but for the fields that say who waits.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Protocol

import msgspec

from skitai.results import Status


class Reach(Enum):
    """How many members of a cluster a call goes to."""

    ONE = "one"  # the balancer chooses, and fails over
    ALL = "all"


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


class Members(msgspec.Struct, frozen=True):
    """A cluster of the conf, and how much of it."""

    cluster: str
    reach: Reach


class Ask(msgspec.Struct, frozen=True):
    """One HTTP request, ready for the wire but for its Host line, which each member has its own.

    start: request line with CRLF. fields: header lines, each with CRLF. idempotent: may be sent
    again after bytes went out (RFC 9110 section 9.2.2).
    """

    start: bytes
    fields: bytes
    body: bytes
    idempotent: bool
    expects_body: bool = True  # False for HEAD


class Reply(msgspec.Struct, frozen=True):
    """What came of asking one member. Made on the loop; decoded by whoever waits."""

    member: int  # its place among those asked
    node: str
    status: Status
    code: int
    msg: str
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    elapsed: float


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
    """

    __slots__ = (
        "ask",
        "cancelled",
        "expires",
        "nodes",
        "replies",
        "sent_at",
        "target",
        "waiter",
        "wanted",
    )

    def __init__(self, target: Origin | Members, ask: Ask, timeout: float) -> None:
        self.target = target
        self.ask = ask
        self.sent_at = time.monotonic()
        self.expires = self.sent_at + timeout
        self.nodes: tuple[str, ...] = ()
        self.replies: list[Reply] = []
        self.wanted = 0
        self.waiter: Waiter | None = None
        self.cancelled = False

    @property
    def is_complete(self) -> bool:
        """Whether every member asked has a reply."""
        return len(self.replies) >= len(self.nodes)


class Engine(Protocol):
    """What sends calls: the worker, or a fake in a test."""

    def send(self, call: Call) -> None:
        """Start a call, without blocking. Raises UnknownCluster."""

    def cancel(self, call: Call) -> None:
        """Give up what is still out; a late reply is dropped."""

    def wait(self, call: Call, wanted: int, deadline: float) -> bool:
        """Block until `wanted` replies are in (True) or the monotonic deadline passes (False).

        The handler's run slot is given back meanwhile. Raises WrongUse on the loop's thread.
        """

    async def wait_async(self, call: Call, wanted: int, deadline: float) -> bool:
        """The same for an async handler."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine that runs on the loop; the handler's slot is given back."""

    def want(self, wish: Wish) -> None:
        """Ask the master for something; it is done in its time."""
