"""Finds the moments in which the loop has nothing to do. On the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Lull:
    """Looks as long as it is asked to: each time the loop has read what there was to read.

    looked: called then, with whether there was no news since the last time. It gives whether to
        look once more.
    news: whoever has some counts it here.
    """

    __slots__ = ("_is_looking", "_looked", "_loop", "_seen", "news")

    def __init__(self, loop: asyncio.AbstractEventLoop, looked: Callable[[bool], bool]) -> None:
        self._loop = loop
        self._looked = looked
        self._is_looking = False
        self._seen = 0
        self.news = 0

    def look(self) -> None:
        """Begin to look, if it is not begun."""
        if not self._is_looking:
            self._is_looking = True
            self._seen = -1  # the loop must have read between two looks for one to count
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        was_quiet = self.news == self._seen
        self._seen = self.news
        self._is_looking = self._looked(was_quiet)
        if self._is_looking:
            self._loop.call_soon(self._look)
