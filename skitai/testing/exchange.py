"""One call at one scripted member: its bytes are read, its answer is made of bytes. Pure.

So what cannot be sent or read fails here as it would on the way to a real one.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import msgspec

from skitai import serialize
from skitai.engine import Ask, Reply
from skitai.errors import HttpError, RpcFault, WrongUse
from skitai.results import Status
from skitai.wire import jsonrpc, urlencoded, xmlrpc

XML = "text/xml"
JSON = "application/json-rpc"

_FORM = re.compile(rb"[\w%+&=*.~-]*=[\w%+&=*.~-]*", re.ASCII)  # what people write by hand, too


class SqlError(Exception):
    """What a database says no with: `SqlError("23505", "duplicate key")`. code: its SQLSTATE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


FAILURES = (RpcFault, HttpError, SqlError, ConnectionError, TimeoutError)
BROKEN_OFF = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


class Member(msgspec.Struct, frozen=True):
    """A server that is asked, and what comes of it.

        Member(["Requiem"], latency=5.0)

    answer: a value; or a function that is called with the method and the params and returns one;
        or what goes wrong, which a function may also raise:
        RpcFault(code, message): a fault; HttpError(status): that status instead of an answer;
        SqlError(code, message): an error of a database;
        ConnectionRefusedError(): not connected; ConnectionResetError(): connected, but broken
        off; TimeoutError(): it never answers.
    latency: seconds until the answer is there. Nobody waits for it: a member that takes as long
        as the timeout of `getwait`, or longer, has status TIMEOUT at once.
    Raises WrongUse for an exception that is none of these.
    """

    answer: Any
    latency: float = 0.0

    def __post_init__(self) -> None:
        answer = self.answer
        is_class = isinstance(answer, type) and issubclass(answer, BaseException)
        if is_class or (isinstance(answer, BaseException) and not isinstance(answer, FAILURES)):
            raise WrongUse(
                f"a member cannot answer {answer!r}; write RpcFault(code, message),"
                " HttpError(status), SqlError(code, message), ConnectionRefusedError(),"
                " ConnectionResetError() or"
                " TimeoutError()"
            )


class Question(NamedTuple):
    """A call as a member reads it."""

    method: str
    params: tuple[Any, ...] | dict[str, Any]
    kind: str  # XML, JSON, or "" for a page


# --- what is asked ---


def read(ask: Ask) -> Question:
    """What an ask says. A body that is no form is the only param, as bytes."""
    command, target = ask.start.split(b" ")[:2]
    lines = ask.fields.decode("latin-1").split("\r\n")
    kind = next((line.partition(": ")[2] for line in lines if line.startswith("Content-Type")), "")
    body = ask.body if isinstance(ask.body, bytes) else b"".join(ask.body.pieces())
    if kind == XML:
        return Question(*xmlrpc.load_call(body), XML)
    if kind == JSON:
        document = jsonrpc.load(body)
        if document.is_batch:
            raise WrongUse("a batch cannot be answered here; script a member that speaks XML-RPC")
        (entry,) = document.entries
        assert isinstance(entry, jsonrpc.Request)  # we have written it
        return Question(entry.method, entry.kwargs or entry.args, JSON)
    fields: dict[str, Any] = {}
    urlencoded.load(target.partition(b"?")[2].decode("ascii"), fields)
    if body and not _FORM.fullmatch(body):
        return Question(command.decode("ascii"), (body,), "")
    urlencoded.load(body.decode("ascii"), fields)
    return Question(command.decode("ascii"), fields, "")


# --- what is answered ---


def reply(member: Member, place: int, node: str, question: Question) -> Reply:
    """What comes of asking a member, and when. Raises WrongUse, and what its function raises."""
    status, code, msg, latency = Status.NORMAL, 200, "", member.latency
    kind, fields, body = question.kind, [], b""
    match outcome := _outcome(member.answer, question):
        case RpcFault():
            body = _fault(outcome, node, question.kind)
        case HttpError():
            code, kind, body = outcome.status, "text/plain; charset=utf-8", outcome.detail.encode()
            fields = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in outcome.headers]
        case TimeoutError():
            status, code, latency = Status.TIMEOUT, 0, math.inf
        case ConnectionError():
            is_broken = isinstance(outcome, BROKEN_OFF)
            status, code = (Status.FAILED if is_broken else Status.NOT_CONNECTED), 0
            what = "has broken off the connection" if is_broken else "cannot be connected to"
            msg = f"{node} {what}" + (f": {outcome}" if str(outcome) else "")
        case _:
            kind, body = _encoded(outcome, node, question)
    if status is Status.NORMAL:
        fields = [(b"Content-Type", kind.encode("latin-1")), *fields]
    return Reply(place, node, status, code, msg, tuple(fields), body, latency)


def _outcome(answer: Any, question: Question) -> Any:
    """The value, or what went wrong instead."""
    if not callable(answer):
        return answer
    params = question.params
    try:
        if isinstance(params, dict):
            return answer(question.method, **params)
        return answer(question.method, *params)
    except FAILURES as failure:
        return failure


def _fault(fault: RpcFault, node: str, kind: str) -> bytes:
    if kind == XML:
        return xmlrpc.dump_fault(fault.code, fault.message)
    if kind == JSON:
        return jsonrpc.dump_error(fault.code, fault.message, 1)
    raise WrongUse(f"{node} is asked for a page, which is never a fault; script HttpError(status)")


def _encoded(value: Any, node: str, question: Question) -> tuple[str, bytes]:
    """Content type and body."""
    try:
        if question.kind == XML:
            return XML, xmlrpc.dump_value(value)
        if question.kind == JSON:
            return JSON, jsonrpc.dump_value(value, 1)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongUse(
            f"{node} answers {question.method} with a value that cannot be sent: {error}"
        ) from None
    match value:
        case str():
            return serialize.HTML, value.encode()
        case bytes():
            return "application/octet-stream", value
        case dict() | list():
            return serialize.JSON, serialize.to_json(value)
    raise WrongUse(
        f"{node} answers with a {type(value).__name__}; a page is a str, bytes, or a dict or list"
        " for JSON"
    )
