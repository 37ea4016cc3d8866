"""One request to one server: from wanting a connection to an outcome.

Runs on the loop. A connection that was used before may have been closed by the server at this
very moment; such a request is sent once more on another connection if nothing of an answer had
come and the request may be repeated (RFC 9110 section 9.2.2).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from skitai.engine import Answer, Ask
from skitai.results import Status

from .http_connection import HttpConnection
from .keeper import ConnectionKeeper
from .sending import Sending


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How an exchange ended.

    was_sent: bytes of the request may have reached the server. is_ours: it failed on this side,
    which tells nothing of the server. answer: of a database.
    """

    status: Status
    code: int | str
    msg: str
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    was_sent: bool
    is_ours: bool = False
    answer: Answer | None = None


Done = Callable[[Outcome], None]


class Exchange(Protocol):
    """One ask on one server. The `Done` it was made with is called once, unless it is given up."""

    def start(self) -> None:
        """Ask; it may be over before this returns."""

    def abandon(self, told: Callable[[bool], None]) -> None:
        """Give up. told: called once, maybe later, with whether the server is known to live."""


class HttpExchange:
    """One ask on one server. `done` is called once, unless it is cancelled before."""

    __slots__ = (
        "_ask",
        "_connection",
        "_done",
        "_keeper",
        "_repeated",
        "_sending",
        "_sent_at",
    )

    def __init__(self, keeper: ConnectionKeeper, ask: Ask, done: Done) -> None:
        self._keeper = keeper
        self._ask = ask
        # Let go when it is over: whoever asks holds this exchange as well, and a circle of the two
        # for each request would be for the garbage collector to find.
        self._done: Done | None = done
        self._connection: HttpConnection | None = None
        self._sending: Sending | None = None
        self._sent_at = 0.0  # monotonic
        self._repeated = False

    def start(self) -> None:
        """Ask; `done` may be called before this returns."""
        self._keeper.want(self)

    def cancel(self) -> None:
        """Give up: `done` will not be called."""
        self._done = None
        if self._connection is not None:
            self._leave(self._connection)
        else:
            self._keeper.forget(self)

    def abandon(self, told: Callable[[bool], None]) -> None:
        """`Exchange`."""
        is_heard = self.is_heard
        self.cancel()
        told(is_heard)

    @property
    def is_heard(self) -> bool:
        """Whether anything of an answer has come so far."""
        return self._connection is not None and self._connection.has_bytes

    # --- keeper.Waiter ---

    def connected(self, connection: HttpConnection) -> None:
        ask, keeper = self._ask, self._keeper
        self._connection = connection
        self._sent_at = time.monotonic()
        start = keeper.absolute(ask.start) if keeper.is_proxied else ask.start
        body = ask.body if isinstance(ask.body, bytes) else b""
        data = b"".join((start, keeper.host_field, ask.fields, ask.passed, b"\r\n", body))
        if isinstance(ask.body, bytes) or not ask.body.length:
            connection.start(self, data, ask.expects_body)
        else:
            connection.start(self, data, ask.expects_body, has_more=True)
            self._sending = Sending(keeper.loop, connection, ask.body, self._not_sendable)

    def not_connected(self, reason: str) -> None:
        self._finish(Outcome(Status.NOT_CONNECTED, 0, reason, (), b"", was_sent=False))

    # --- http_connection.Exchange ---

    def responded(self, code: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._connection = None
        if self._sending is not None:
            self._stop_sending()
        self._finish(Outcome(Status.NORMAL, code, "", tuple(fields), body, True))

    def broke(self, reason: str, had_bytes: bool, *, is_silent: bool = False) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._stop_sending()
        was_stale = connection.uses > 1 and not had_bytes and not is_silent
        if was_stale and self._ask.idempotent and not self._repeated:
            self._repeated = True
            self._keeper.want(self)
            return
        self._failed(Status.TIMEOUT if is_silent else Status.FAILED, reason)

    # --- sending.Sending ---

    def _not_sendable(self, reason: str) -> None:
        assert self._connection is not None
        self._leave(self._connection)
        self._failed(Status.FAILED, f"could not be asked: {reason}", is_ours=True)

    # --- ends ---

    def _failed(self, status: Status, reason: str, is_ours: bool = False) -> None:
        msg = f"{self._keeper.node} {reason}, {self._tried()}"
        self._finish(Outcome(status, 0, msg, (), b"", was_sent=True, is_ours=is_ours))

    def _tried(self) -> str:
        """What was asked, and how long ago; without the query, which may hold what is secret."""
        method, target, _ = self._ask.start.decode("ascii").split(" ")
        path = target.partition("?")[0]
        shown = path if len(path) <= 100 else f"{path[:100]}..."
        return f"{time.monotonic() - self._sent_at:.3f} s after {method} {shown}"

    def _leave(self, connection: HttpConnection) -> None:
        self._connection = None
        self._stop_sending()
        connection.abort()

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.stop()
            self._sending = None

    def _finish(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)
