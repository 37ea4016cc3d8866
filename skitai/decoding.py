"""From a member's reply to a result: pure, run on the thread that waits, never on the loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from skitai import content_coding
from skitai.content_coding import BadContentCoding
from skitai.engine import Reply
from skitai.errors import BadWireData, RpcFault
from skitai.fields import charset
from skitai.results import Result, Status
from skitai.wire import jsonrpc, xmlrpc

Decode = Callable[[Reply], Result]

_CONTENT_TYPE = len("content-type")
_CONTENT_ENCODING = len("content-encoding")
_KNOWN_LENGTH = 100  # bytes of a media type that is remembered: it is the members who name it

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
    media_type = b""
    is_coded = False
    for name, value in reply.fields:  # by their lengths, so that others cost one comparison
        length = len(name)
        if length == _CONTENT_TYPE:
            if not media_type and name.lower() == b"content-type":
                media_type = value
        elif length == _CONTENT_ENCODING and name.lower() == b"content-encoding":
            is_coded = True
    body: bytes | None = reply.body
    if is_coded:
        try:
            body = _decoded(reply)
        except BadContentCoding as error:
            return _failed(reply, reply.code, f"{reply.node} {error}")
        if body is None:
            return _result(reply, reply.body)
    assert body is not None
    return _result(reply, _content(body, media_type))


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
    try:
        body = _decoded(reply)
        value = load(reply.body if body is None else body)
    except RpcFault as fault:
        return _failed(reply, fault.code, fault.message)
    except BadWireData as error:
        return _failed(reply, reply.code, str(error))
    except BadContentCoding as error:
        return _failed(reply, reply.code, f"{reply.node} {error}")
    return _result(reply, value)


def _decoded(reply: Reply) -> bytes | None:
    codings = content_coding.names(reply.fields)
    if not codings:
        return reply.body
    if reply.code == 206:  # a part of what is coded (RFC 9110 section 14.4) cannot be decoded
        return None
    return content_coding.decoded(reply.body, codings)


def _content(body: bytes, media_type: bytes) -> str | bytes:
    known = len(media_type) <= _KNOWN_LENGTH
    codec = _codec(media_type) if known else _codec.__wrapped__(media_type)
    if not codec:
        return body
    try:
        return body.decode(codec, "replace")
    except (LookupError, ValueError):  # unknown to Python, or known and of no use, as "idna" is
        return body.decode("utf-8", "replace")


@lru_cache(256)
def _codec(media_type: bytes) -> str:
    """What a body of this type is text in; "" if it is none. Members say the same ever again."""
    kind, _, parameters = media_type.decode("latin-1").partition(";")
    kind = kind.strip().lower()
    if kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml")):
        return charset(parameters) or "utf-8"
    return ""


def _result(reply: Reply, data: Any) -> Result:
    return Result(
        Status.NORMAL,
        data,
        reply.code,
        reply.msg,
        reply.node,
        reply.elapsed,
        reply.fields,
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
        reply.fields,
        reply.retries,
    )
