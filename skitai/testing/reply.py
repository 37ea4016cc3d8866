"""What a client is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.client import HTTPMessage
from typing import Any

from skitai.pages import phrase
from skitai.stream import Stream

from . import pieces
from .site import Answer
from .worker import Worker

Turn = Callable[[], AbstractContextManager[None]]

_BODILESS = (204, 304)  # RFC 9110 section 6.4.1


class Reply:
    """The response to one request.

    status, reason: as in 200, "OK".
    headers: the header fields, case ignored: `reply.headers["Location"]`, `.get_all("Set-Cookie")`.
    url: path and query of the request, the last one if redirects were followed.
    """

    def __init__(self, url: str, method: str, answer: Answer, worker: Worker, turn: Turn) -> None:
        """turn: what the app does for this reply is done in."""
        self.url = url
        self.status = answer.status
        self.reason = answer.reason or phrase(answer.status)
        self.headers = HTTPMessage()
        for name, value in answer.fields:
            self.headers[name] = value
        body = answer.body
        self._pieces: pieces.Pieces | pieces.AsyncPieces | None = None
        self._taken: list[bytes] = []
        self._turn = turn
        if isinstance(body, Stream):
            length = body.length
            self._pieces = pieces.of(body, worker)
        else:
            length = len(body)
            self._taken = [body] if body else []
        may_have_body = self.status not in _BODILESS
        if length is not None and may_have_body:
            self.headers["Content-Length"] = str(length)
        if method == "HEAD" or not may_have_body:
            self.close()
            self._taken = []

    @property
    def data(self) -> bytes:
        """The body."""
        self.take()
        return b"".join(self._taken)

    def take(self) -> None:
        """All of it, of a stream too. Raises what the app raises."""
        for _ in self.iter():
            pass

    @property
    def text(self) -> str:
        """The body as text, in the charset that its content type names, UTF-8 by default.

        Raises UnicodeDecodeError or LookupError if it is not in that.
        """
        return self.data.decode(self.headers.get_content_charset("utf-8"))

    def json(self) -> Any:
        """The value of a JSON body. Raises json.JSONDecodeError."""
        return json.loads(self.data)

    def get_header(self, name: str, default: str | None = None) -> str | None:
        """The first header field of this name, case ignored."""
        return self.headers.get(name, default)

    def iter(self) -> Iterator[bytes]:
        """The pieces of a stream as the app has made them; those of `stream=True` one by one."""
        yield from self._taken
        while self._pieces is not None and (piece := self._next(self._pieces)):
            self._taken.append(piece)
            yield piece

    def _next(self, pieces: Iterator[bytes]) -> bytes:
        with self._turn():
            return next(pieces, b"")

    def close(self) -> None:
        """Leave: a stream that is not at its end is aborted. `with` does it too."""
        if self._pieces is not None:
            with self._turn():
                self._pieces.close()

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        kind = self.headers.get("Content-Type", "no content type")
        return f"<Reply {self.status} {self.reason} to {self.url}, {kind}>"
