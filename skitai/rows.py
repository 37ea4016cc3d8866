"""What a database has answered, as results. Pure, on the thread that waits, never on the loop.

An answer comes as psycopg's result, straight from the connection, or packed into bytes: by the
result cache, which may share it with other workers, and by scripts of tests. Either way each who
asks reads rows of its own, so nobody sees what another makes of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

from skitai.engine import Answer, Reply
from skitai.results import SqlResult, Status
from skitai.sql import transformer_of_thread

NORMAL_CODE = 200  # as of a page; what is not normal has an SQLSTATE
TIMESTAMPTZ = 1184  # the OID of its type
_UTC = ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "")
_WITH_ROWS = (ExecStatus.TUPLES_OK, ExecStatus.SINGLE_TUPLE)
_ERRORS = (ExecStatus.FATAL_ERROR, ExecStatus.NONFATAL_ERROR, ExecStatus.BAD_RESPONSE)


class Row(dict[str, Any]):
    """One row: `row["name"]` and `row.name`. It is a dict, so JSON and templates know it.

    A column that is called like a method of dict ("items", "keys") is there as `row["items"]` only;
    of two columns with one name the last one counts.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the row has no column {name}, but {', '.join(self)}") from None


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """An answer as data. types, formats: for each column. zone: of the session's times."""

    columns: tuple[str, ...]
    types: tuple[int, ...]
    formats: tuple[int, ...]
    rows: list[tuple[bytes | None, ...]]
    rowcount: int
    zone: str = ""


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Packed).decode


def sql(reply: Reply) -> SqlResult:
    """The rows of a statement; an error of the server is status FAILED, with its SQLSTATE."""
    answer = reply.answer
    if reply.status is not Status.NORMAL:
        return _failed(reply, reply.code, reply.msg)
    try:
        if answer is None:
            return _of_packed(reply, _unpack(reply.body))
        if answer.result.status in _ERRORS:
            return _failed(reply, *error_of(answer.result))
        return _of_result(reply, answer)
    except (psycopg.Error, ValueError) as error:  # a date of the year 10000 is none in Python
        return _failed(reply, "22000", f"a value of the answer has no form in Python: {error}")


def packed(answer: Answer) -> bytes:
    """An answer that is not an error, as bytes."""
    result = answer.result
    columns = range(result.nfields)
    return _pack(
        Packed(
            _columns(result),
            tuple([result.ftype(each) for each in columns]),
            tuple([int(result.fformat(each)) for each in columns]),
            [
                tuple([result.get_value(row, each) for each in columns])
                for row in range(result.ntuples)
            ],
            _rowcount(result),
            answer.zone,
        )
    )


def pack(content: Packed) -> bytes:
    """For whoever makes up an answer."""
    return _pack(content)


def unpack(data: bytes) -> Packed:
    """The other way round."""
    return _unpack(data)


def error_of(result: PGresult) -> tuple[str, str]:
    """(SQLSTATE, what the server says with the place in the statement) of an error."""

    def field(which: DiagnosticField) -> str:
        return (result.error_field(which) or b"").decode("utf-8", "replace")

    said = field(DiagnosticField.MESSAGE_PRIMARY)
    if not said:
        return "08000", result.error_message.decode("utf-8", "replace").strip()
    parts = [said]
    place = field(DiagnosticField.STATEMENT_POSITION)
    if place:
        parts.append(f"at character {place} of the statement")
    more = field(DiagnosticField.MESSAGE_DETAIL), field(DiagnosticField.MESSAGE_HINT)
    parts += [each for each in more if each]
    return field(DiagnosticField.SQLSTATE), "; ".join(parts)


def _of_result(reply: Reply, answer: Answer) -> SqlResult:
    result = answer.result
    rowcount = _rowcount(result)
    if result.status not in _WITH_ROWS:
        return _normal(reply, [], (), rowcount)
    columns = _columns(result)
    transformer = transformer_of_thread()
    transformer.set_pgresult(result)
    rows = transformer.load_rows(0, result.ntuples, row_maker(columns))
    transformer.set_pgresult(None)
    if answer.zone not in _UTC:
        types = [result.ftype(each) for each in range(result.nfields)]
        _to_zone(rows, columns, types, answer.zone)
    return _normal(reply, rows, columns, rowcount)


def _of_packed(reply: Reply, content: Packed) -> SqlResult:
    make = row_maker(content.columns)
    rows: list[Row] = []
    if content.columns:
        transformer = transformer_of_thread()
        loads = [
            transformer.get_loader(oid, Format(format)).load
            for oid, format in zip(content.types, content.formats, strict=True)
        ]
        for values in content.rows:
            loaded = [
                None if value is None else load(value)
                for load, value in zip(loads, values, strict=True)
            ]
            rows.append(make(loaded))
    if content.zone not in _UTC:
        _to_zone(rows, content.columns, content.types, content.zone)
    return _normal(reply, rows, content.columns, content.rowcount)


@lru_cache(512)
def row_maker(columns: tuple[str, ...]) -> Callable[[Any], Row]:
    """What makes a row of its values."""

    def make(values: Any) -> Row:
        return Row(zip(columns, values))  # noqa: B905  # they are as many, and it costs

    return make


def _to_zone(rows: list[Row], columns: Any, types: Any, zone: str) -> None:
    """Times in the zone of the session, as psycopg gives them: it is read without a connection."""
    names = [name for name, oid in zip(columns, types, strict=True) if oid == TIMESTAMPTZ]
    if not names:
        return
    there = _zone(zone)
    for row in rows:
        for name in names:
            value = row[name]
            if isinstance(value, datetime):
                row[name] = value.astimezone(there)


@lru_cache(64)
def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # PostgreSQL knows more names, like "<+03>-03"
        return None  # that of the machine: the instant is the same


@lru_cache(512)
def _decoded(names: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(name.decode("utf-8", "replace") for name in names)


def _columns(result: PGresult) -> tuple[str, ...]:
    return _decoded(tuple([result.fname(each) or b"" for each in range(result.nfields)]))


def _rowcount(result: PGresult) -> int:
    if result.status in _WITH_ROWS:
        return result.ntuples
    count = result.command_tuples
    return -1 if count is None else count


def _normal(reply: Reply, rows: list[Row], columns: tuple[str, ...], count: int) -> SqlResult:
    return SqlResult(
        Status.NORMAL,
        rows,
        NORMAL_CODE,
        "",
        reply.node,
        reply.elapsed,
        (),
        reply.retries,
        columns,
        count,
    )


def _failed(reply: Reply, code: int | str, msg: str) -> SqlResult:
    status = Status.FAILED if reply.status is Status.NORMAL else reply.status
    return SqlResult(status, [], code, msg, reply.node, reply.elapsed, (), reply.retries)
