"""What is sent of a file (RFC 9110 sections 3.2, 14, 15): fields and parts, not yet bytes. Pure."""

from __future__ import annotations

import os
from email.utils import formatdate

import msgspec

from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML

from . import conditions, ranges
from .ranges import Span


class Representation(msgspec.Struct, frozen=True):
    """A file as it is, or in a content coding: its fields, known before its bytes are."""

    etag: bytes
    modified: int  # seconds since the epoch
    content_type: bytes
    lines: bytes  # the fields of a 200, but for Content-Length
    kept: bytes  # those of them that a 304 repeats (section 15.4.5)


class Plan(msgspec.Struct, frozen=True):
    """A response."""

    status: int
    lines: bytes  # its fields, but for Content-Length
    pieces: list[bytes | Span]  # of the body; spans are of the representation

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return sum(p.length if isinstance(p, Span) else len(p) for p in self.pieces)


def describe(
    status: os.stat_result,
    content_type: str,
    coding: str,
    *,
    varies: bool,
    max_age: int,
    now: float,
) -> Representation:
    """Of a file, or of its form in a content coding ("" for none).

    status: of the file whose bytes are sent, or are encoded when they are sent. varies: whether
    another client would get another coding. max_age: seconds. now: seconds since the epoch; no
    file is from the future (section 8.8.2.1).
    """
    modified = int(min(status.st_mtime, now))
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}{coding and "-" + coding}"'
    kept = f"ETag: {etag}\r\nCache-Control: max-age={max_age}\r\n"
    if varies:
        kept += "Vary: Accept-Encoding\r\n"
    lines = (
        f"Content-Type: {content_type}\r\n"
        f"Last-Modified: {formatdate(modified, usegmt=True)}\r\n{kept}"
        "X-Content-Type-Options: nosniff\r\n"
    )
    # A part is never one of an encoded form: `Files` opens the plain one for it.
    lines += f"Content-Encoding: {coding}\r\n" if coding else "Accept-Ranges: bytes\r\n"
    return Representation(
        etag.encode("ascii"),
        modified,
        content_type.encode("ascii"),
        lines.encode("ascii"),
        kept.encode("ascii"),
    )


def is_plain_get(request: Request) -> bool:
    """Whether it is answered with the whole, whatever the file's validators are."""
    field = request.field
    return (
        request.method == "GET"
        and field(b"range") is None
        and field(b"if-none-match") is None
        and field(b"if-modified-since") is None
        and field(b"if-match") is None
        and field(b"if-unmodified-since") is None
    )


def unmet(request: Request, found: Representation) -> Plan | None:
    """The answer to a client whose conditions do not let it have the file; None if they do."""
    status = conditions.status(request, found.etag, found.modified)
    if status == 304:
        return Plan(304, found.kept, [])
    if status == 412:
        return _page(412, "The file is not the one that the request is for.")
    return None


def plan(request: Request, found: Representation, size: int, boundary: bytes) -> Plan:
    """The whole of `size` bytes, or the parts that are asked for. Conditions are met.

    boundary: between parts, something that is not in the file.
    """
    spans: list[Span] | None = None
    if conditions.wants_parts(request, found.etag, found.modified):
        spans = ranges.wanted(request.field(b"range") or b"", size)
    if spans is None:
        return Plan(200, found.lines, [Span(0, size)])
    if not spans:
        page = _page(416, f"The file has {size} bytes.")
        return Plan(416, page.lines + b"Content-Range: bytes */%d\r\n" % size, page.pieces)
    if len(spans) == 1:
        line = b"Content-Range: %b\r\n" % ranges.content_range(spans[0], size)
        return Plan(206, found.lines + line, [spans[0]])
    return Plan(
        206,
        found.lines.replace(
            b"Content-Type: " + found.content_type,
            b"Content-Type: multipart/byteranges; boundary=" + boundary,
            1,
        ),
        ranges.multipart(spans, size, found.content_type, boundary),
    )


def _page(status: int, sentence: str) -> Plan:
    return Plan(status, f"Content-Type: {HTML}\r\n".encode("ascii"), [error_page(status, sentence)])
