"""One request to one member, and what the member's books learn of it.

Runs on the loop, from wanting a connection to the end. `Poll`, `Choice` and `Journey` decide who
is asked; here it is written down how it went: exactly once for each `asked` of the member, whether
the request is answered, fails, is given up or loses against another.

A connection that was used before may have been closed by the server at this very moment; such a
request is sent once more on another connection if nothing of an answer had come and the request
may be repeated (RFC 9110 section 9.2.2).
"""

from __future__ import annotations

import random
import time
from typing import Any, Protocol

from skitai.engine import Ask
from skitai.results import Status

from .cluster import ClusterMember
from .http_connection import HttpConnection
from .sending import Sending


class Asker(Protocol):
    """Whose attempt it is."""

    def ended(self, attempt: Any, now: float) -> None:
        """The request is over, and not because it was given up. Once."""


class Attempt:
    """Counts as asked from its making on.

    place: of its reply among those of the call. started: monotonic. was_sent: bytes of the request
    may have reached the member. status, code, msg, fields, body: as of a `Reply`; there when it has
    ended.
    """

    __slots__ = (
        "_ask",
        "_asker",
        "_connection",
        "_is_probe",
        "_is_repeated",
        "_sending",
        "_sent_at",
        "body",
        "code",
        "fields",
        "member",
        "msg",
        "place",
        "started",
        "status",
        "was_sent",
    )

    status: Status
    code: int
    msg: str
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def __init__(
        self, asker: Asker, ask: Ask, member: ClusterMember, now: float, place: int = 0
    ) -> None:
        # Let go when it is over: the asker holds this attempt as well, and a circle of the two for
        # each request would be for the garbage collector to find.
        self._asker: Asker | None = asker
        self._ask = ask
        self.member = member
        self.place = place
        self.started = now
        self._is_probe = member.asked(now)
        self._connection: HttpConnection | None = None
        self._sending: Sending | None = None
        self._sent_at = 0.0  # monotonic
        self._is_repeated = False
        self.was_sent = False

    def start(self) -> None:
        """Ask; `Asker.ended` may be called before this returns."""
        self.member.keeper.want(self)

    def give_up(self, now: float) -> None:
        """Nobody waits for it any longer."""
        is_heard = self._connection is not None and self._connection.has_bytes
        self._cancel()
        elapsed = now - self.started
        if is_heard:
            self.member.cancelled(self._is_probe, elapsed, now)
        else:
            self.member.unheard(self._is_probe, elapsed, now, random.random())

    def lose(self, now: float) -> None:
        """Another member was faster, which is no failure of this one."""
        self._cancel()
        self.member.cancelled(self._is_probe, now - self.started, now)

    # --- keeper.Waiter ---

    def connected(self, connection: HttpConnection) -> None:
        ask, keeper = self._ask, self.member.keeper
        self._connection = connection
        self._sent_at = time.monotonic()
        self.was_sent = True
        start = keeper.absolute(ask.start) if keeper.is_proxied else ask.start
        body = ask.body if isinstance(ask.body, bytes) else b""
        data = b"".join((start, keeper.own_fields, ask.fields, ask.passed, b"\r\n", body))
        if isinstance(ask.body, bytes) or ask.body.length == 0:
            connection.start(self, data, ask.expects_body)
        else:
            connection.start(self, data, ask.expects_body, has_more=True)
            self._sending = Sending(keeper.loop, connection, ask.body, self._not_sendable)

    def not_connected(self, reason: str) -> None:
        self.was_sent = False  # again, if it was to be repeated
        elapsed = time.monotonic() - self.started
        self._fail(Status.NOT_CONNECTED, f"{reason}, after {elapsed:.3f} s")

    # --- http_connection.Exchange ---

    def responded(self, code: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._connection = None
        if self._sending is not None:
            self._stop_sending()
        now = time.monotonic()
        self.member.answered(now - self.started, now)
        self._end(Status.NORMAL, code, "", tuple(fields), body, now)

    def broke(self, reason: str, had_bytes: bool, *, is_silent: bool = False) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._stop_sending()
        was_stale = connection.uses > 1 and not had_bytes and not is_silent
        if was_stale and self._ask.idempotent and not self._is_repeated:
            self._is_repeated = True
            self.member.keeper.want(self)
            return
        self._fail(Status.TIMEOUT if is_silent else Status.FAILED, self._sentence(reason))

    # --- sending.Sending ---

    def _not_sendable(self, reason: str) -> None:
        """It failed on this side, which tells nothing of the member."""
        self._leave()
        now = time.monotonic()
        self.member.cancelled(self._is_probe, now - self.started, now)
        msg = self._sentence(f"could not be asked: {reason}")
        self._end(Status.FAILED, 0, msg, (), b"", now)

    # --- ends ---

    def _sentence(self, reason: str) -> str:
        """What was asked, and how long ago, too; but no query, which may hold what is secret."""
        method, target, _ = self._ask.start.decode("ascii").split(" ")
        path = target.partition("?")[0]
        shown = path if len(path) <= 100 else f"{path[:100]}..."
        elapsed = time.monotonic() - self._sent_at
        return f"{self.member.node} {reason}, {elapsed:.3f} s after {method} {shown}"

    def _fail(self, status: Status, msg: str) -> None:
        now = time.monotonic()
        self.member.failed(self._is_probe, now, random.random(), msg, now - self.started)
        self._end(status, 0, msg, (), b"", now)

    def _end(
        self,
        status: Status,
        code: int,
        msg: str,
        fields: tuple[tuple[bytes, bytes], ...],
        body: bytes,
        now: float,
    ) -> None:
        self.status = status
        self.code = code
        self.msg = msg
        self.fields = fields
        self.body = body
        asker, self._asker = self._asker, None
        assert asker is not None  # it neither ended before nor was given up
        asker.ended(self, now)

    def _cancel(self) -> None:
        """Ask no more; `ended` will not be called."""
        self._asker = None
        if self._connection is None:
            self.member.keeper.forget(self)
        else:
            self._leave()

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._stop_sending()
        connection.abort()

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.stop()
            self._sending = None
