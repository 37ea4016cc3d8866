"""What a handler returns, as a body for a web client. Pure."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Any

import msgspec
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from skitai import media_types
from skitai.errors import HttpError, Unsupported
from skitai.handle import Waiting
from skitai.results import Result
from skitai.stream import Stream, of
from skitai.wire import tree, xmlrpc

HTML = "text/html; charset=utf-8"
JSON = "application/json"

Body = bytes | Stream

_TEXTUAL = (
    *(IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network),
    *(Range, Multirange),
)


def _as_text(value: Any) -> str:
    """What PostgreSQL has a type for and JSON has not."""
    if isinstance(value, _TEXTUAL):
        return str(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_encode = msgspec.json.Encoder(enc_hook=_as_text).encode


def to_body(value: Any) -> tuple[str, Body]:
    """(content type, body): text and bytes as HTML, dict and list as JSON, a Result as its data.

    What makes its pieces one by one becomes a stream, see `skitai.stream`; a file has the type that
    its name says, anything else is HTML.
    Raises HttpError 502 for a Result that is not normal, Unsupported for anything else.
    """
    if isinstance(value, str):
        return HTML, value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes | bytearray | memoryview):
        return HTML, bytes(value)
    if isinstance(value, dict | list | tuple):
        return JSON, to_json(value)
    if isinstance(value, Result):
        data = normal_data(value)
        return to_body(data) if isinstance(data, str | bytes) else (JSON, to_json(data))
    if isinstance(value, Waiting):  # asked for more() or read(), one of RPC would send a call
        raise Unsupported(
            "returned a call that nobody has waited for; return its result: s.getwait(timeout)"
        )
    stream = of(value)
    if stream is not None:
        return _kind_of_stream(value), stream
    raise Unsupported(
        f"returned {type(value).__name__}; a handler returns str, bytes, a dict or list for JSON, "
        "or a stream"
    )


def _kind_of_stream(value: Any) -> str:
    """What somebody has uploaded must not come back as a page, unless it is meant to."""
    if not callable(getattr(value, "read", None)):
        return HTML
    name = getattr(value, "name", None)
    return media_types.of(name) if isinstance(name, str) else media_types.UNKNOWN


def normal_data(result: Result) -> Any:
    """The data of a normal result. Raises HttpError 502 otherwise."""
    if not result.ok:
        raise HttpError(502, str(result))
    return result.data


def to_json(value: Any) -> bytes:
    """JSON as UTF-8. Raises Unsupported for a value that JSON cannot carry."""
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Unsupported(f"returned a value that JSON cannot carry: {error}") from None


def to_xml(value: dict[str, Any] | tuple[Any, ...]) -> str:
    """A dict of one key, the root, as a document; a tuple as the `<params>` of an XML-RPC call.

    Raises Unsupported for a value that XML cannot carry.
    """
    try:
        if isinstance(value, dict):
            return tree.dump(value)
        if isinstance(value, tuple):
            return xmlrpc.dump_params(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Unsupported(f"XML cannot carry this: {error}") from None
    raise Unsupported(f"XML is made of a dict with one key, or a tuple; got {type(value).__name__}")
