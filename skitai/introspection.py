"""What clients may ask about the methods of a server: `system.listMethods` and its kin. Pure.

Names and answers are those of the XML-RPC introspection convention, as XML-RPC for C has it;
JSON-RPC is told the same. These names are the server's own, whatever rules its apps have.
"""

from __future__ import annotations

import inspect
import typing
from datetime import datetime
from typing import Any, Protocol

from skitai.errors import RpcFault
from skitai.routing import Handler, Signature
from skitai.table import Found
from skitai.wire import xmlrpc
from skitai.wire.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND

UNDEFINED = "undef"  # in place of a signature that is not known

# Name: its signatures, the result's type first, and its help.
OWN: dict[str, tuple[list[list[str]], str]] = {
    "system.getCapabilities": (
        [["struct"]],
        "What this server speaks: for each feature a struct of specUrl and specVersion.",
    ),
    "system.listMethods": (
        [["array"]],
        "The names of all methods; those with parameters in their names are left out.",
    ),
    "system.methodHelp": ([["string", "string"]], "The documentation of a method, or nothing."),
    "system.methodSignature": (
        [["array", "string"]],
        "The ways to call a method: arrays of types, the result's first; or undef.",
    ),
    "system.multicall": (
        [["array", "array"]],
        "Many calls at once, each a struct of methodName and params. XML-RPC only: JSON-RPC has"
        " batches.",
    ),
}

_FEATURES: dict[str, tuple[str, int]] = {
    "xmlrpc": ("http://xmlrpc.com/spec.md", 1),
    "json-rpc": ("https://www.jsonrpc.org/specification", 2),
    "introspection": ("http://xmlrpc-c.sourceforge.net/introspection.html", 1),
    "system.multicall": ("http://www.xmlrpc.com/discuss/msgReader$1208", 1),
    "faults_interop": ("http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php", 20010516),
    "nil": ("http://www.ontosys.com/xml-rpc/extensions.php", 20010518),
}

_TYPES: dict[Any, str] = {
    bool: "boolean",
    bytes: "base64",
    datetime: "dateTime.iso8601",
    dict: "struct",
    float: "double",
    int: "int",
    list: "array",
    str: "string",
    tuple: "array",
    type(None): "nil",
}


class Methods(Protocol):
    """What can be called: the handlers of all apps of a server."""

    def find(self, name: str) -> Found | None:
        """The handler of a dotted name."""

    def names(self) -> list[str]:
        """The names that have no parameters in them, sorted."""


def answer(methods: Methods, own: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The value of a method in OWN, but for `system.multicall`. Raises RpcFault."""
    wanted = len(OWN[own][0][0]) - 1
    if kwargs or len(args) != wanted or not all(isinstance(each, str) for each in args):
        takes = "the name of a method" if wanted else "no arguments"
        raise RpcFault(INVALID_PARAMS, f"{own} takes {takes}")
    match own:
        case "system.listMethods":
            return sorted({*methods.names(), *OWN})
        case "system.getCapabilities":
            return {
                feature: {"specUrl": url, "specVersion": version}
                for feature, (url, version) in _FEATURES.items()
            }
    (method,) = args
    if method in OWN:
        known, text = OWN[method]
        return known if own == "system.methodSignature" else text
    found = methods.find(method)
    if found is None:
        raise RpcFault(METHOD_NOT_FOUND, f"there is no method {method}")
    if own == "system.methodSignature":
        route = found.route
        return signatures(route.handler, route.signature, found.params) or UNDEFINED
    return xmlrpc.carried(inspect.getdoc(found.route.handler) or "")


def signatures(handler: Handler, accepts: Signature, given: dict[str, Any]) -> list[list[str]]:
    """The ways to call a handler by position, one more for each default; [] if not known.

    given: the arguments that the method's name brings. Known are handlers whose arguments and
    result are all annotated, with types that XML-RPC has.
    """
    names = [name for name in accepts.positional if name not in given]
    needed = [name for name in accepts.required if name not in given]
    if accepts.takes_many or not set(needed) <= set(names):
        return []
    try:
        hints = typing.get_type_hints(handler)
        types = [_type_of(hints[name]) for name in ("return", *names)]
    except Exception:  # whatever comes of evaluating an app's annotations, they are not known
        return []
    return [types[: count + 1] for count in range(len(needed), len(names) + 1)]


def _type_of(hint: Any) -> str:
    """Raises KeyError for what has no type in XML-RPC."""
    return _TYPES[typing.get_origin(hint) or hint]
