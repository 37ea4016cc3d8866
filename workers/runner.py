"""One handler thread, as those see it who wake it."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
