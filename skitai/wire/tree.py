"""XML documents as dicts and lists, as xmltodict has them. Pure.

<order id="5"><item>tea</item><item>milk</item></order>
{"order": {"@id": "5", "item": ["tea", "milk"]}}
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from xml.parsers import expat

import xmltodict

from skitai.errors import BadWireData


def load(document: bytes, encoding: str | None = None) -> dict[str, Any]:
    """The document's one element; what is in it is text, None where there is nothing.

    encoding: as its sender says; None: as its declaration says, else UTF-8.
    Raises BadWireData for what is not well-formed, with its line, or has a document type.
    """
    try:
        tree: dict[str, Any] = xmltodict.parse(document, encoding, _EXPAT)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: its encoding
        raise BadWireData(f"not well-formed: {error}") from None
    return tree


def dump(tree: dict[str, Any]) -> str:
    """A document. Raises ValueError or RecursionError for what has no form in XML."""
    document: str = xmltodict.unparse(tree)
    try:  # xmltodict lets pass names and characters that XML has not
        expat.ParserCreate().Parse(document, True)
    except expat.ExpatError as error:
        raise ValueError(f"a name or a character that XML has not: {error}") from None
    return document.replace("\r", "&#13;")  # a parser would read it as LF (XML 1.0 section 2.11)


def _refuse_doctype(*_: object) -> None:
    raise BadWireData("a document type declaration is refused, since it may hold entities")


def _parser(*arguments: Any) -> Any:
    parser = expat.ParserCreate(*arguments)
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


# xmltodict takes something else in place of expat, which is the way to a handler of our own.
_EXPAT = SimpleNamespace(ParserCreate=_parser)
