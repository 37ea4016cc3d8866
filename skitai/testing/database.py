"""Databases that an app asks in a test: their answers are made of bytes, as a server sends them.

Pure. So a value that PostgreSQL cannot be sent, or send, fails here as it would there.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import psycopg
from psycopg.adapt import PyFormat
from psycopg.pq import Format
from psycopg.types.json import Jsonb

from skitai import rows
from skitai.engine import Reply, Sql
from skitai.errors import TransactionFailed, WrongUse
from skitai.results import Status
from skitai.rows import Packed
from skitai.sql import transformer_of_thread

from .exchange import BROKEN_OFF, FAILURES, Member, SqlError

_SILENT = (b"BEGIN", b"COMMIT", b"ROLLBACK", b"SAVEPOINT", b"RELEASE")
_CURSOR = b" CURSOR FOR "
_ABORTED = "25P02"

Row = dict[str, Any]


def params(ask: Sql) -> tuple[Any, ...]:
    """The parameters of a statement, read again from what would be sent."""
    transformer = transformer_of_thread()
    kinds = zip(ask.params or (), ask.types, ask.formats, strict=True)
    return tuple(
        None if value is None else transformer.get_loader(oid, Format(format)).load(value)
        for value, oid, format in kinds
    )


def reply(member: Member, place: int, node: str, ask: Sql, said: str) -> Reply:
    """What comes of asking a database, and when. said: the statement as functions are shown it.

    Raises WrongUse for an answer that is none, and what its function raises.
    """
    outcome = _outcome(member.answer, said, params(ask))
    status, code, msg, latency = Status.NORMAL, 200, "", member.latency
    match outcome:
        case SqlError():
            return Reply(
                place, node, Status.FAILED, outcome.code, outcome.message, (), b"", latency
            )
        case TimeoutError():
            status, code, latency = Status.TIMEOUT, 0, math.inf
        case ConnectionError():
            is_broken = isinstance(outcome, BROKEN_OFF)
            status, code = (Status.FAILED if is_broken else Status.NOT_CONNECTED), 0
            what = "has broken off the connection" if is_broken else "cannot be connected to"
            msg = f"{node} {what}" + (f": {outcome}" if str(outcome) else "")
        case _:
            return Reply(
                place, node, status, code, "", (), rows.pack(_packed(outcome, node)), latency
            )
    return Reply(place, node, status, code, msg, (), b"", latency)


def silent(node: str) -> Reply:
    """That of a statement that gives nothing."""
    return Reply(0, node, Status.NORMAL, 200, "", (), rows.pack(Packed((), (), (), [], -1)), 0.0)


def _outcome(answer: Any, said: str, values: tuple[Any, ...]) -> Any:
    if not callable(answer):
        return answer
    try:
        return answer(said, *values)
    except FAILURES as failure:
        return failure


def _packed(value: Any, node: str) -> Packed:
    """Raises WrongUse for what is neither rows nor a number of them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Packed((), (), (), [], value)
    if not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):
        raise WrongUse(
            f"{node} answers with a {type(value).__name__}; a database answers with a list of"
            " dicts, its rows, or with the number of rows that a statement has changed"
        )
    columns = tuple(value[0]) if value else ()
    if any(tuple(row) != columns for row in value):
        raise WrongUse(f"{node} answers with rows that have not all the same columns")
    types = [_type([row[name] for row in value], node) for name in columns]
    try:
        content = [tuple(_text(row[name]) for name in columns) for row in value]
    except psycopg.Error as error:
        raise WrongUse(f"{node} answers with what PostgreSQL cannot send: {error}") from None
    return Packed(columns, tuple(types), (0,) * len(columns), content, len(value))


def _type(values: Sequence[Any], node: str) -> int:
    """The OID for a column: that of its first value that is not None."""
    value = next((each for each in values if each is not None), "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = 2**40  # so it is the type for numbers of any size
    try:
        return transformer_of_thread().get_dumper(_dumped(value), PyFormat.TEXT).oid
    except psycopg.Error as error:
        raise WrongUse(f"{node} answers with what PostgreSQL cannot send: {error}") from None


def _text(value: Any) -> bytes | None:
    if value is None:
        return None
    value = _dumped(value)
    data = transformer_of_thread().get_dumper(value, PyFormat.TEXT).dump(value)
    return None if data is None else bytes(data)


def _dumped(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value


class Session:
    """A transaction with one scripted database. A `skitai.engine.Held`."""

    def __init__(self, node: str, answers: Any) -> None:
        """answers: called with an ask; gives a reply."""
        self.node = node
        self._answers = answers
        self._cursor: list[tuple[bytes | None, ...]] = []
        self._read = 0
        self._declared: Packed | None = None
        self._failed = False
        self._over = ""

    def reply(self, ask: Sql) -> Reply:
        """What comes of a statement."""
        if self._over:
            msg = f"the transaction is over: {self._over}"
            return Reply(0, self.node, Status.FAILED, _ABORTED, msg, (), b"", 0.0)
        if ask.text.startswith(b"COMMIT") and self._failed:
            self.end("it was rolled back")
            return Reply(0, self.node, Status.FAILED, _ABORTED, "rolled back", (), b"", 0.0)
        if ask.text.startswith(_SILENT):
            self._failed = self._failed and not ask.text.startswith(b"ROLLBACK TO")
            return silent(self.node)
        if ask.text.startswith(b"FETCH "):
            return self._fetch(int(ask.text.split()[1]))
        answer: Reply = self._answers(ask)
        if answer.status is not Status.NORMAL:
            self._failed = True
        elif _CURSOR in ask.text:
            self._declared = rows.unpack(answer.body)
            return silent(self.node)
        return answer

    def end(self, why: str) -> None:
        """Nothing more comes of it."""
        self._over = self._over or why

    def _fetch(self, count: int) -> Reply:
        whole = self._declared
        assert whole is not None
        part = whole.rows[self._read : self._read + count]
        self._read += count
        content = Packed(whole.columns, whole.types, whole.formats, part, len(part))
        return Reply(0, self.node, Status.NORMAL, 200, "", (), rows.pack(content), 0.0)

    async def copy_in(self, ask: Sql, pieces: AsyncIterator[bytes]) -> Reply:
        """See `Held`: the answer's function is given all of the data as one parameter."""
        data = b"".join([piece async for piece in pieces])
        sent = Sql(ask.text, (data,), (17,), (1,), False, ask.request, ask.said)
        return self.reply(sent)

    async def copy_out(self, ask: Sql) -> AsyncIterator[bytes]:
        """See `Held`: the rows of the answer, in the text format of COPY."""
        answer = self.reply(ask)
        if answer.status is not Status.NORMAL:
            raise TransactionFailed(answer.msg, str(answer.code or ""))
        for line in _lines(rows.unpack(answer.body)):
            yield line


def _lines(content: Packed) -> Iterator[bytes]:
    for row in content.rows:
        yield b"\t".join([rb"\N" if each is None else each for each in row]) + b"\n"
