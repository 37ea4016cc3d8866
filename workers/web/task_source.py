"""The pieces of an async stream, awaited by the task that sends them.

Runs on the loop, and in that very task: what an async generator opens before one piece and closes
after another (a timeout, a task group) belongs to a task. So when the client leaves, it is this
task that is cancelled, in the generator, and goes on behind it.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from skitai.request import Request
from skitai.stream import Stream

from .source import TURN, broke, complain


class TaskSource:
    """A `Source`."""

    __slots__ = (
        "_is_awaiting",
        "_is_stopped",
        "_stream",
        "_task",
        "_turn_ends",
        "handler_name",
        "is_complete",
        "request",
    )

    def __init__(self, stream: Stream, request: Request, handler_name: str) -> None:
        self.request = request
        self.handler_name = handler_name
        self.is_complete = False
        self._stream = stream
        self._task: asyncio.Task[object] | None = None
        self._is_awaiting = False  # it is in the app's code
        self._is_stopped = False
        self._turn_ends = 0.0

    async def next(self) -> bytes:
        """See `Source`."""
        now = monotonic()
        if now > self._turn_ends:  # one that never waits would keep the loop to itself
            await asyncio.sleep(0)
            self._turn_ends = now + TURN
        return b"" if self._is_stopped else await self._await_piece()

    async def _await_piece(self) -> bytes:
        task = self._task = asyncio.current_task()
        assert task is not None
        self._is_awaiting = True
        try:
            piece = await self._stream.anext()
            self.is_complete = not piece
            return piece
        except asyncio.CancelledError as error:
            if not self._is_stopped:
                if task.cancelling():
                    raise  # the worker ends
                broke(self, error)
        except BaseException as error:  # a SystemExit too: it must not end the loop
            broke(self, error)
        finally:
            self._is_awaiting = False
            if self._is_stopped:
                task.uncancel()
        return b""

    def stop(self) -> None:
        """See `Source`."""
        self._is_stopped = True
        if self._is_awaiting and self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """See `Source`."""
        try:
            await self._stream.aclose()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            complain(self, "failed to let go of its stream", error)

    leave = close
