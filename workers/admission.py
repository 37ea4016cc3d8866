"""How many requests may be on their way at once: finish before you start. Pure; its caller locks.

A handler that waits in getwait() has its connections, its replies and a
thread, and the more of them there are, the colder all of that is when its turn comes: on a busy
processor a fan-out costs a quarter more when 64 requests are on their way than when four are. But
when what is asked is slow, hundreds may have to wait side by side to keep a processor busy.

So a new request is started if few wait. Beyond that, only when there is nothing else to do: when
the loop finds nothing to read and no handler runs (`idle`). Then some more may wait from now on,
and no loop has to be idle for each of them. If it does not happen for a while, they are fewer
again (`tick`). Should nothing at all be finished, because those who wait do so for long while the
loop is busy with others, one more is started with every tick. And should something move all the
time, but not end, because those on their way ask one thing after the other, the first in line is
started after `HELD` ticks.
"""

from __future__ import annotations

FEW = 4  # requests that may wait in any case
HELD = 20  # ticks: 20 ms, in which a worker that finishes requests at all finishes several
STEP = 16  # the share by which there may be more, or fewer: a sixteenth of those who wait


class Admission:
    """The book of one worker. allowed: requests that may wait at once for a new one to start."""

    __slots__ = ("_held", "_was_idle", "allowed")

    def __init__(self) -> None:
        self.allowed = FEW
        self._was_idle = False  # since the last tick
        self._held = 0  # ticks that the first in line is held back

    def may_start(self, waiting: int) -> bool:
        """Whether a new request may start while so many wait."""
        return waiting < self.allowed

    def idle(self, waiting: int) -> None:
        """There is nothing to do but to start a request that is held back."""
        self.allowed = max(FEW, waiting + 1 + waiting // STEP)
        self._was_idle = True

    def tick(self, waiting: int, progress: int, is_same: bool = False) -> None:
        """A tick has passed with requests held back. progress: how often one finished or parked.

        is_same: the first in line was so a tick ago.
        """
        self._held = self._held + 1 if is_same else 0
        if not progress or self._held >= HELD:
            self.allowed = max(self.allowed, waiting + 1)
        elif not self._was_idle:
            self.allowed = max(FEW, self.allowed - 1 - self.allowed // STEP)
        self._was_idle = False
