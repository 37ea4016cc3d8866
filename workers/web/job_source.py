"""The pieces of a plain stream, made by a job on a handler thread, a batch at a time.

Its law:

- Between two jobs it holds no thread. There is one job at most, and only while the loop asks for
  a piece and none is there.
- A piece can be sent as soon as it is made, while the job waits for the next.
- The stream is let go by a job too: by the one that took the last piece, by the one that raised or
  found it unwanted, or by one of its own. So never while a piece is being made.

Job and loop share what is said to be shared below. The job writes `_is_making` last and the loop
reads it first, so what the loop then finds is all there is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

from skitai.request import Request
from skitai.stream import Stream
from skitaid.workers.handoff import Handoff
from skitaid.workers.threads import HandlerThreads

from .source import TURN, broke, complain

BATCH = 64 * 1024  # bytes that one job makes, and what its last piece is longer


class JobSource:
    """A `Source`, the `Job` that fills it, and the `LoopTask` that tells of it."""

    __slots__ = (
        "_handoff",
        "_has_failed",
        "_is_at_end",
        "_is_making",
        "_is_told",
        "_made",
        "_news",
        "_stream",
        "_threads",
        "handler_name",
        "is_complete",
        "request",
    )

    def __init__(
        self,
        stream: Stream,
        request: Request,
        handler_name: str,
        threads: HandlerThreads,
        handoff: Handoff,
    ) -> None:
        self.request = request
        self.handler_name = handler_name
        self._stream = stream
        self._threads = threads
        self._handoff = handoff
        self.is_complete = False
        self._news: asyncio.Future[None] | None = None
        # Shared:
        self._made: deque[bytes] = deque()
        self._is_making = False  # there is a job
        self._is_told = False  # its news are on their way
        self._is_at_end = False
        self._has_failed = False

    # --- on the loop ---

    async def next(self) -> bytes:
        """See `Source`."""
        while not self._stream.is_unwanted:
            is_making = self._is_making
            if self._made:
                return self._take()
            if not is_making:
                if self._is_at_end or self._has_failed:
                    self.is_complete = self._is_at_end
                    break
                self._submit()
            await self._wait()
        return b""

    def stop(self) -> None:
        """See `Source`."""
        self._stream.is_unwanted = True
        self._wake()

    async def close(self) -> None:
        """See `Source`."""
        self._stream.is_unwanted = True
        while self._is_making:
            await self._wait()
        if not self._stream.is_over:
            self._submit()

    async def leave(self) -> None:
        """See `Source`. Not on a thread: none may get the time for it any more."""
        self._stream.is_unwanted = True
        if not self._is_making:
            self._finally(self._stream.abort)

    def on_loop(self) -> None:
        """There is news."""
        self._is_told = False
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _take(self) -> bytes:
        piece = self._made.popleft()
        if not self._made:
            return piece
        pieces = [piece]
        while self._made:
            pieces.append(self._made.popleft())
        return b"".join(pieces)

    def _submit(self) -> None:
        self._is_making = True
        self._threads.submit(self)

    async def _wait(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    # --- on a handler thread ---

    def run(self) -> None:
        """The job: make a batch, or let the stream go."""
        try:
            self._make()
        except BaseException as error:  # a SystemExit too: it must not end the thread
            self._has_failed = True
            broke(self, error)
            self._finally(self._stream.abort)
        self._is_making = False
        self._tell()

    def _make(self) -> None:
        stream, room = self._stream, BATCH
        turn_ends = monotonic() + TURN
        while not stream.is_unwanted:
            piece = stream.next()
            if not piece:
                self._is_at_end = True
                self._finally(stream.end)
                return
            self._made.append(piece)
            room -= len(piece)
            if room <= 0 or monotonic() > turn_ends:
                return
            self._tell()  # now, as the next piece may take long
        self._finally(stream.abort)

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._handoff.post(self)

    def _finally(self, let_go: Callable[[], None]) -> None:
        try:
            let_go()
        except BaseException as error:
            complain(self, "failed to let go of its stream", error)
