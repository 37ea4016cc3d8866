"""One request to one member, and what the member's books learn of it.

Runs on the loop. `Leg` and `Choice` decide who is asked; here is written down how it went:
exactly once for each `asked` of the member, whether the request is answered, fails, is given up or
loses against another.
"""

from __future__ import annotations

import random
import time
from typing import Protocol

from msgspec.structs import replace

from skitai.engine import Ask
from skitai.results import Status

from .cluster import ClusterMember
from .exchange import HttpExchange, Outcome


class Asker(Protocol):
    """Whose attempt it is."""

    def ended(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """The request is over, and not because it was given up."""


class Attempt:
    """Counts as asked from its making on. started: monotonic."""

    __slots__ = ("_asker", "_exchange", "_is_probe", "member", "started")

    def __init__(self, asker: Asker, ask: Ask, member: ClusterMember, now: float) -> None:
        self._asker = asker
        self.member = member
        self.started = now
        self._is_probe = member.asked(now)
        self._exchange = HttpExchange(member.keeper, ask, self._done)

    def start(self) -> None:
        """Ask; `Asker.ended` may be called before this returns."""
        self._exchange.start()

    def give_up(self, now: float) -> None:
        """Nobody waits for it any longer."""
        was_heard = self._exchange.is_heard
        self._exchange.cancel()
        elapsed = now - self.started
        if was_heard:
            self.member.cancelled(self._is_probe, elapsed, now)
        else:
            self.member.unheard(self._is_probe, elapsed, now, random.random())

    def lose(self, now: float) -> None:
        """Another member was faster, which is no failure of this one."""
        self._exchange.cancel()
        self.member.cancelled(self._is_probe, now - self.started, now)

    def _done(self, outcome: Outcome) -> None:
        now = time.monotonic()
        if outcome.status is Status.NORMAL:
            self.member.answered(now - self.started, now)
        elif outcome.is_ours:
            self.member.cancelled(self._is_probe, now - self.started, now)
        else:
            if outcome.status is Status.NOT_CONNECTED:
                tried = f"{outcome.msg}, after {now - self.started:.3f} s"
                outcome = replace(outcome, msg=tried)
            self.member.failed(self._is_probe, now, random.random(), outcome.msg)
        self._asker.ended(self, outcome, now)
