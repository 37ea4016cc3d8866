"""Which parts of a file a Range field asks for (RFC 9110 section 14). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

PARTS_MAX = 16  # more in one request are ignored; viewers of PDF and video ask for one or a few

_UNIT = re.compile(rb"[ \t]*bytes[ \t]*=", re.IGNORECASE)
_SPEC = re.compile(rb"(\d*)-(\d*)")
_BEYOND = 10**18  # larger than any file


class Span(NamedTuple):
    """Bytes from `start` up to but without `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def wanted(value: bytes, size: int) -> list[Span] | None:
    """The parts of `size` bytes that a Range field asks for, in its order, none of them empty.

    [] when none of them is there: that is a 416. None when the field is to be ignored and the
    whole sent: another unit, a mistake in it, an empty file, too many parts, or parts that are
    more than the whole together, which only overlapping ones can be (section 14.2).
    """
    unit = _UNIT.match(value)
    if unit is None or not size:
        return None
    spans: list[Span] = []
    count = 0
    for spec in value[unit.end() :].split(b","):
        spec = spec.strip(b" \t")
        if not spec:
            continue  # a list may have empty elements (section 5.6.1.2)
        count += 1
        span = _span(spec, size)
        if span is None or count > PARTS_MAX:
            return None
        if span.length > 0:
            spans.append(span)
    if not count or sum(span.length for span in spans) > size:
        return None
    return spans


def content_range(span: Span, size: int) -> bytes:
    """The value of a Content-Range field (section 14.4)."""
    return b"bytes %d-%d/%d" % (span.start, span.stop - 1, size)


def multipart(
    spans: list[Span], size: int, content_type: bytes, boundary: bytes
) -> list[bytes | Span]:
    """The body of a multipart/byteranges (section 14.6): what stands between parts, and parts."""
    pieces: list[bytes | Span] = []
    for span in spans:
        pieces.append(
            b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
            % (boundary, content_type, content_range(span, size))
        )
        pieces.append(span)
    pieces.append(b"\r\n--%b--\r\n" % boundary)
    return pieces


def _span(spec: bytes, size: int) -> Span | None:
    """None for a mistake; empty for a part that is not there."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        return None
    first, last = match.groups()
    if first:
        start = _number(first)
        end = _number(last) if last else _BEYOND
        return None if end < start else Span(min(start, size), min(end + 1, size))
    return Span(size - min(_number(last), size), size) if last else None


def _number(digits: bytes) -> int:
    """As many digits as a client likes to send."""
    digits = digits.lstrip(b"0") or b"0"
    return int(digits) if len(digits) < 19 else _BEYOND
