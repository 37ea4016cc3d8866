"""One request to one member, and what the member's books learn of it.

Runs on the loop. `Leg` and `Choice` decide who is asked; here is written down how it went:
exactly once for each `asked` of the member, whether the request is answered, fails, is given up or
loses against another.
"""

from __future__ import annotations

import random
import time
from typing import Protocol

from skitai.engine import Ask, Sql
from skitai.results import Status

from .cluster import ClusterMember
from .exchange import Exchange, HttpExchange, Outcome
from .keeper import ConnectionKeeper
from .pg_exchange import PgExchange
from .pg_keeper import PgKeeper


class Asker(Protocol):
    """Whose attempt it is.

    is_patient: there is nobody else to ask, so a server that is just being restarted is waited for.
    """

    @property
    def is_patient(self) -> bool: ...

    def ended(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """The request is over, and not because it was given up."""


class Attempt:
    """Counts as asked from its making on. started: monotonic."""

    __slots__ = ("_asker", "_exchange", "_is_probe", "member", "started")

    def __init__(self, asker: Asker, ask: Ask | Sql, member: ClusterMember, now: float) -> None:
        self._asker = asker
        self.member = member
        self.started = now
        self._is_probe = member.asked(now)
        self._exchange = self._exchange_of(ask, asker.is_patient)

    def start(self) -> None:
        """Ask; `Asker.ended` may be called before this returns."""
        self._exchange.start()

    def give_up(self) -> None:
        """Nobody waits for it any longer."""
        self._exchange.abandon(self._left)

    def lose(self) -> None:
        """Another member was faster, which is no failure of this one."""
        self._exchange.abandon(self._lost)

    def _exchange_of(self, ask: Ask | Sql, is_patient: bool) -> Exchange:
        keeper = self.member.keeper
        if isinstance(ask, Sql):
            assert isinstance(keeper, PgKeeper)
            return PgExchange(keeper, ask, self._done, is_patient)
        assert isinstance(keeper, ConnectionKeeper)
        return HttpExchange(keeper, ask, self._done)

    def _left(self, is_alive: bool) -> None:
        now = time.monotonic()
        if is_alive:
            self.member.cancelled(self._is_probe, now - self.started, now)
        else:
            self.member.unheard(self._is_probe, now - self.started, now, random.random())

    def _lost(self, is_alive: bool) -> None:
        now = time.monotonic()
        self.member.cancelled(self._is_probe, now - self.started, now)

    def _done(self, outcome: Outcome) -> None:
        now = time.monotonic()
        if outcome.status is Status.NORMAL:
            self.member.answered(now - self.started, now)
        elif outcome.is_ours:
            self.member.cancelled(self._is_probe, now - self.started, now)
        else:
            self.member.failed(self._is_probe, now, random.random(), outcome.msg)
        self._asker.ended(self, outcome, now)
