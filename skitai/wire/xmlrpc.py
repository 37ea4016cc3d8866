"""XML-RPC (http://xmlrpc.com/spec.md, with `nil` and `i8`), as pure functions.

The standard library marshals, and we add what others send and expect: `i8` for what 32 bits do
not hold, dates in any form of ISO 8601. It also unmarshals, but through a parser that expands
entities, so the parser here is our own: the library's `Unmarshaller` behind an expat that
refuses any document type declaration.
"""

from __future__ import annotations

import re
import xmlrpc.client
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from xml.parsers import expat

from skitai.errors import BadWireData, RpcFault
from skitai.rows import Row

METHOD_NOT_FOUND = -32601  # the fault code interoperability draft of Dan Libby, as most servers use
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

_HEAD = "<?xml version='1.0'?>\n"  # UTF-8 is the default of XML
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_HARMLESS = b"\t\n\r" + bytes(range(0x20, 0x100))
_NONCHARACTERS = ("\ufffe".encode(), "\uffff".encode())

# What the library's unmarshaller raises for values that are none. ArithmeticError: a bigdecimal.
_WRONG_VALUES = (
    xmlrpc.client.ResponseError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def _dump_int(marshaller: Any, value: int, write: Callable[[str], Any]) -> None:
    bits = value.bit_length()
    if bits > 63 and value != -(2**63):
        raise OverflowError(f"an integer of {bits} bits; XML-RPC has 64 with the sign, send a str")
    tag = "int" if xmlrpc.client.MININT <= value <= xmlrpc.client.MAXINT else "i8"
    write(f"<value><{tag}>{value}</{tag}></value>\n")


def _refuse_instance(marshaller: Any, value: Any, write: Callable[[str], Any]) -> None:
    # The library would send all attributes of any object, whatever they are.
    raise TypeError(f"cannot marshal {type(value)} objects")


class _Marshaller(xmlrpc.client.Marshaller):
    dispatch = {
        **xmlrpc.client.Marshaller.dispatch,
        int: _dump_int,
        Row: xmlrpc.client.Marshaller.dump_struct,
        "_arbitrary_instance": _refuse_instance,
    }


def _end_datetime(unmarshaller: Any, data: str) -> None:
    unmarshaller.append(datetime.fromisoformat(data.strip()))


class _Unmarshaller(xmlrpc.client.Unmarshaller):
    dispatch = {**xmlrpc.client.Unmarshaller.dispatch, "dateTime.iso8601": _end_datetime}


def dump_call(method: str, params: tuple[Any, ...]) -> bytes:
    """A `<methodCall>`. Raises TypeError or OverflowError for a value that has no form."""
    name = f"<methodName>{xmlrpc.client.escape(method)}</methodName>"
    return _encoded(f"{_HEAD}<methodCall>\n{name}\n{_marshalled(params)}</methodCall>\n")


def dump_multicall(calls: Sequence[tuple[str, tuple[Any, ...]]]) -> bytes:
    """A `<methodCall>` of `system.multicall`. Raises as `dump_call`."""
    structs = [{"methodName": name, "params": list(args)} for name, args in calls]
    return dump_call("system.multicall", (structs,))


def load_call(body: bytes) -> tuple[str, tuple[Any, ...]]:
    """(method, params) of a `<methodCall>`. Raises BadWireData."""
    params, method = _load(body)
    if method is None:
        raise BadWireData("XML-RPC: the request has no <methodName>")
    return method, params


def dump_value(value: Any) -> bytes:
    """A `<methodResponse>` with one value. Raises TypeError or OverflowError if it has no form."""
    return _encoded(f"{_HEAD}<methodResponse>\n{_marshalled((value,))}</methodResponse>\n")


def dump_fault(code: int, message: str) -> bytes:
    """A `<methodResponse>` with a `<fault>`; what XML has no form for is a `?` in its message."""
    fault = _marshalled(xmlrpc.client.Fault(code, carried(message)))
    return _encoded(f"{_HEAD}<methodResponse>\n{fault}</methodResponse>\n")


def dump_params(params: tuple[Any, ...]) -> bytes:
    """A `<params>` element alone. Raises as `dump_value`."""
    return _encoded(_marshalled(params))


def carried(text: str) -> str:
    """A text with a `?` for each character that XML has no form for."""
    return _NOT_XML.sub("?", text)


def load_response(body: bytes) -> Any:
    """The value of a `<methodResponse>`. Raises RpcFault for a `<fault>`, BadWireData otherwise."""
    params, _ = _load(body)
    if len(params) != 1:
        raise BadWireData(f"XML-RPC: the response has {len(params)} values instead of one")
    return params[0]


def load_multicall(body: bytes) -> list[Any]:
    """The values of the response to `system.multicall`; in the place of a fault an RpcFault.

    Raises as `load_response`.
    """
    answers = load_response(body)
    if not isinstance(answers, list):
        raise BadWireData("XML-RPC: the response to system.multicall is not an array")
    return [_one_of_many(each) for each in answers]


def _one_of_many(answer: Any) -> Any:
    match answer:
        case [value]:
            return value
        case {"faultCode": int() as code, "faultString": message}:
            return RpcFault(code, str(message))
    raise BadWireData("XML-RPC: system.multicall gave neither an array of one value nor a fault")


def _marshalled(params: tuple[Any, ...] | xmlrpc.client.Fault) -> str:
    return _Marshaller("utf-8", allow_none=True).dumps(params)


def _encoded(document: str) -> bytes:
    # The library lets pass what XML 1.0 section 2.2 has no form for, and CR, which a parser
    # would read as LF (section 2.11).
    if "\r" in document:
        document = document.replace("\r", "&#13;")
    try:
        encoded = document.encode("utf-8")
    except UnicodeEncodeError:
        raise _not_xml(document) from None
    # Ten times faster than the regular expression, which then finds the culprit.
    if encoded.translate(None, _HARMLESS) or any(each in encoded for each in _NONCHARACTERS):
        raise _not_xml(document)
    return encoded


def _not_xml(document: str) -> TypeError:
    found = _NOT_XML.search(document)
    assert found is not None
    return TypeError(f"XML has no form for the character {found[0]!r}; send it as bytes")


def _load(body: bytes) -> tuple[tuple[Any, ...], str | None]:
    # The stubs call Unmarshaller's life-cycle methods private; expat calls them by name.
    target: Any = _Unmarshaller(use_datetime=True, use_builtin_types=True)
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
        code = fault.faultCode if isinstance(fault.faultCode, int) else INTERNAL_ERROR
        raise RpcFault(code, str(fault.faultString)) from None
    except BadWireData:
        raise
    except expat.ExpatError as error:
        raise BadWireData(f"XML-RPC: not well-formed XML: {error}") from None
    except _WRONG_VALUES as error:
        raise BadWireData(f"XML-RPC: {error or type(error).__name__}") from None


def _refuse_doctype(*_: object) -> None:
    raise BadWireData("XML-RPC: a document type declaration is refused, since it may hold entities")
