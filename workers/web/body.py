"""Where the body of a request goes while it arrives.

A connection that has read a header with a body chooses a sink for it (`bodies`), and feeds the
body to the sink as it comes. Here are the two sides of that, and the sink of ordinary bodies.
All of it on the loop.
"""

from __future__ import annotations

from typing import Protocol

from skitai.request import Request

from .framing import Framing, Refusal


class BodyOwner(Protocol):
    """The connection, as a sink sees it."""

    def hold_body(self) -> None:
        """More than enough waits: read no more of it for now. May be called by `feed`."""

    def release_body(self) -> None:
        """Read on."""

    def body_stored(self, sink: BodySink) -> None:
        """The request that `sink` was given by `finish` is complete."""

    def body_refused(self, sink: BodySink, refusal: Refusal) -> None:
        """The body is not what it should be, and nothing is left of it."""


class BodySink(Protocol):
    """Takes one body."""

    @property
    def streamed(self) -> StreamedSink | None:
        """Itself, if the request need not wait for the body; then it is `Request.incoming`."""

    def feed(self, piece: bytes) -> None:
        """A piece of it. Raises Refusal; then the sink is abandoned."""

    def finish(self, request: Request) -> bool:
        """It has come to its end, and belongs to `request`.

        Whether the request is complete; if not, its owner is told when it is, or that it is
        refused. Raises Refusal; then the sink is abandoned.
        """

    def abandon(self) -> None:
        """Nobody wants it: leave nothing behind, tell the owner nothing. May be done twice."""


class StreamedSink(BodySink, Protocol):
    """Takes a body that is passed on while it arrives. is_whole: all of it has come."""

    is_whole: bool

    def trailer(self, name: bytes, value: bytes) -> None:
        """A field behind its chunks."""

    def flush(self) -> None:
        """All that one read has brought is here."""

    def leave(self) -> None:
        """Nobody wants it any more."""

    def end(self) -> None:
        """It has come to its end: `finish`, for a request that has been handed over before."""


class ChooseSink(Protocol):
    """How a connection comes to a sink."""

    def __call__(
        self,
        method: str,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        framing: Framing,
        owner: BodyOwner,
    ) -> BodySink:
        """A sink for the body of a request with this header. Raises Refusal."""


class MemoryBody:
    """An ordinary body: it is in memory as a whole, in `Request.body`."""

    streamed = None

    __slots__ = ("_limit", "_pieces", "_size")

    def __init__(self, limit: int) -> None:
        """limit: in bytes, beyond it 413."""
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit)
        self._pieces.append(piece)

    def finish(self, request: Request) -> bool:
        request.body = b"".join(self._pieces)
        return True

    def abandon(self) -> None:
        self._pieces.clear()


def too_large(limit: int) -> Refusal:
    """Of an ordinary body."""
    return Refusal(413, f"The body is larger than {limit} bytes (max_body_size).")
