"""Header fields: those we send cannot break the header they stand in. Pure."""

from __future__ import annotations

import re

# RFC 9110 sections 5.1 and 5.5: a name is a token; a value has no CR, LF, NUL or other control.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# What tells where a message ends is sent by the server, once, and as it really is.
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
# Of a request: whom it goes to and how long it is follow from the rest, and what is between two
# neighbours only (RFC 9110 section 7.6.1) is for whoever has the connection.
_OF_CONNECTION = _FRAMING | {"host", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"}


def checked(name: str, value: str) -> tuple[str, str]:
    """The field, if it may be sent. Raises ValueError with what is wrong."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"response header name {name!r} is not a token (RFC 9110 section 5.1)")
    if name.lower() in _FRAMING:
        raise ValueError(f"response header {name} is the server's own; it follows from the body")
    return name, checked_text(f"response header {name}", value)


def checked_to_send(name: str, value: str) -> tuple[str, str]:
    """The same for a field of a request to another server."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"request header name {name!r} is not a token (RFC 9110 section 5.1)")
    if name.lower() in _OF_CONNECTION:
        raise ValueError(f"request header {name} belongs to the connection, which is not the app's")
    checked_text(f"request header {name}", value)
    if not value.isascii():  # what is beyond it has no meaning that both sides know
        raise ValueError(f"request header {name} holds characters beyond ASCII: encode them")
    return name, value


def checked_text(what: str, text: str) -> str:
    """The text, if it may stand in a header. Raises ValueError naming `what`."""
    if not _VALUE.fullmatch(text):
        raise ValueError(f"{what} holds a line break or a control character: {text!r}")
    return text


def charset(parameters: str) -> str:
    """The charset among the parameters of a media type (`; charset=utf-8`), "" if there is none."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"')
    return ""
