"""The worker's sign of life: its slot on the scoreboard, written by the loop every few seconds.

Runs on the loop, and that is the point: a loop that hangs writes nothing, and the master sees
it in the slot without asking. Four beats fit into `worker_timeout`, so one that is late because
of a long garbage collection or a busy machine is no alarm. What costs something to find out
(the memory) or changes with every request (the handlers) is written with the beat.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

import msgspec

from .scoreboard import Field, Slot

BEATS = 4  # per worker_timeout
RESTING = 7.5  # seconds between beats when there is no worker_timeout: for the figures alone

log = logging.getLogger(__name__)

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Handlers(msgspec.Struct, frozen=True):
    """What the handlers of a worker are doing, each number of now."""

    running: int  # hold a run slot
    parked: int  # wait for results
    queued: int  # requests that wait for a handler thread


class Heartbeat:
    """One worker's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        slot: Slot,
        worker_timeout: float,
        handlers: Callable[[], Handlers],
    ) -> None:
        self._loop = loop
        self._slot = slot
        self._every = worker_timeout / BEATS if worker_timeout else RESTING
        self._handlers = handlers
        self._timer: asyncio.TimerHandle | None = None
        self._last = (0.0, 0.0)  # time and CPU seconds at the last beat

    def beat(self) -> None:
        """Write the slot now, and again and again from now on."""
        slot, handlers = self._slot, self._handlers()
        slot[Field.HEARTBEAT] = time.monotonic_ns()
        slot[Field.RSS] = resident()
        self._note_cpu(time.monotonic(), time.process_time())
        slot[Field.RUNNING] = handlers.running
        slot[Field.PARKED] = handlers.parked
        slot[Field.QUEUED] = handlers.queued
        self._timer = self._loop.call_later(self._every, self.beat)

    def _note_cpu(self, now: float, used: float) -> None:
        """used: CPU seconds of this process since it began."""
        before, used_before = self._last
        self._last = (now, used)
        self._slot[Field.CPU] = int(used * 1000)
        if before and now > before:
            self._slot[Field.CPU_SHARE] = int((used - used_before) / (now - before) * 1000)

    def stop(self) -> None:
        """No more beats."""
        if self._timer is not None:
            self._timer.cancel()


def resident() -> int:
    """Bytes of this process in memory; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE
    except OSError:  # out of descriptors: the beat itself must not fail
        return 0
