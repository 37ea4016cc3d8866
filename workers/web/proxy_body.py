"""The body of a request that is passed on while it arrives.

Runs on the loop, between the client's connection, which feeds it, and a `Taker`, which sends it to
a member. Its law:

- What nobody has taken yet is at most `HIGH` bytes and what one read brings: then the client is
  read no more until they are taken.
- What was taken first is remembered, up to `REMEMBERED` bytes: such a body can be sent once more.
- A body that nobody wants any more is thrown away as it comes. Whoever decides that must see to it
  that its connection ends.
"""

from __future__ import annotations

from typing import Protocol

from skitai.request import Request

from .body import BodyOwner
from .framing import Framing, Refusal
from .proxy_fields import trailer_lines

HIGH = 128 * 1024
REMEMBERED = 64 * 1024
TRAILERS_MAX = 100


class Taker(Protocol):
    """Whoever passes it on."""

    def body_came(self) -> None:
        """There is more to take, or its end."""

    def body_broke(self) -> None:
        """The rest will not come. Nothing more is heard of this body."""


class PassedBody:
    """One body. `body.StreamedSink` for the client's connection.

    length: as announced, None for chunks. wants_continue: its client waits for a 100.
    is_whole: all of it has come. is_taken: all of it was taken. trailers: behind its chunks.
    """

    __slots__ = (
        "_is_chunked",
        "_is_held",
        "_is_unwanted",
        "_limit",
        "_owner",
        "_pieces",
        "_size",
        "_taken",
        "_taker",
        "_waiting",
        "is_taken",
        "is_whole",
        "length",
        "trailers",
        "wants_continue",
    )

    def __init__(self, framing: Framing, owner: BodyOwner, limit: int) -> None:
        """limit: in bytes; beyond it 413. Raises Refusal."""
        if framing.length > limit:
            raise _too_large(limit)
        self.length = None if framing.is_chunked else framing.length
        self.wants_continue = framing.wants_continue
        self.is_whole = self.is_taken = False
        self.trailers: list[tuple[bytes, bytes]] = []
        self._owner = owner
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []  # that wait
        self._waiting = 0  # bytes of them
        self._taken: list[bytes] | None = []  # what was taken so far; None if that is too much
        self._taker: Taker | None = None
        self._is_held = False
        self._is_unwanted = False
        self._is_chunked = False  # on its way to the member

    # --- body.StreamedSink ---

    def feed(self, piece: bytes) -> None:
        if self._is_unwanted:
            return
        self._size += len(piece)
        if self._size > self._limit:
            raise _too_large(self._limit)
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= HIGH and not self._is_held:
            self._is_held = True
            self._owner.hold_body()

    @property
    def streamed(self) -> PassedBody | None:
        """Not a small one: a member need not wait for a slow client, and can be asked again."""
        is_small = self.length is not None and self.length <= REMEMBERED
        return None if is_small and not self.wants_continue else self

    def finish(self, request: Request) -> bool:
        request.incoming = self
        self.is_whole = True
        return True

    def end(self) -> None:
        self.is_whole = True
        self.flush()

    def abandon(self) -> None:
        taker, self._taker = self._taker, None
        self._is_unwanted = True
        self._pieces.clear()
        if taker is not None:
            taker.body_broke()

    def trailer(self, name: bytes, value: bytes) -> None:
        if len(self.trailers) >= TRAILERS_MAX:
            raise Refusal(431, f"More than {TRAILERS_MAX} trailer fields.")
        self.trailers.append((name, value))

    def flush(self) -> None:
        if self._taker is not None and (self._pieces or self.is_whole):
            self._taker.body_came()

    # --- the taker's side ---

    def give_to(self, taker: Taker) -> None:
        """From now on there is somebody who takes it, or will, and who hears if it breaks off."""
        self._taker = taker

    def framing(self) -> bytes:
        """The header lines that tell a member where it ends (RFC 9112 section 6)."""
        length = self.length
        if length is None and self.is_whole and not self.trailers:
            length = self._size
        expect = b"Expect: 100-continue\r\n" if self.wants_continue and not self.is_whole else b""
        if length is not None:
            return b"Content-Length: %d\r\n%b" % (length, expect)
        self._is_chunked = True
        return b"Transfer-Encoding: chunked\r\n%b" % expect

    def take(self) -> bytes:
        """What waits, as `framing` has it; b"" for nothing."""
        data = self._take()
        is_last = self.is_whole and not self.is_taken
        self.is_taken = self.is_whole
        if self._is_chunked:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if is_last:
                data = b"%b0\r\n%b\r\n" % (data, trailer_lines(self.trailers))
        return data

    def _take(self) -> bytes:
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        if self._taken is not None:
            self._taken.append(data)
            if self._size > REMEMBERED:
                self._taken = None
        self._waiting = 0
        self._go_on()
        return data

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be sent from its beginning."""
        return self._taken is not None

    def rewind(self) -> None:
        """It is to be sent from its beginning."""
        assert self._taken is not None
        self._pieces = [*self._taken, *self._pieces]
        self._taken = []
        self.is_taken = False
        self._waiting = sum(map(len, self._pieces))

    def leave(self) -> None:
        """Nobody wants it any more."""
        self._taker = None
        self._is_unwanted = True
        self._pieces.clear()
        self._waiting = 0
        self._go_on()

    def _go_on(self) -> None:
        if self._is_held:
            self._is_held = False
            self._owner.release_body()


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The body is larger than {limit} bytes (max_request_size).")
