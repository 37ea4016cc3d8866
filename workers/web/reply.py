"""A response as bytes. Pure, but for the clock of the Date line.

What does not change is made once: status lines at import, Server and Date once a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

from skitai.pages import phrase

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
}
CONTINUE = _STATUS_LINES[100] + b"\r\n"

BODILESS = frozenset({204, 304})  # RFC 9110 section 6.4.1; 1xx never comes here


class _Stamp:
    """The Server and Date lines. Threads may race here: both write the same bytes."""

    __slots__ = ("date", "lines", "second")

    def __init__(self) -> None:
        self.second = 0
        self.lines = self.date = b""

    def get(self) -> bytes:
        now = int(time.time())
        if now != self.second:
            date = formatdate(now, usegmt=True)
            self.date = f"Date: {date}\r\n".encode("ascii")
            self.lines = b"Server: Skitai\r\n" + self.date
            self.second = now
        return self.lines


_stamp = _Stamp()


def date_line() -> bytes:
    """The Date line alone, for a response of somebody else's."""
    _stamp.get()
    return _stamp.date


def ok(content_type: bytes, body: bytes) -> bytes:
    """A 200 with a body for an HTTP/1.1 client that stays: the common case, in one piece."""
    return b"HTTP/1.1 200 OK\r\n%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        _stamp.get(),
        content_type,
        len(body),
        body,
    )


def prepared(lines: bytes, body: bytes) -> bytes:
    """The same, of fields that are bytes already; Content-Length is one of them."""
    return b"HTTP/1.1 200 OK\r\n%b%b\r\n%b" % (_stamp.get(), lines, body)


def head(
    status: int,
    fields: Iterable[tuple[str, str]],
    length: int | None,
    *,
    keep_alive: bool,
    version: str = "1.1",
    reason: str = "",
) -> bytes:
    """Status line and header fields.

    length: of the body; left out for statuses that have no body, None if it is not known.
    fields: names and values without line breaks; they are not checked again here.
    """
    lines = [f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in fields]
    return head_of(
        status, b"".join(lines), length, keep_alive=keep_alive, version=version, reason=reason
    )


def head_of(
    status: int,
    lines: bytes,
    length: int | None,
    *,
    keep_alive: bool,
    version: str = "1.1",
    reason: str = "",
) -> bytes:
    """The same, of fields that are bytes already, each with its line end."""
    parts = [_status_line(status, reason), _stamp.get(), lines]
    if length is not None and status not in BODILESS:
        parts.append(b"Content-Length: %d\r\n" % length)
    if not keep_alive:
        parts.append(b"Connection: close\r\n")
    elif version == "1.0":
        parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def whole(
    status: int,
    fields: Iterable[tuple[str, str]],
    body: bytes,
    *,
    keep_alive: bool,
    version: str = "1.1",
    is_head: bool = False,
    reason: str = "",
) -> bytes:
    """A response with its body; a HEAD gets the header alone (RFC 9110 section 9.3.2)."""
    start = head(status, fields, len(body), keep_alive=keep_alive, version=version, reason=reason)
    return start if is_head or status in BODILESS else start + body


def _status_line(status: int, reason: str) -> bytes:
    line = _STATUS_LINES.get(status)
    if line is None or reason:
        return f"HTTP/1.1 {status} {reason or phrase(status)}\r\n".encode("latin-1", "replace")
    return line
