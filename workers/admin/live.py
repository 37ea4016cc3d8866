"""What the status page is sent while somebody looks at it: Server-Sent Events.

Runs on the loop of one worker. However many look, the document is put together once every `EVERY`
seconds, and while nobody does, not at all. Each is sent what has changed since what they were sent
last; whoever reads slowly is sent less often, and never more than one message waits. HTML is made
on a thread beside the loop, as it takes some milliseconds.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from .document import Status
from .parts import Parts, changes

EVERY = 2.0  # seconds
VIEWERS_MAX = 32  # in one worker
RETRY = 2000  # milliseconds after which a browser whose worker has left asks another one

_NONE: Parts = {}  # what a new viewer has seen

log = logging.getLogger(__name__)


class Live:
    """Of one worker. status: gives the document. render: makes parts of it, on any thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        status: Callable[[], Awaitable[Status]],
        render: Callable[[Status], Parts],
    ) -> None:
        self._loop = loop
        self._status = status
        self._render = render
        self._viewers = 0
        self._parts = _NONE  # the newest; none before the first viewer
        self._task: asyncio.Task[None] | None = None  # only while there are viewers
        self._news = asyncio.Event()
        self._said: tuple[Parts, Parts, bytes] = (
            _NONE,
            _NONE,
            b"",
        )  # the last message, for the others

    @property
    def is_full(self) -> bool:
        """Whether nobody more may look."""
        return self._viewers >= VIEWERS_MAX

    async def watch(self) -> AsyncGenerator[bytes, None]:
        """The events of one viewer. They end when the document cannot be made."""
        self._viewers += 1
        if self._task is None:
            self._task = self._loop.create_task(self._update())
        mine = self._task
        try:
            yield b"retry: %d\n\n" % RETRY
            seen = _NONE
            while self._task is mine:
                if self._parts is seen or self._parts is _NONE:
                    await self._news.wait()
                    continue
                now = self._parts
                yield self._message(seen, now)
                seen = now
        finally:
            self._viewers -= 1
            if not self._viewers and self._task is not None:
                self._task.cancel()
                self._end()

    async def _update(self) -> None:
        """The task."""
        try:
            while True:
                status = await self._status()
                self._parts = await self._loop.run_in_executor(None, self._render, status)
                self._tell()
                await asyncio.sleep(EVERY)
        except asyncio.CancelledError:
            raise
        except Exception:  # a defect of ours: the viewers ask again, which is not too often
            log.exception("the status page cannot be brought up to date")
            self._end()

    def _end(self) -> None:
        self._task, self._parts = None, _NONE
        self._said = (_NONE, _NONE, b"")
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news.clear()

    def _message(self, before: Parts, after: Parts) -> bytes:
        """Most viewers have seen the same, so it is made once."""
        if self._said[0] is not before or self._said[1] is not after:
            data = msgspec.json.encode(changes(before, after))
            self._said = (before, after, b"event: parts\ndata: %b\n\n" % data)
        return self._said[2]
