"""One statement on one database: from wanting a connection to an outcome.

Runs on the loop. A read whose connection breaks before its answer is sent once more, if there is
nobody else to ask: it is what a server does that is restarted. A write is never sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from psycopg.pq.abc import PGresult

from skitai.engine import Sql
from skitai.results import Status

from .exchange import Done, Outcome
from .pg_connection import PgConnection
from .pg_keeper import PgKeeper
from .pg_waiting import Ending

OK = 200  # as of a page; `skitai.rows` gives errors their SQLSTATE


class PgExchange:
    """An `Exchange`, a `Waiter` and a `User`. since: monotonic, when it began to wait."""

    __slots__ = ("_ask", "_connection", "_done", "_keeper", "_repeated", "is_patient", "since")

    def __init__(self, keeper: PgKeeper, ask: Sql, done: Done, is_patient: bool) -> None:
        self._keeper = keeper
        self._ask = ask
        self._done: Done | None = done
        self._connection: PgConnection | None = None
        self._repeated = False
        self.is_patient = is_patient
        self.since = 0.0

    def start(self) -> None:
        """`Exchange`."""
        self._keeper.want(self)

    def abandon(self, told: Callable[[bool], None]) -> None:
        """`Exchange`: what runs is cancelled on the server."""
        self._done = None
        connection, self._connection = self._connection, None
        if connection is None:
            self._keeper.forget(self)
            told(True)  # it was never asked
        else:
            self._keeper.clean(connection, told)

    # --- pg_keeper.Waiter ---

    def connected(self, connection: PgConnection) -> None:
        self._connection = connection
        connection.start(self, self._ask)

    def not_connected(self, reason: str, code: str) -> None:
        self._finish(Outcome(Status.NOT_CONNECTED, code or 0, reason, (), b"", self._repeated))

    # --- pg_connection.User ---

    def answered(self, result: PGresult) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        answer = connection.answer(result)
        self._keeper.freed(connection)
        self._finish(Outcome(Status.NORMAL, OK, "", (), b"", True, answer=answer))

    def broke(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        if self._ask.idempotent and self.is_patient and not self._repeated and connection.ended:
            self._repeated = True
            self._keeper.want(self)
            return
        waited = time.monotonic() - connection.since
        msg = f"{self._keeper.node}: {reason}, {waited:.3f} s after the statement was sent"
        self._finish(Outcome(Status.FAILED, connection.code or 0, msg, (), b"", was_sent=True))

    def copying(self, status: int) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        connection.hand_over(Ending(self._keeper.loop))
        connection.close()  # or it would wait for data, or send it
        msg = f"{self._keeper.node}: COPY wants a transaction: tx.copy_in(...), tx.copy_out(...)"
        self._finish(Outcome(Status.FAILED, 0, msg, (), b"", was_sent=True, is_ours=True))

    def _finish(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)
