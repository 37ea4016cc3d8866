"""What the result cache has counted, carried over into the ledger. On the loop, now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skitaid.workers.ledger import Pen

NAMES = ("hits", "misses", "joined")


class CacheCounts:
    """Of one worker's cache, which begins with 0 like the worker."""

    def __init__(self, pen: Pen, status: Callable[[], Mapping[str, Any]]) -> None:
        self._series = {name: pen.series("counter", f"cache_{name}") for name in NAMES}
        self._status = status
        self._noted = dict.fromkeys(NAMES, 0)

    def note(self) -> None:
        """What has been added since the last time."""
        status = self._status()
        for name, series in self._series.items():
            series.cells[0] += status[name] - self._noted[name]
            self._noted[name] = status[name]
