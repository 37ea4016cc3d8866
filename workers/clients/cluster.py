"""The members of one cluster, as this worker sees them: who is chosen, who is left alone.

Runs on the loop; does no I/O itself, that is its keepers' part.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field

from .balance import Balance, Load
from .health import Health
from .keeper import ConnectionKeeper


@dataclass(slots=True, eq=False)
class ClusterMember:
    """One member: its connections, its load, its health."""

    keeper: ConnectionKeeper
    load: Load
    health: Health = field(default_factory=Health)

    @property
    def node(self) -> str:
        """ "host:port", as in results."""
        return self.keeper.node

    def asked(self, now: float) -> bool:
        """A request is sent to it. True: it is the probe."""
        self.load.in_flight += 1
        return self.health.asked(now)

    def answered(self, elapsed: float, now: float) -> None:
        """It answered after so many seconds."""
        self.load.in_flight -= 1
        self.load.finished(elapsed, now)
        self.health.answered()

    def failed(self, was_probe: bool, now: float, dice: float) -> None:
        """It could not be reached, or broke off."""
        self.load.in_flight -= 1
        self.health.failed(was_probe, now, dice)

    def cancelled(self, was_probe: bool, elapsed: float, now: float) -> None:
        """The request was given up by us after so many seconds."""
        self.load.in_flight -= 1
        self.load.given_up(elapsed, now)
        self.health.released(was_probe)


class Cluster:
    """A `[@name]` section at work."""

    def __init__(
        self, name: str, members: list[ClusterMember], balance: Balance, dice: random.Random
    ) -> None:
        self.name = name
        self.members = members
        self.nodes = tuple(member.node for member in members)
        self._balance = balance
        self._dice = dice

    def choose(self, now: float, tried: Collection[ClusterMember]) -> ClusterMember | None:
        """The member to ask next; None when all were tried.

        Ejected members are left out, unless that leaves nobody: then all are worth a try.
        """
        if len(self.members) == 1:
            return None if tried else self.members[0]
        untried = [member for member in self.members if member not in tried]
        if not untried:
            return None
        willing = [member for member in untried if member.health.may_ask(now)] or untried
        loads = [member.load for member in willing]
        return willing[self._balance(loads, now, self._dice)]

    def roll(self) -> float:
        """0..1, for the spread of an ejection."""
        return self._dice.random()
