"""One statement for one database, and what the member's books learn of it: an `Attempt` for SQL.

Runs on the loop, from wanting a connection to the end. What the server answers, an error too, is an
answer. A read whose connection breaks before that is sent once more, if there is nobody else to
ask: it is what a server does that is restarted. A write is never sent twice.

A statement that is given up is cancelled on the server. Whether the server lives is known only
then, so the member's books are closed only then.
"""

from __future__ import annotations

import random
import time
from typing import Any

from psycopg.pq.abc import PGresult

from skitai.engine import Answer, Sql
from skitai.results import Status

from .attempt import Asker
from .cluster import ClusterMember
from .pg_connection import PgConnection
from .pg_keeper import PgKeeper
from .pg_waiting import Ending

OK = 200  # as of a page; `skitai.rows` gives errors their SQLSTATE


class PgAttempt:
    """For its attributes see `Attempt`. answer: what the server has said, if it has."""

    __slots__ = (
        "_ask",
        "_asker",
        "_connection",
        "_is_probe",
        "_is_repeated",
        "_keeper",
        "answer",
        "code",
        "is_patient",
        "member",
        "msg",
        "place",
        "since",
        "started",
        "status",
        "was_sent",
    )

    status: Status
    code: int | str
    msg: str
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body = b""

    def __init__(
        self,
        asker: Asker,
        ask: Sql,
        member: ClusterMember,
        now: float,
        place: int = 0,
        *,
        is_patient: bool,
    ) -> None:
        """is_patient: there is nobody else to ask, so a server that is restarted is waited for."""
        self._asker: Asker | None = asker
        self._ask = ask
        self._keeper = keeper_of(member)
        self.member = member
        self.place = place
        self.started = now
        self.since = 0.0  # the keeper's
        self.is_patient = is_patient
        self.was_sent = False
        self.answer: Answer | None = None
        self._is_probe = member.asked(now)
        self._connection: PgConnection | None = None
        self._is_repeated = False

    def start(self) -> None:
        """Ask; `Asker.ended` may be called before this returns."""
        self._keeper.want(self)

    def give_up(self, now: float) -> None:
        """Nobody waits for it any longer."""
        self._abandon(blames=True)

    def lose(self, now: float) -> None:
        """Another member was faster, which is no failure of this one."""
        self._abandon(blames=False)

    # --- pg_keeper.Waiter ---

    def connected(self, connection: PgConnection) -> None:
        self._connection = connection
        self.was_sent = True
        connection.start(self, self._ask)

    def not_connected(self, reason: str, code: str) -> None:
        now = time.monotonic()
        self.was_sent = self._is_repeated
        self.member.failed(self._is_probe, now, random.random(), reason)
        self._end(Status.NOT_CONNECTED, code or 0, reason, now)

    # --- pg_connection.User ---

    def answered(self, result: PGresult) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self.answer = connection.answer(result)
        self._keeper.freed(connection)
        now = time.monotonic()
        self.member.answered(now - self.started, now)
        self._end(Status.NORMAL, OK, "", now)

    def broke(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        if self._ask.idempotent and self.is_patient and not self._is_repeated and connection.ended:
            self._is_repeated = True
            self._keeper.want(self)
            return
        now = time.monotonic()
        msg = f"{self._keeper.node}: {reason}, {now - connection.since:.3f} s after it was asked"
        self.member.failed(self._is_probe, now, random.random(), msg)
        self._end(Status.FAILED, connection.code or 0, msg, now)

    def copying(self, status: int) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        connection.hand_over(Ending(self._keeper.loop))
        connection.close()  # or it would wait for data, or send it
        now = time.monotonic()
        self.member.cancelled(self._is_probe, now - self.started, now)
        msg = f"{self._keeper.node}: COPY wants a transaction: tx.copy_in(...), tx.copy_out(...)"
        self._end(Status.FAILED, 0, msg, now)

    # --- ends ---

    def _abandon(self, *, blames: bool) -> None:
        self._asker = None
        connection, self._connection = self._connection, None
        if connection is None:
            self._keeper.forget(self)
            self._left(True)  # it was never asked, so it tells nothing
        else:
            self._keeper.clean(connection, self._left if blames else self._lost)

    def _left(self, is_alive: bool) -> None:
        now = time.monotonic()
        if is_alive:
            self._lost(is_alive)
        else:
            self.member.unheard(self._is_probe, now - self.started, now, random.random())

    def _lost(self, is_alive: bool) -> None:
        now = time.monotonic()
        self.member.cancelled(self._is_probe, now - self.started, now)

    def _end(self, status: Status, code: int | str, msg: str, now: float) -> None:
        self.status = status
        self.code = code
        self.msg = msg
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.ended(self, now)


def keeper_of(member: ClusterMember) -> PgKeeper:
    """Of a member that is a database."""
    keeper: Any = member.keeper
    assert isinstance(keeper, PgKeeper)
    return keeper
