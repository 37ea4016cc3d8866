"""For a coroutine that runs a statement: a user of a connection that it can wait for."""

from __future__ import annotations

import asyncio

from psycopg.pq.abc import PGresult


class Ending:
    """A `User`. over: done when the statement has ended; its result, or None if it broke."""

    __slots__ = ("over", "reason")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.over: asyncio.Future[PGresult | None] = loop.create_future()
        self.reason = ""

    def answered(self, result: PGresult) -> None:
        """`User`."""
        self._end(result)

    def broke(self, reason: str) -> None:
        """`User`."""
        self.reason = reason
        self._end(None)

    def copying(self, status: int) -> None:
        """`User`: none of these is one."""
        raise AssertionError("a COPY that nobody copies")

    def _end(self, result: PGresult | None) -> None:
        if not self.over.done():  # who waited may have run out of time
            self.over.set_result(result)
