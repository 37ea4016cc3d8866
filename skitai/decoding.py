"""From a member's reply to a result: pure, run on the thread that waits, never on the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skitai import content_coding
from skitai.content_coding import BadContentCoding
from skitai.engine import Reply
from skitai.errors import BadWireData, RpcFault
from skitai.fields import charset
from skitai.results import Result, Status
from skitai.wire import jsonrpc, xmlrpc

Decode = Callable[[Reply], Result]

_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/json-rpc",
        "application/xml",
        "application/javascript",
        "application/x-www-form-urlencoded",
    }
)


def http(reply: Reply) -> Result:
    """Any HTTP answer is normal, whatever its status code; text types become str.

    Content codings are removed. A body in one that is not known here, or a part of a body, stays
    as it is: bytes.
    """
    if reply.status is not Status.NORMAL:
        return _failed(reply)
    headers = _headers(reply)
    try:
        body = _decoded(reply, headers)
    except BadContentCoding as error:
        return _failed(reply, reply.code, f"{reply.node} {error}")
    if body is None:
        return _result(reply, reply.body, headers)
    media_type = next((value for name, value in headers if name == "content-type"), "")
    return _result(reply, _content(body, media_type), headers)


def xml_rpc(reply: Reply) -> Result:
    """The value of an XML-RPC response; a fault is status FAILED."""
    return _rpc(reply, xmlrpc.load_response)


def json_rpc(reply: Reply) -> Result:
    """The value of a JSON-RPC response; an error object is status FAILED."""
    return _rpc(reply, jsonrpc.load_response)


def xml_multicall(reply: Reply) -> Result:
    """The values of a `system.multicall`, an RpcFault in the place of each that failed."""
    return _rpc(reply, xmlrpc.load_multicall)


def json_batch(count: int) -> Decode:
    """The same of a batch of so many JSON-RPC requests."""

    def decode(reply: Reply) -> Result:
        return _rpc(reply, lambda body: jsonrpc.load_batch(body, count))

    return decode


def _rpc(reply: Reply, load: Callable[[bytes], Any]) -> Result:
    if reply.status is not Status.NORMAL:
        return _failed(reply)
    if reply.code != 200:
        return _failed(reply, reply.code, f"HTTP status {reply.code} instead of an RPC response")
    headers = _headers(reply)
    try:
        body = _decoded(reply, headers)
        value = load(reply.body if body is None else body)
    except RpcFault as fault:
        return _failed(reply, fault.code, fault.message)
    except BadWireData as error:
        return _failed(reply, reply.code, str(error))
    except BadContentCoding as error:
        return _failed(reply, reply.code, f"{reply.node} {error}")
    return _result(reply, value, headers)


def _decoded(reply: Reply, headers: tuple[tuple[str, str], ...]) -> bytes | None:
    codings = content_coding.names(headers)
    if not codings:
        return reply.body
    if reply.code == 206:  # a part of what is coded (RFC 9110 section 14.4) cannot be decoded
        return None
    return content_coding.decoded(reply.body, codings)


def _content(body: bytes, media_type: str) -> str | bytes:
    kind, _, parameters = media_type.partition(";")
    kind = kind.strip().lower()
    if not (kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))):
        return body
    try:
        return body.decode(charset(parameters) or "utf-8", "replace")
    except (LookupError, ValueError):  # unknown to Python, or known and of no use, as "idna" is
        return body.decode("utf-8", "replace")


def _headers(reply: Reply) -> tuple[tuple[str, str], ...]:
    return tuple((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in reply.fields)


def _result(reply: Reply, data: Any, headers: tuple[tuple[str, str], ...]) -> Result:
    return Result(
        Status.NORMAL,
        data,
        reply.code,
        reply.msg,
        reply.node,
        reply.elapsed,
        headers,
        reply.retries,
    )


def _failed(reply: Reply, code: int | str | None = None, msg: str | None = None) -> Result:
    status = Status.FAILED if reply.status is Status.NORMAL else reply.status
    return Result(
        status,
        "",
        reply.code if code is None else code,
        reply.msg if msg is None else msg,
        reply.node,
        reply.elapsed,
        _headers(reply),
        reply.retries,
    )
