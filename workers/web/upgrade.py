"""The body of a request that asks for another protocol, which it does not get.

The parser takes all that follows such a header for the other protocol's, also a body. Java's
HttpClient asks for h2c with its first request, whatever that is, and who passed on what follows
as the next request would let one request hide in the body of another. So another parser is told
the header again, without the wish, and reads on from there.
"""

from __future__ import annotations

from typing import Any

import httptools

_FRAMING = (b"content-length", b"transfer-encoding")


class Rest:
    """Passes on what a parser finds, once it has been told the header."""

    __slots__ = ("_is_told", "_protocol")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._is_told = False

    def told(self) -> None:
        """The header is over; what follows is from the client."""
        self._is_told = True

    def on_message_begin(self) -> None:
        if self._is_told:
            self._protocol.on_message_begin()

    def on_url(self, piece: bytes) -> None:
        if self._is_told:
            self._protocol.on_url(piece)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_told:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_told:
            self._protocol.on_headers_complete()

    def on_body(self, piece: bytes) -> None:
        self._protocol.on_body(piece)

    def on_message_complete(self) -> None:
        self._protocol.on_message_complete()


def parser_of_body(
    before: httptools.HttpRequestParser, fields: list[tuple[bytes, bytes]], protocol: Any
) -> httptools.HttpRequestParser:
    """A parser that expects the body of the request whose header `before` has read."""
    framing = b"".join(
        b"%b: %b\r\n" % (name, value) for name, value in fields if name.lower() in _FRAMING
    )
    connection = b"keep-alive" if before.should_keep_alive() else b"close"
    rest = Rest(protocol)
    parser = httptools.HttpRequestParser(rest)
    parser.feed_data(
        b"%b / HTTP/%b\r\n%bConnection: %b\r\n\r\n"
        % (before.get_method(), before.get_http_version().encode(), framing, connection)
    )
    rest.told()
    return parser
