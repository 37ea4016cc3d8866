"""Whether a client's conditions let it have a file (RFC 9110 section 13). Pure.

For GET and HEAD of something that exists, with a strong entity tag.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from skitai.request import Request

_TAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def status(request: Request, etag: bytes, modified: float) -> int:
    """200, 304 for a client that has it already, or 412, in the order of section 13.2.2.

    modified: seconds since the epoch.
    """
    match = request.field(b"if-match")
    if match is not None:
        if not _names(match, etag, weak=False):
            return 412
    elif _date_is_before(request.field(b"if-unmodified-since"), modified):
        return 412
    none_match = request.field(b"if-none-match")
    if none_match is not None:
        return 304 if _names(none_match, etag, weak=True) else 200
    since = _date(request.field(b"if-modified-since"))
    return 304 if since is not None and modified <= since else 200


def wants_parts(request: Request, etag: bytes, modified: int) -> bool:
    """Whether a Range field counts: of a GET (section 14.2), and not with an older If-Range."""
    if request.method != "GET" or request.field(b"range") is None:
        return False
    if_range = request.field(b"if-range")
    if if_range is None:
        return True
    if b'"' in if_range:
        return if_range == etag  # weak tags never match here (section 13.1.5)
    return _date(if_range) == modified


def _names(value: bytes, etag: bytes, *, weak: bool) -> bool:
    """Whether a list of entity tags has this one (section 8.8.3.2), or is "*"."""
    if value in (etag, b"*"):
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in _TAG.findall(value))


def _date_is_before(value: bytes | None, modified: float) -> bool:
    date = _date(value)
    return date is not None and date < modified


def _date(value: bytes | None) -> float | None:
    """Seconds since the epoch; None for what is no date, which is ignored."""
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value.decode("latin-1"))
        if date.tzinfo is None:  # the form of asctime() names no zone; all dates are GMT
            date = date.replace(tzinfo=UTC)
        return date.timestamp()
    except (ValueError, OverflowError):
        return None
