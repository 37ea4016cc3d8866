"""What the header of a request says about its message: where it ends, and what is refused.

Pure. Whatever is ambiguous is refused, since another reader of the same bytes might see another
request in them (RFC 9112 section 11.2). The parser itself refuses obs-fold, bare CR or LF, blanks
before a colon, two lengths, and a length beside chunks.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# RFC 9110 section 7.2 and RFC 3986 section 3.2: a name, an address, or an IPv6 address in brackets.
_HOST = re.compile(rb"(?:[A-Za-z0-9.\-_~%!$&'()*+,;=]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


class Refusal(Exception):
    """The client's bytes cannot be answered as a request; the connection ends with this."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class Framing(NamedTuple):
    """length: of the body, as announced; 0 if it is chunked or there is none.

    sent_id: what the client calls this request, as it came.
    """

    length: int
    is_chunked: bool
    wants_continue: bool
    sent_id: bytes


def read(fields: list[tuple[bytes, bytes]], version: str) -> Framing:
    """What a complete header says. version: "1.1" or "1.0". Raises Refusal."""
    hosts = length = 0
    is_chunked = wants_continue = False
    sent_id = b""
    for name, value in fields:
        lower = name.lower()
        if lower == b"host":
            hosts += 1
            if not _HOST.fullmatch(value.strip()):
                raise Refusal(400, "The Host field is no name and no address.")
        elif lower == b"content-length":
            length = int(value)
        elif lower == b"expect":
            wants_continue = value.strip().lower() == b"100-continue" and version == "1.1"
        elif lower == b"x-request-id":
            sent_id = value.rstrip(b" \t")
        elif lower == b"transfer-encoding":
            _check_coding(value, version)
            is_chunked = True
    if version not in ("1.1", "1.0"):
        raise Refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise Refusal(400, f"The request has {hosts} Host fields instead of one.")
    return Framing(length, is_chunked, wants_continue, sent_id)


def is_host(value: bytes) -> bool:
    """Whether it is a name or an address, with a port or without: nothing that needs quotes."""
    return _HOST.fullmatch(value) is not None


def _check_coding(value: bytes, version: str) -> None:
    """Raises Refusal for all but chunked (RFC 9112 section 6.1)."""
    if version != "1.1":
        raise Refusal(400, "Transfer-Encoding is not known in HTTP/1.0.")
    codings = [each.strip().lower() for each in value.split(b",")]
    if codings[-1] != b"chunked":
        raise Refusal(400, "The end of the body cannot be found: it is not chunked.")
    if len(codings) > 1:
        raise Refusal(501, "The only transfer coding known here is chunked.")
