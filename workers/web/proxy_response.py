"""A member's response as the client gets it. Pure, but for the Date of a member without a clock.

Status, fields and body as they came; the framing is the client's own (RFC 9112 section 6): the
length if the member said one or all is here, else chunks, else, for HTTP/1.0, the connection's end.
"""

from __future__ import annotations

from typing import NamedTuple

from skitai.request import Request
from skitaid.workers.clients.streamed_connection import BODILESS, Answer, Fields

from . import reply
from .proxy_fields import location, of_response, status_line, trailer_lines

_LAST_CHUNK = b"0\r\n\r\n"


class Head:
    """data: header, and the body as far as it is here. is_chunked: neither length nor nothing."""

    __slots__ = ("_takes_trailers", "data", "is_chunked", "is_open", "keep_alive")

    def __init__(self, is_chunked: bool, is_open: bool, keep_alive: bool, trailers: bool) -> None:
        """is_open: only the connection's end will tell the body's."""
        self.data = b""
        self.is_chunked = is_chunked
        self.is_open = is_open
        self.keep_alive = keep_alive
        self._takes_trailers = trailers

    def framed(self, pieces: list[bytes], trailers: Fields | None) -> bytes:
        """More of the body. trailers: None while it is not whole."""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not self.is_chunked:
            return data
        if data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if trailers is None:
            return data
        if trailers and self._takes_trailers:
            return b"%b0\r\n%b\r\n" % (data, trailer_lines(trailers))
        return data + _LAST_CHUNK


def head(
    answer: Answer,
    pieces: list[bytes],
    is_whole: bool,
    request: Request,
    *,
    keep_alive: bool,
    takes_trailers: bool,
    host: bytes,
    prefix: str,
    cookie: bytes,
) -> Head:
    """The beginning of a response, with what is here of its body.

    host: what the member was called. prefix: what was taken off the path. cookie: a line to add.
    """
    lines, apart = of_response(answer.fields)
    parts = [status_line(answer.code, answer.reason), *lines]
    length = apart.get(b"content-length")
    is_new = request.version == "1.1"
    is_chunked = is_open = False
    has_body = request.method != "HEAD" and answer.code not in BODILESS
    if length is not None:
        if answer.code != 204:
            parts.append(b"Content-Length: %b\r\n" % length[0])
    elif not has_body:
        pass
    elif is_whole and not answer.trailers:
        parts.append(b"Content-Length: %d\r\n" % sum(map(len, pieces)))
    elif is_new:
        is_chunked = True
        parts.append(b"Transfer-Encoding: chunked\r\n")
        if b"trailer" in apart and takes_trailers:
            parts += [b"Trailer: %b\r\n" % each for each in apart[b"trailer"]]
    else:
        is_open = True
        keep_alive = False
    date = apart.get(b"date")
    parts.append(b"Date: %b\r\n" % date[0] if date is not None else reply.date_line())
    if b"location" in apart:
        named = location(apart[b"location"][0], host, prefix.encode())
        parts.append(b"Location: %b\r\n" % named)
    if cookie:
        parts.append(cookie)
    if not keep_alive:
        parts.append(b"Connection: close\r\n")
    elif not is_new:
        parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    start = Head(is_chunked, is_open, keep_alive, takes_trailers)
    if not is_chunked:
        parts += pieces
        start.data = b"".join(parts)
    else:
        start.data = b"".join(parts) + start.framed(pieces, answer.trailers if is_whole else None)
    return start


class Known(NamedTuple):
    """A header that is sent again as it is if the member sends it again."""

    answer: Answer
    method: str
    version: str
    keep_alive: bool
    data: bytes

    def is_of(self, answer: Answer, request: Request, keep_alive: bool) -> bool:
        """Whether it is the header of this answer."""
        before = self.answer
        return (
            before.fields == answer.fields
            and before.code == answer.code
            and before.reason == answer.reason
            and self.keep_alive is keep_alive
            and self.version == request.version
            and self.method == request.method
        )


def known(head: Head, answer: Answer, pieces: list[bytes], request: Request) -> Known | None:
    """The same, if there is nothing in it that this answer does not say itself."""
    names = {name.lower() for name, _ in answer.fields}
    if b"content-length" not in names or b"date" not in names or b"location" in names:
        return None
    size = sum(map(len, pieces))
    data = head.data[: len(head.data) - size]
    return Known(answer, request.method, request.version, head.keep_alive, data)


def again(known: Known, pieces: list[bytes]) -> Head:
    """With another body."""
    head = Head(False, False, known.keep_alive, False)
    head.data = known.data + pieces[0] if len(pieces) == 1 else b"".join((known.data, *pieces))
    return head


def switching(answer: Answer, protocol: bytes) -> bytes:
    """101, for a client that has asked for `protocol` (RFC 9110 section 15.2.2)."""
    lines, apart = of_response(answer.fields)
    upgrade = apart.get(b"upgrade", [protocol])[0]
    start = status_line(answer.code, answer.reason)
    fields = b"Upgrade: %b\r\nConnection: upgrade\r\n" % upgrade
    return b"".join([start, *lines, fields, b"\r\n"])
