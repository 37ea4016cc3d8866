"""One handler thread, as those see it who wake it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .threads import Job


class Runner:
    """`wake` is released to let it go on; `job` is what to do then.

    resume: called on the loop when what it waits for is there.
    """

    __slots__ = ("_resume", "is_started", "job", "number", "wake")

    def __init__(self, number: int, resume: Callable[[Runner], None]) -> None:
        self.number = number
        self._resume = resume
        self.is_started = False
        self.job: Job | None = None
        self.wake = threading.Lock()
        self.wake.acquire()

    def release(self) -> None:
        """`Waiter.release`: the replies are in. On the loop."""
        self._resume(self)


def give_way() -> None:
    """Have the system not interrupt others, the loop above all, when this thread is woken.

    Whoever wakes it has the GIL, so on the same processor it would only find that out and sleep
    again: two switches for nothing, a fifth of what waiting costs. What a handler starts is not
    meant. Where a sandbox forbids it, it is as it was.
    """
    policy = os.SCHED_BATCH | os.SCHED_RESET_ON_FORK
    with suppress(PermissionError):
        os.sched_setscheduler(0, policy, os.sched_param(0))  # 0: of this thread
