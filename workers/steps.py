"""The last quarter of an hour of one worker, written into the ledger step by step.

Runs on the loop, at the end of each step, also of those in which nothing happens: one wake in
`EVERY` seconds. What a step is made of is the difference to what was counted before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from .buckets import NOTHING, WIDTH, Counts
from .ledger import EVERY, Pen, Series, Step
from .scoreboard import Field, Slot

LATE = 0.01  # seconds after the end of a step, so that it is over by any clock


class Steps:
    """One per worker. also: called with each step, for what has to be done now and then."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pen: Pen, slot: Slot, also: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._pen = pen
        self._slot = slot
        self._also = also
        self._latency, self._queue, self._errors = self._sums()
        self._cpu = pen.series("cpu", "")
        self._cpu_noted = 0.0  # seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """From now on."""
        now = time.monotonic()
        self._timer = self._loop.call_later(EVERY - now % EVERY + LATE, self._end_step)

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()

    def _end_step(self) -> None:
        before = self._latency, self._queue, self._errors
        self._latency, self._queue, self._errors = self._sums()
        step = Step(
            number=last_step(time.monotonic()),
            in_flight=self._slot[Field.IN_FLIGHT],
            errors=self._errors.count - before[2].count,
            latency=self._latency - before[0],
            queue=self._queue - before[1],
        )
        self._pen.pages.put(step)
        self._also()
        self.start()

    def note_cpu(self) -> None:
        """Write down the CPU time since the last time."""
        used = time.process_time()
        self._cpu.seconds += used - self._cpu_noted
        self._cpu_noted = used
        self._cpu.settle()

    def _sums(self) -> tuple[Counts, Counts, Counts]:
        """Latencies, waits, and latencies of what was answered with 500 or above, until now."""
        routes = self._pen.of_kind("route")
        errors = [each for each in routes if each.key[-1] == "5xx"]
        return _sum(routes), _sum(self._pen.of_kind("wait")), _sum(errors)


def _sum(series: Sequence[Series]) -> Counts:
    """As one long number, as in `Ledger.totals`."""
    if not series:
        return NOTHING
    number = sum(int.from_bytes(each.cells.tobytes(), "little") for each in series)
    return Counts(memoryview(number.to_bytes(WIDTH * 8, "little")).cast("q").tolist())


def last_step(now: float) -> int:
    """The number of the last step that is over."""
    return int(now // EVERY) - 1
