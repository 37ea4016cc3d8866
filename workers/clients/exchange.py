"""One request to one server: from wanting a connection to an outcome.

Runs on the loop. A connection that was used before may have been closed by the server at this
very moment; such a request is sent once more on another connection if nothing of an answer had
come and the request may be repeated (RFC 9110 section 9.2.2).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from skitai.engine import Ask
from skitai.results import Status

from .http_connection import HttpConnection
from .keeper import ConnectionKeeper


class Outcome(msgspec.Struct, frozen=True):
    """How an exchange ended. was_sent: bytes of the request may have reached the server."""

    status: Status
    code: int
    msg: str
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    was_sent: bool


class HttpExchange:
    """One ask on one server. `done` is called once, unless it is cancelled before."""

    __slots__ = ("_ask", "_connection", "_done", "_is_over", "_keeper", "_repeated")

    def __init__(self, keeper: ConnectionKeeper, ask: Ask, done: Callable[[Outcome], None]) -> None:
        self._keeper = keeper
        self._ask = ask
        self._done = done
        self._connection: HttpConnection | None = None
        self._repeated = False
        self._is_over = False

    def start(self) -> None:
        """Ask; `done` may be called before this returns."""
        self._keeper.want(self)

    def cancel(self) -> None:
        """Give up: `done` will not be called."""
        self._is_over = True
        if self._connection is not None:
            self._connection.abort()
        else:
            self._keeper.forget(self)

    # --- keeper.Waiter ---

    def connected(self, connection: HttpConnection) -> None:
        ask = self._ask
        self._connection = connection
        data = b"".join((ask.start, self._keeper.host_field, ask.fields, b"\r\n", ask.body))
        connection.start(self, data, ask.expects_body)

    def not_connected(self, reason: str) -> None:
        self._finish(Outcome(Status.NOT_CONNECTED, 0, reason, (), b"", was_sent=False))

    # --- http_connection.Exchange ---

    def responded(self, code: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._connection = None
        self._finish(Outcome(Status.NORMAL, code, "", tuple(fields), body, was_sent=True))

    def broke(self, reason: str, had_bytes: bool) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        was_reused = connection.uses > 1
        if was_reused and not had_bytes and self._ask.idempotent and not self._repeated:
            self._repeated = True
            self._keeper.want(self)
            return
        msg = f"{self._keeper.node} {reason}"
        self._finish(Outcome(Status.FAILED, 0, msg, (), b"", was_sent=True))

    def _finish(self, outcome: Outcome) -> None:
        if not self._is_over:
            self._is_over = True
            self._done(outcome)
