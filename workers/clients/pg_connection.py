"""One connection to a PostgreSQL server: a statement at a time, and what is said in between.

Runs on the loop. psycopg connects it; from then on libpq is driven here, by one reader that stays
registered. So a statement costs no task and no timer, and the end of an idle connection is noticed
at once. Rows are not looked at: whoever waits reads them, on its own thread.

Its law:
- Who has a statement running is told exactly once how it ended: `answered`, or `broke`.
- There is one statement at a time. Whose turn is next is the keeper's to say, or the session's.
- Nobody else reads or writes its socket, except for a `copying` user, to whom it is lent meanwhile.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from typing import Any, Protocol

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from skitai import rows
from skitai.engine import Answer, Sql

from .pg_prepared import Key, Prepared

COPYING = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)

_STALE_PLAN = (b"0A000", b"26000")  # a prepared statement that the server has to be told anew
_GUESS = " This probably means"  # what libpq supposes after saying what it knows
_IDLE = TransactionStatus.IDLE
_ERROR = ExecStatus.FATAL_ERROR
_SQLSTATE = DiagnosticField.SQLSTATE


class User(Protocol):
    """Who has a statement running."""

    def answered(self, result: PGresult) -> None:
        """It is over; an error of the server is an answer too."""

    def broke(self, reason: str) -> None:
        """The connection is gone."""

    def copying(self, status: int) -> None:
        """It is a COPY, and the server waits, or has begun to send."""


class Home(Protocol):
    """Where connections come from: the keeper."""

    def gone(self, connection: PgConnection) -> None:
        """It is closed; `ended` says why."""

    def is_hot(self, key: Key) -> bool:
        """Whether a statement comes so often that it is to be prepared. Counts it."""


class PgConnection:
    """One connection. Times are monotonic.

    expires: when it is old. free_at: when it was put down. since: when it was taken up. ended: why
    it is closed, "" if we did it; code: the SQLSTATE of that.
    """

    __slots__ = (
        "_at_end",
        "_fd",
        "_hangup",
        "_home",
        "_is_given_up",
        "_is_writing",
        "_loop",
        "_prepared",
        "_result",
        "_sql",
        "_user",
        "code",
        "ended",
        "expires",
        "free_at",
        "is_closed",
        "is_reading",
        "pgconn",
        "raw",
        "since",
        "when_drained",
        "when_readable",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        raw: psycopg.AsyncConnection[Any],
        home: Home,
        expires: float,
    ) -> None:
        self._loop = loop
        self._home = home
        self._fd = raw.fileno()
        self._hangup = select.poll()  # tells of errors alone
        self._hangup.register(self._fd, 0)
        self._user: User | None = None
        self._sql: Sql | None = None
        self._result: PGresult | None = None
        self._at_end: Callable[[PGresult], bool] | None = None
        self._prepared = Prepared()
        self._is_writing = self._is_given_up = False
        self.is_reading = False
        self.raw = raw
        self.pgconn: PGconn = raw.pgconn
        self.when_drained: Callable[[], None] | None = None
        self.when_readable: Callable[[], None] | None = None  # instead of reading
        self.is_closed = False
        self.ended = self.code = ""
        self.expires = expires
        self.since = self.free_at = time.monotonic()
        self.read(True)

    # --- statements ---

    def start(self, user: User, sql: Sql) -> None:
        """Send a statement. The user may be told before this returns."""
        if self.is_closed:  # as a session may find it after a COPY that broke
            user.broke(self.ended or "the connection was closed")
            return
        self._user = user
        self._sql = sql
        self._is_given_up = False
        self._do(self._send)

    def hand_over(self, user: User) -> None:
        """Another one is to be told how it ends, soon: what is only being prepared is not run."""
        self._user = user
        self._is_given_up = True

    @property
    def is_busy(self) -> bool:
        """Whether a statement runs."""
        return self._user is not None

    @property
    def is_clean(self) -> bool:
        """Whether nothing runs and no transaction is open."""
        return self._user is None and self.pgconn.transaction_status == _IDLE

    @property
    def sql(self) -> Sql | None:
        """What runs, or ran last."""
        return self._sql

    def answer(self, result: PGresult) -> Answer:
        """A result, for whoever reads it."""
        zone = self.pgconn.parameter_status(b"TimeZone") or b""
        return Answer(result, zone.decode("ascii", "replace"))

    def close(self, reason: str = "", code: str = "") -> None:
        """Close it. reason: what went wrong, "" if nothing did."""
        if self.is_closed:
            return
        self.is_closed = True
        self.ended, self.code = reason, code
        self.read(False)
        if self._is_writing:
            self._loop.remove_writer(self._fd)
        self.pgconn.finish()
        user, self._user = self._user, None
        self._home.gone(self)
        if user is not None:
            user.broke(reason or "the connection was closed")
        self._drained()
        self._lent_is_readable()

    # --- for a user that copies ---

    def read(self, is_wanted: bool) -> None:
        """Whether to read what comes."""
        if is_wanted != self.is_reading:
            self.is_reading = is_wanted
            if is_wanted:
                self._loop.add_reader(self._fd, self._readable)
            else:
                self._loop.remove_reader(self._fd)

    def flush(self) -> bool:
        """Send what is to be sent. False: not all of it yet, `when_drained` is called later.

        Raises psycopg.Error.
        """
        if self.pgconn.flush():
            if not self._is_writing:
                self._is_writing = True
                self._loop.add_writer(self._fd, self._writable)
            return False
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._fd)
        return True

    def take_results(self) -> None:
        """Go on to the end of the statement, with what has come so far."""
        try:
            self._take_results()
        except psycopg.Error as error:
            self.close(plain(error))

    # --- sending ---

    def _do(self, act: Callable[[Sql], None]) -> None:
        assert self._sql is not None
        try:
            act(self._sql)
            if self.pgconn.flush():
                self.flush()
        except psycopg.Error as error:
            self.close(plain(error))

    def _send(self, sql: Sql) -> None:
        if sql.params is None and b";" in sql.text:  # only so it may be several statements
            self.pgconn.send_query(sql.text)
            return
        key = (sql.text, sql.types) if sql.types else sql.text
        if self._prepared.name(key) is not None:
            self._send_prepared(sql)
        elif self._home.is_hot(key):
            name = self._prepared.surplus()
            if name is None:
                self._prepare(sql)
            else:
                self.pgconn.send_query(b"DEALLOCATE " + name)
                self._at_end = self._was_deallocated
        else:
            self._send_once(sql)

    def _send_once(self, sql: Sql) -> None:
        self.pgconn.send_query_params(sql.text, sql.params, sql.types, sql.formats)

    def _prepare(self, sql: Sql) -> None:
        name = self._prepared.add(_key(sql))
        self.pgconn.send_prepare(name, sql.text, sql.types)
        self._at_end = self._was_prepared

    def _send_prepared(self, sql: Sql) -> None:
        name = self._prepared.name(_key(sql))
        assert name is not None
        self.pgconn.send_query_prepared(name, sql.params, sql.formats)
        self._at_end = self._was_executed

    def _was_deallocated(self, result: PGresult) -> bool:
        if not self._is_given_up:
            self._do(self._prepare)
        return self._is_given_up

    def _was_prepared(self, result: PGresult) -> bool:
        if result.status == _ERROR:  # as it would be unprepared
            self._forget()
            return True
        if not self._is_given_up:
            self._do(self._send_prepared)
        return self._is_given_up

    def _was_executed(self, result: PGresult) -> bool:
        """One whose plan does not hold any more has not begun; outside of a transaction it may."""
        if result.status != _ERROR or result.error_field(_SQLSTATE) not in _STALE_PLAN:
            return True
        self._forget()
        if self._is_given_up or self.pgconn.transaction_status != _IDLE:
            return True
        self._do(self._send_once)
        return False

    def _forget(self) -> None:
        assert self._sql is not None
        self._prepared.forget(_key(self._sql))

    def _writable(self) -> None:
        try:
            is_all = self.flush()
        except psycopg.Error as error:
            self.close(plain(error))
        else:
            if is_all:
                self._drained()
            self._read_on_after_errors()

    def _drained(self) -> None:
        told, self.when_drained = self.when_drained, None
        if told is not None:
            told()

    # --- receiving ---

    def _readable(self) -> None:
        if not self.is_reading:  # closed meanwhile, or lent
            return
        if self._lent_is_readable():
            return
        pgconn = self.pgconn
        try:
            pgconn.consume_input()
            if self._user is not None:
                if self._take_results():
                    return
            else:  # notices are logged by psycopg; what others notify, nobody here listens for
                while pgconn.notifies() is not None:
                    pass
            self._read_on_after_errors()
        except psycopg.Error as error:
            self.close(*(self._last_words() or (plain(error), "")))

    def _lent_is_readable(self) -> bool:
        told, self.when_readable = self.when_readable, None
        if told is None:
            return False
        self.read(False)
        told()
        return True

    def _read_on_after_errors(self) -> None:
        """libuv stops to watch a socket when that has an error, after telling it this one time.

        So if there is more to read, up to the end, nobody would tell.
        """
        if not self.is_closed and self._hangup.poll(0):
            self._loop.call_soon(self._readable)

    def _take_results(self) -> bool:
        """Whether the statement is over, or somebody else reads on."""
        pgconn = self.pgconn
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                self._ended()
                return True
            self._result = result
            if result.status in COPYING:
                assert self._user is not None
                self._user.copying(result.status)
                return True
        return False

    def _ended(self) -> None:
        """The server is ready for another statement."""
        result, self._result = self._result, None
        assert result is not None
        at_end = self._at_end
        if at_end is not None:
            self._at_end = None
            if not at_end(result):
                return
        user, self._user = self._user, None
        assert user is not None
        user.answered(result)

    def _last_words(self) -> tuple[str, str] | None:
        """What the server said before it hung up, and the SQLSTATE."""
        result = self._result
        if result is None or result.status != _ERROR:
            return None
        state, said = rows.error_of(result)
        return said, state


def _key(sql: Sql) -> Key:
    return (sql.text, sql.types) if sql.types else sql.text


def plain(error: BaseException) -> str:
    """What libpq or the system says, as part of a sentence in one line."""
    said = " ".join(str(error).split()).partition(_GUESS)[0]
    return said.removeprefix("consuming input failed: ") or type(error).__name__
