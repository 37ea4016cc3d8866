"""The members of one cluster, as this worker sees them: who is chosen, who is left alone.

Runs on the loop; does no I/O itself, that is its keepers' part.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from .balance import BALANCES, Load, rendezvous
from .budget import Budget
from .health import FAILURES, Health
from .keeper import ConnectionKeeper
from .latencies import Latencies
from .pg_keeper import PgKeeper

log = logging.getLogger(__name__)

Hedge = float | Literal["p95"]

# Below this share of willing members the ejected ones are asked as well: the few that are left
# would break under the load of all, and it is likelier that this worker misjudges, by a short
# disturbance of its network, than that so many died at once. Envoy's figure.
PANIC = 0.5


@dataclass(slots=True, eq=False)
class ClusterMember:
    """One member: its connections, its load, its health.

    cluster: the name of its section; "" for a server named by a URL, which is asked in any case
    and so has no news to log.
    """

    keeper: ConnectionKeeper | PgKeeper
    load: Load
    cluster: str = ""
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
        if self.health.answered():
            self.load.starts_slowly(now)
            if self.cluster:
                log.info("[@%s]: %s answers again", self.cluster, self.node)

    def checked(self, is_up: bool, now: float) -> None:
        """An active check has found it up or down."""
        if self.health.checked(is_up, now):
            self.load.starts_slowly(now)

    def failed(self, was_probe: bool, now: float, dice: float, reason: str) -> None:
        """It could not be reached, or broke off. reason: a sentence with its name."""
        self.load.in_flight -= 1
        if self.health.failed(was_probe, now, dice) and self.cluster:
            pause = self.health.ejected_until - now
            log.warning(
                "[@%s]: %s; after %d failures it is left alone for %.1f s, then tried again",
                self.cluster,
                reason,
                FAILURES,
                pause,
            )

    def unheard(self, was_probe: bool, elapsed: float, now: float, dice: float) -> None:
        """Nothing of an answer came in so many seconds, then the request was given up by us."""
        if self.load.was_silent(elapsed, now):
            self.load.given_up(elapsed, now)
            self.failed(was_probe, now, dice, f"{self.node} said nothing within {elapsed:.1f} s")
        else:
            self.cancelled(was_probe, elapsed, now)

    def cancelled(self, was_probe: bool, elapsed: float, now: float) -> None:
        """The request was given up by us after so many seconds."""
        self.load.in_flight -= 1
        self.load.given_up(elapsed, now)
        self.health.released(was_probe)


class Cluster:
    """A `[@name]` section at work. balance: a name in `BALANCES`; hedge: see `Members`."""

    def __init__(
        self,
        name: str,
        members: list[ClusterMember],
        balance: str,
        dice: random.Random,
        hedge: Hedge | None = None,
    ) -> None:
        self.name = name
        self.members = members
        self.nodes = tuple(member.node for member in members)
        self.hedge = hedge
        self.budget = Budget()
        self.latencies = Latencies()
        self._balance = BALANCES[balance]
        self._goes_by_key = balance == "hash"
        self._dice = dice

    def choose(
        self, now: float, tried: Collection[ClusterMember], key: int | None = None
    ) -> ClusterMember | None:
        """The member to ask next; None when all were tried.

        Ejected members are left out, unless too few others are left: see `PANIC`.
        key: the `digest` of what the call goes by, for `balance = hash`.
        """
        if len(self.members) == 1:
            return None if tried else self.members[0]
        untried = self.members
        if tried:
            untried = [member for member in untried if member not in tried]
            if not untried:
                return None
        willing = [member for member in untried if member.health.may_ask(now)]
        if not willing or (len(willing) < len(untried) and self._panics(now)):
            willing = untried
        loads = [member.load for member in willing]
        if self._goes_by_key and key is not None:
            return willing[rendezvous(loads, now, key)]
        return willing[self._balance(loads, now, self._dice)]

    def _panics(self, now: float) -> bool:
        """Whether so many are ejected that they are asked all the same.

        As often as the budget can pay for another try for each request they have: should they
        really be dead, no call may fail by our asking them.
        """
        ejected = [member for member in self.members if not member.health.may_ask(now)]
        if len(self.members) - len(ejected) >= PANIC * len(self.members):
            return False
        return self.budget.left(now) > sum(member.load.in_flight for member in ejected)
