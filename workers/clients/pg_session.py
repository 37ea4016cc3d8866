"""A transaction: one connection, and the statements that follow one another on it.

Runs on the loop, but for its making. It takes a connection with its first statement, which is a
BEGIN, and gives it back when the server says that no transaction is open any more.

Its law:
- Statements are sent in their order, the next one when the one before it is answered.
- A statement that nobody waits for any more ends the whole: it is cancelled, everything is rolled
  back, and what comes after it fails with a sentence that says so.
- However it ends, the connection is back in its pool, or closed: `let_go` sees to that.
- Who copies has the connection for itself. What ends the whole meanwhile closes it, so that nothing
  of the COPY goes to whoever would have it next.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.pq.abc import PGresult

from skitai.engine import Call, Reply, Sql
from skitai.errors import TransactionFailed
from skitai.results import Status

from . import pg_copy
from .cluster import ClusterMember
from .pg_attempt import keeper_of
from .pg_connection import PgConnection
from .pg_keeper import PgKeeper

OK = 200
ABORTED = "25P02"  # in_failed_sql_transaction: what the server itself says of later statements

Land = Callable[[Call, Reply], None]


class PgSession:
    """A `skitai.engine.Held`, a `Waiter` and a `User`. node: the member once it is chosen."""

    is_patient = True

    def __init__(self, node: str, choose: Callable[[], ClusterMember | None], request: Any) -> None:
        """choose: called on the loop, once; None: nobody is to be asked."""
        self.node = node
        self.request = request
        self.since = 0.0
        self._choose = choose
        self._member: ClusterMember | None = None
        self._connection: PgConnection | None = None
        self._queue: deque[Step] = deque()
        self._step: Step | None = None  # the one that is running
        self._over = ""  # why nothing more can be done
        self._is_waiting = self._is_copying = False

    @property
    def keeper(self) -> PgKeeper:
        assert self._member is not None
        return keeper_of(self._member)

    def submit(self, step: Step) -> None:
        """One more statement."""
        if self._is_copying:
            self.let_go("it was rolled back, as a statement came in the middle of a COPY")
        if self._over:
            step.failed(self._over)
            return
        self._queue.append(step)
        if self._connection is not None:
            self._next()
        elif not self._is_waiting:
            self._member = self._choose()
            if self._member is None:
                self._queue.clear()
                self._over = f"nobody of {self.node} is to be asked"
                step.done(Status.NOT_CONNECTED, 0, self._over, None)
                return
            self._is_waiting = True
            self.node = self._member.node
            self._member.load.in_flight += 1
            self.keeper.want(self)

    def withdraw(self, step: Step) -> None:
        """Nobody waits for a statement any more."""
        if step is self._step or step in self._queue:
            self._discard(step)
            self.let_go("it was rolled back, as a statement of it was not waited for any longer")

    def let_go(self, why: str) -> None:
        """End it: whatever is not committed is rolled back. why: for who comes later."""
        if self._over:
            return
        self._over = why
        connection, self._connection = self._connection, None
        if self._is_waiting:
            self._is_waiting = False
            self.keeper.forget(self)
            self._count_down()
        if connection is not None:
            self._count_down()
            if self._is_copying:
                connection.close()
            else:
                self.keeper.clean(connection, _nobody)
        step, self._step = self._step, None
        queue, self._queue = self._queue, deque()
        for each in (*([step] if step else ()), *queue):
            each.failed(why)

    # --- pg_keeper.Waiter ---

    def connected(self, connection: PgConnection) -> None:
        self._is_waiting = False
        self._connection = connection
        self._next()

    def not_connected(self, reason: str, code: str) -> None:
        self._is_waiting = False
        self._end(reason, code, Status.NOT_CONNECTED)

    # --- pg_connection.User ---

    def answered(self, result: PGresult) -> None:
        step, self._step = self._step, None
        connection = self._connection
        assert connection is not None
        assert step is not None
        answer = connection.answer(result)
        if connection.is_clean:
            self._over = "it is over"
            self._connection = None
            self._count_down()
            self.keeper.freed(connection)
        step.done(Status.NORMAL, OK, "", answer)
        if self._connection is not None:
            self._next()
        else:
            self._fail_rest()

    def broke(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._end(f"{self.node}: {reason}", connection.code, Status.FAILED)

    def copying(self, status: int) -> None:
        assert self._connection is not None
        self._connection.close("COPY wants tx.copy_in() or tx.copy_out()")

    # --- COPY ---

    async def copy_in(self, ask: Sql, pieces: AsyncIterator[bytes]) -> Reply:
        """See `Held`."""
        began = time.monotonic()
        with self._lent("it was rolled back, as a COPY was not finished") as connection:
            result = await pg_copy.copy_in(connection, self._loop, ask, pieces)
        answer = connection.answer(result)
        elapsed = time.monotonic() - began
        return Reply(0, self.node, Status.NORMAL, OK, "", (), b"", elapsed, answer=answer)

    async def copy_out(self, ask: Sql) -> AsyncIterator[bytes]:
        """See `Held`."""
        with self._lent("it was rolled back, as a COPY was not read to its end") as connection:
            async for piece in pg_copy.copy_out(connection, self._loop, ask):
                yield piece

    @contextmanager
    def _lent(self, why: str) -> Iterator[PgConnection]:
        """why: what is said later if the block raises."""
        connection = self._free()
        self._is_copying = True
        try:
            yield connection
        except BaseException as error:
            self._is_copying = False
            if self._over and isinstance(error, TransactionFailed):
                raise TransactionFailed(f"the transaction is over: {self._over}") from None
            self.let_go(why)
            raise
        self._is_copying = False
        if self._over:
            raise TransactionFailed(f"the transaction is over: {self._over}")

    def _free(self) -> PgConnection:
        if self._over or self._connection is None:
            raise TransactionFailed(f"the transaction cannot COPY: {self._over or 'not begun'}")
        if self._step is not None or self._is_copying:
            raise TransactionFailed("a statement of the transaction is still running")
        return self._connection

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return self.keeper.loop

    # --- inside ---

    def _next(self) -> None:
        if self._step is None and self._queue:
            connection = self._connection
            assert connection is not None
            if connection.is_closed:  # it broke while nothing ran
                self._connection = None
                reason = connection.ended or "the connection was closed"
                self._end(f"{self.node}: {reason}", connection.code, Status.NOT_CONNECTED)
                return
            step = self._step = self._queue.popleft()
            connection.start(self, step.ask)

    def _discard(self, step: Step) -> None:
        if step is self._step:
            self._step = None
        else:
            self._queue.remove(step)

    def _end(self, reason: str, code: str, status: Status) -> None:
        self._over = reason
        self._count_down()
        step, self._step = self._step, None
        first = step or (self._queue.popleft() if self._queue else None)
        if first is not None:
            first.done(status, code or 0, reason, None)
        self._fail_rest()

    def _fail_rest(self) -> None:
        queue, self._queue = self._queue, deque()
        for step in queue:
            step.failed(self._over)

    def _count_down(self) -> None:
        assert self._member is not None
        self._member.load.in_flight -= 1


class Step:
    """One statement of a session: the one reply of a call."""

    __slots__ = ("_call", "_land", "_session")

    def __init__(self, call: Call, session: PgSession, land: Land) -> None:
        self._call = call
        self._session = session
        self._land: Land | None = land

    @property
    def ask(self) -> Sql:
        ask = self._call.ask
        assert isinstance(ask, Sql)
        return ask

    def start(self) -> None:
        """Send it when its turn comes."""
        self._session.submit(self)

    def cancel(self, now: float) -> None:
        """Give up; nothing lands."""
        self._land = None
        self._session.withdraw(self)

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        self._session.withdraw(self)
        self.done(Status.TIMEOUT, 0, "a statement of a transaction that nobody waited for", None)

    def done(self, status: Status, code: int | str, msg: str, answer: Any) -> None:
        """It is over."""
        land, self._land = self._land, None
        if land is not None:
            call, node = self._call, self._session.node
            call.nodes = (node,)
            elapsed = time.monotonic() - call.sent_at
            land(call, Reply(0, node, status, code, msg, (), b"", elapsed, answer=answer))

    def failed(self, why: str) -> None:
        """It was not sent, or is not waited for: the transaction is over."""
        self.done(Status.FAILED, ABORTED, f"the transaction is over: {why}", None)


def _nobody(is_alive: bool) -> None:
    """For cleaning that nobody waits for."""
