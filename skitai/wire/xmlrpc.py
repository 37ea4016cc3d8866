"""XML-RPC (http://xmlrpc.com/spec.md, with `nil` and `i8`), as pure functions.

The standard library marshals. It also unmarshals, but through a parser that expands
entities, so the parser here is our own: the library's `Unmarshaller` behind an expat that
refuses any document type declaration.
"""

from __future__ import annotations

import xmlrpc.client
from typing import Any
from xml.parsers import expat

from skitai.errors import BadWireData, RpcFault

METHOD_NOT_FOUND = -32601  # the fault code interoperability draft of Dan Libby, as most servers use
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


def dump_call(method: str, params: tuple[Any, ...]) -> bytes:
    """A `<methodCall>`. Raises TypeError for a value that XML-RPC cannot carry."""
    return _encoded(xmlrpc.client.dumps(params, method, allow_none=True))


def load_call(body: bytes) -> tuple[str, tuple[Any, ...]]:
    """(method, params) of a `<methodCall>`. Raises BadWireData."""
    params, method = _load(body)
    if method is None:
        raise BadWireData("XML-RPC: the request has no <methodName>")
    return method, params


def dump_value(value: Any) -> bytes:
    """A `<methodResponse>` with one value. Raises TypeError or OverflowError if it has no form."""
    return _encoded(xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True))


def dump_fault(code: int, message: str) -> bytes:
    """A `<methodResponse>` with a `<fault>`."""
    return _encoded(xmlrpc.client.dumps(xmlrpc.client.Fault(code, message)))


def load_response(body: bytes) -> Any:
    """The value of a `<methodResponse>`. Raises RpcFault for a `<fault>`, BadWireData otherwise."""
    params, _ = _load(body)
    if len(params) != 1:
        raise BadWireData(f"XML-RPC: the response has {len(params)} values instead of one")
    return params[0]


def _encoded(document: str) -> bytes:
    # dumps() writes a declaration only for calls and only without an encoding of its own,
    # and UTF-8 is the default of XML.
    return document.encode("utf-8", "xmlcharrefreplace")


def _load(body: bytes) -> tuple[tuple[Any, ...], str | None]:
    # The stubs call Unmarshaller's life-cycle methods private; expat calls them by name.
    target: Any = xmlrpc.client.Unmarshaller(use_datetime=True, use_builtin_types=True)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    target.xml(None, None)  # text arrives decoded
    try:
        parser.Parse(body, True)
        return target.close(), target.getmethodname()
    except xmlrpc.client.Fault as fault:
        raise RpcFault(fault.faultCode, fault.faultString) from None
    except BadWireData:
        raise
    except expat.ExpatError as error:
        raise BadWireData(f"XML-RPC: not well-formed XML: {error}") from None
    except (xmlrpc.client.ResponseError, ValueError, TypeError, LookupError) as error:
        raise BadWireData(f"XML-RPC: {error or type(error).__name__}") from None


def _refuse_doctype(*_: object) -> None:
    raise BadWireData("XML-RPC: a document type declaration is refused, since it may hold entities")
