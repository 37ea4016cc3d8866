"""Transactions: statements on one connection that are done together or not at all.

A `Transaction` belongs to the handler that made it. However its block is left, the connection goes
back to its pool without anything open: committed, or rolled back. The wait for its statements is
that of any call, so deadlines and clients that leave mean here what they mean everywhere; either of
them ends the transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Literal

from msgspec.structs import replace

from skitai import rows, sql
from skitai.copying import CopyIn, CopyOut
from skitai.engine import Engine, Held, Reply, Sql
from skitai.errand import Errand
from skitai.errors import TransactionFailed, WrongUse
from skitai.handle import Handle
from skitai.request import Request
from skitai.results import Result, SqlResult, Status
from skitai.sql import Params

Isolation = Literal["read uncommitted", "read committed", "repeatable read", "serializable"]

_ISOLATIONS = ("read uncommitted", "read committed", "repeatable read", "serializable")
IN_FAILED = "25P02"  # the SQLSTATE of what is not even tried, as the transaction is over
_ROLLED_BACK = b"ROLLBACK"  # what the server answers to the COMMIT of a transaction that has failed


class Statement(Handle):
    """One statement of a transaction: take its result with `getwait`, or `await` it."""

    def __init__(
        self,
        engine: Engine,
        held: Held,
        ask: Sql,
        decode: Callable[[Reply], Result],
        timeout: float,
        errand: Errand | None,
    ) -> None:
        super().__init__(engine, held, None, timeout=timeout, errand=errand)
        self._send(ask, decode)


class Transaction:
    """What `s.transaction()` gives, and what `with` gives for it.

    Raises TransactionFailed when it cannot begin, and at its end when it was not committed: because
    a statement had failed, or the connection was lost.
    """

    def __init__(
        self,
        engine: Engine,
        held: Held,
        errand: Errand | None,
        request: Request,
        timeout: float,
        *,
        isolation: Isolation | None = None,
        read_only: bool = False,
        deferrable: bool = False,
    ) -> None:
        """timeout: of each statement, if it is not told otherwise."""
        self._engine = engine
        self._held = held
        self._errand = errand
        self._request = request
        self._timeout = timeout
        self._begin = _begin(isolation, read_only, deferrable)
        self._failure: Result | None = None  # the first
        self._is_open = self._is_unknown = False  # unknown: how its COMMIT has ended
        self._savepoints = 0
        self.last = ""  # what was sent last, for the log

    # --- what is done in it ---

    def execute(
        self, statement: str, params: Params = None, *, timeout: float | None = None
    ) -> Statement:
        """Send a statement; it begins when those before it are over.

        timeout: seconds after which it is cancelled, and everything rolled back. For the rest see
        `SqlHandle.execute`. Raises WrongUse outside of the block.
        """
        self._check_open()
        return self.send(sql.statement(statement, params, request=self._request), timeout)

    def send(self, ask: Sql, timeout: float | None = None) -> Statement:
        """The same for a statement that is made ready."""
        self.last = ask.said
        return self._statement(ask, self._decode, timeout)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A block that is undone alone if it raises, or a statement in it fails."""
        name = self._next_savepoint()
        _must(self._plain(b"SAVEPOINT " + name).getwait())
        try:
            yield
        except BaseException:
            if self._is_open:
                self._plain(b"ROLLBACK TO %b; RELEASE %b" % (name, name)).getwait()
                self._failure = None
            raise
        released = self._plain(b"RELEASE " + name).getwait()
        if not released.ok:
            self._plain(b"ROLLBACK TO %b; RELEASE %b" % (name, name)).getwait()
            raise self._undone(released)

    @asynccontextmanager
    async def async_savepoint(self) -> AsyncIterator[None]:
        """The same for async handlers."""
        name = self._next_savepoint()
        _must(await self._plain(b"SAVEPOINT " + name))
        try:
            yield
        except BaseException:
            if self._is_open:
                await self._plain(b"ROLLBACK TO %b; RELEASE %b" % (name, name))
                self._failure = None
            raise
        released = await self._plain(b"RELEASE " + name)
        if not _one(released).ok:
            await self._plain(b"ROLLBACK TO %b; RELEASE %b" % (name, name))
            raise self._undone(_one(released))

    def copy_in(
        self, statement: str, source: Iterable[Any] | AsyncIterable[Any], timeout: float = 60.0
    ) -> CopyIn:
        """Send data by COPY: `tx.copy_in("COPY cities FROM STDIN", rows).getwait()`, or `await`.

        source: gives rows (lists or tuples, for COPY in its text format), or str or bytes as they
            are in the format that the statement names. It is read as fast as the server takes it.
        timeout: seconds for all of it. Nothing of it stays if it, or the server, fails.
        """
        self._check_open()
        ask = sql.statement(statement, None, request=self._request)
        return CopyIn(self._engine, self._held, ask, source, self._decode, timeout)

    def copy_out(self, statement: str, timeout: float = 60.0) -> CopyOut:
        """Take data by COPY: `for piece in tx.copy_out("COPY cities TO STDOUT")`, or `async for`.

        Pieces are bytes, some lines at once. Nothing is read from the server while none is taken.
        timeout: seconds for each piece. The loop raises TransactionFailed.
        """
        self._check_open()
        ask = sql.statement(statement, None, request=self._request)
        return CopyOut(self._engine, self._held, ask, timeout)

    def rollback(self) -> None:
        """Undo everything; the transaction is over then, and leaving its block is no failure."""
        self._check_open()
        self.end("it was rolled back")

    # --- its beginning and its end ---

    def __enter__(self) -> Transaction:
        with self._ended_by("it has not begun"):
            self._starts(self._plain(self._begin).getwait())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.end(f"it was left by {type(error).__name__}")
        elif self._is_open:
            with self._ended_by("its COMMIT was not waited for"):
                self._ends(self._committing().getwait())

    async def __aenter__(self) -> Transaction:
        with self._ended_by("it has not begun"):
            self._starts(_one(await self._plain(self._begin)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.end(f"it was left by {type(error).__name__}")
        elif self._is_open:
            with self._ended_by("its COMMIT was not waited for"):
                self._ends(_one(await self._committing()))

    @property
    def is_open(self) -> bool:
        """Whether it has begun, and was neither committed nor rolled back by us."""
        return self._is_open

    def end(self, why: str) -> None:
        """Roll back what there is, without waiting for it. From any thread."""
        self._is_open = False
        self._engine.let_go(self._held, why)
        if self._errand is not None:
            self._errand.let_go(self)

    # --- inside ---

    @contextmanager
    def _ended_by(self, why: str) -> Iterator[None]:
        """Whatever is raised, a wait that is cancelled too, leaves nothing open."""
        try:
            yield
        except BaseException:
            self.end(why)
            raise

    def _starts(self, result: Result) -> None:
        if not result.ok:
            raise TransactionFailed(f"no transaction: {result}", _state(result))
        self._is_open = True
        if self._errand is not None:
            self._errand.holds(self)

    def _committing(self) -> Statement:
        # It may be over on the server, when its answer came a moment too late.
        if self._failure is not None and self._failure.status is Status.TIMEOUT:
            raise self._undone(self._failure)
        return self._statement(_COMMIT, self._decode_commit, None)

    def _ends(self, result: Result) -> None:
        self.end("it is over")
        if not result.ok:
            raise self._undone(result)

    def _undone(self, result: Result) -> TransactionFailed:
        cause = self._failure or result
        is_late = result.status is Status.TIMEOUT and self._failure is None
        self._failure = None
        if is_late or self._is_unknown:
            return TransactionFailed(f"nobody knows whether it was committed: {result}")
        return TransactionFailed(f"it was rolled back: {cause}", _state(cause))

    def _next_savepoint(self) -> bytes:
        self._check_open()
        self._savepoints += 1
        return b"skitai_%d" % self._savepoints

    def _plain(self, text: bytes) -> Statement:
        return self._statement(Sql(text, None, (), (), False, self._request), rows.sql, None)

    def _statement(
        self, ask: Sql, decode: Callable[[Reply], Result], timeout: float | None
    ) -> Statement:
        timeout = self._timeout if timeout is None else timeout
        return Statement(self._engine, self._held, ask, decode, timeout, self._errand)

    def _decode(self, reply: Reply) -> SqlResult:
        result = rows.sql(reply)
        if not result.ok and self._failure is None:
            self._failure = result
        return result

    def _decode_commit(self, reply: Reply) -> SqlResult:
        answer = reply.answer
        is_unanswered = reply.status is Status.FAILED and answer is None
        self._is_unknown = is_unanswered and reply.code != IN_FAILED
        if answer is not None and answer.result.command_status == _ROLLED_BACK:
            msg = "a statement of it had failed, whose result was not looked at"
            return rows.sql(
                replace(reply, status=Status.FAILED, code=IN_FAILED, msg=msg, answer=None)
            )
        return rows.sql(reply)

    def _check_open(self) -> None:
        if not self._is_open:
            raise WrongUse("no transaction is open; write: with was.db(...).transaction() as tx")


_COMMIT = Sql(b"COMMIT", None, (), (), False)


def _begin(isolation: str | None, read_only: bool, deferrable: bool) -> bytes:
    words = ["BEGIN"]
    if isolation is not None:
        if isolation.lower() not in _ISOLATIONS:
            raise WrongUse(f"isolation={isolation!r} is none of {', '.join(_ISOLATIONS)}")
        words.append(f"ISOLATION LEVEL {isolation.upper()}")
    if read_only:
        words.append("READ ONLY")
    if deferrable:
        words.append("DEFERRABLE")
    return " ".join(words).encode()


def _one(result: Any) -> Result:
    assert isinstance(result, Result)
    return result


def _must(result: Any) -> None:
    if not result.ok:
        raise TransactionFailed(str(result), _state(result))


def _state(result: Result) -> str:
    return result.code if isinstance(result.code, str) else ""
