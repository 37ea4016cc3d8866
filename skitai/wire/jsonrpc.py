"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification), as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from skitai.errors import BadWireData, RpcFault

# Section 5.1, error object.
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

CALLS_MAX = 1000  # of one document: a few bytes each may ask for a lot of work

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Request(msgspec.Struct, frozen=True):
    """One call of a batch, or the only one."""

    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    id: Any
    is_notification: bool  # no id: the caller wants no answer


class Invalid(msgspec.Struct, frozen=True):
    """An entry that is no request; `id` is the caller's if it could be read."""

    reason: str
    id: Any = None


class Document(msgspec.Struct, frozen=True):
    """A whole body: one entry, or a batch of at least one."""

    entries: tuple[Request | Invalid, ...]
    is_batch: bool


def load(body: bytes) -> Document:
    """Read a body. Raises RpcFault(PARSE_ERROR or INVALID_REQUEST) when there is no entry in it."""
    try:
        document = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RpcFault(PARSE_ERROR, f"Parse error: {error}") from None
    if not isinstance(document, list):
        return Document((_entry(document),), is_batch=False)
    if not document:
        raise RpcFault(INVALID_REQUEST, "Invalid Request: an empty batch")
    if len(document) > CALLS_MAX:
        raise RpcFault(INVALID_REQUEST, f"Invalid Request: a batch of more than {CALLS_MAX} calls")
    return Document(tuple(_entry(each) for each in document), is_batch=True)


def _entry(entry: Any) -> Request | Invalid:
    if not isinstance(entry, dict):
        return Invalid("Invalid Request: not an object")
    ident = entry.get("id")
    method = entry.get("method")
    params = entry.get("params", [])
    if not isinstance(method, str):
        return Invalid("Invalid Request: method is not a string", ident)
    if isinstance(params, list):
        return Request(method, tuple(params), {}, ident, "id" not in entry)
    if isinstance(params, dict):
        return Request(method, (), params, ident, "id" not in entry)
    return Invalid("Invalid Request: params is neither array nor object", ident)


def dump_value(value: Any, ident: Any) -> bytes:
    """A response object. Raises TypeError for a value that JSON cannot carry."""
    return _encode({"jsonrpc": "2.0", "result": value, "id": ident})


def dump_error(code: int, message: str, ident: Any = None) -> bytes:
    """An error response object."""
    error = {"code": code, "message": message}
    return _encode({"jsonrpc": "2.0", "error": error, "id": ident})


def join(responses: list[bytes], is_batch: bool) -> bytes:
    """The body to send: b"" when nobody wants an answer (all were notifications)."""
    if not responses:
        return b""
    return b"[" + b",".join(responses) + b"]" if is_batch else responses[0]


def dump_call(method: str, params: tuple[Any, ...] | dict[str, Any], ident: int = 1) -> bytes:
    """A request object. Raises TypeError for a value that JSON cannot carry."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": params, "id": ident})


def dump_batch(calls: Sequence[tuple[str, tuple[Any, ...]]]) -> bytes:
    """A batch of request objects, numbered from 1. Raises as `dump_call`."""
    numbered = enumerate(calls, 1)
    return join([dump_call(name, args, number) for number, (name, args) in numbered], True)


def load_response(body: bytes) -> Any:
    """The value of a response object. Raises RpcFault for an error, BadWireData otherwise."""
    return _value(_json(body))


def load_batch(body: bytes, count: int) -> list[Any]:
    """The values of the responses to a batch of so many, in the order of its requests.

    In the place of an error there is an RpcFault. Raises RpcFault for one error instead of them
    all, BadWireData when an answer is missing.
    """
    responses = _json(body)
    if not isinstance(responses, list):  # section 6: the batch as a whole was refused
        _value(responses)
        raise BadWireData("JSON-RPC: one response to a batch")
    answers = {each.get("id"): each for each in responses if isinstance(each, dict)}
    values: list[Any] = []
    for number in range(1, count + 1):  # they may come in any order
        if number not in answers:
            raise BadWireData(f"JSON-RPC: the batch of {count} has no answer to call {number}")
        try:
            values.append(_value(answers[number]))
        except RpcFault as fault:
            values.append(fault)
    return values


def _json(body: bytes) -> Any:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as reason:
        raise BadWireData(f"JSON-RPC: not JSON: {reason}") from None


def _value(response: Any) -> Any:
    if not isinstance(response, dict):
        raise BadWireData("JSON-RPC: the response is not an object")
    error = response.get("error")
    if error is not None:
        raise _fault(error)
    if "result" not in response:
        raise BadWireData("JSON-RPC: the response has neither result nor error")
    return response["result"]


def _fault(error: Any) -> RpcFault:
    if not isinstance(error, dict):  # JSON-RPC 1.0 allows any value here
        return RpcFault(INTERNAL_ERROR, str(error))
    code = error.get("code")
    return RpcFault(code if isinstance(code, int) else INTERNAL_ERROR, str(error.get("message")))
