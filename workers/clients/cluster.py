"""The members of one cluster, as this worker sees them: who is chosen, who is left alone.

Runs on the loop; does no I/O itself, that is its keepers' part. Other threads read `nodes`, which
is replaced as a whole: so a call that is sent at the moment of a change is for the members before
it or for those after it, never for some of each.

Members change while the worker runs, by an operator's word (`skitaid.workers.standing`) and by what
a name stands for (`following.py`). One that is drained or has left answers what it was asked, and
is not asked again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec
from msgspec import field

from skitaid.workers.ledger import Series
from skitaid.workers.standing import Standing, State

from .balance import BALANCES, Load, rendezvous
from .budget import Budget
from .health import FAILURES, Health
from .http_connection import HttpConnection
from .keeper import ConnectionKeeper
from .latencies import Latencies

log = logging.getLogger(__name__)

Hedge = float | Literal["p95"]

# Below this share of willing members the ejected ones are asked as well: the few that are left
# would break under the load of all, and it is likelier that this worker misjudges, by a short
# disturbance of its network, than that so many died at once. Envoy's figure.
PANIC = 0.5

CUT = "was disabled by an operator"  # what is said of calls to such a member, behind its name


class ClusterMember(msgspec.Struct, eq=False):
    """One member: its connections, its load, its health.

    cluster: the name of its section; "" for a server named by a URL, which is asked in any case
    and so has no news to log. weight: as the conf has it. Times are monotonic.
    upstream: where requests to it are counted, by outcome; see `tally.OUTCOMES`.
    """

    keeper: ConnectionKeeper[HttpConnection]
    load: Load
    cluster: str = ""
    health: Health = field(default_factory=Health)
    weight: int = 1
    state: State = State.ENABLED
    ejections: int = 0  # ever
    last_error: str = ""
    failed_at: float = 0.0
    others: list[ConnectionKeeper[Any]] = field(default_factory=list)  # of requests passed on
    upstream: Mapping[str, Series] = field(default_factory=dict)

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
        self._count("normal", elapsed)
        self.load.finished(elapsed, now)
        if self.health.answered():
            self.load.starts_slowly(now)
            if self.cluster:
                log.info("[@%s]: %s answers again", self.cluster, self.node)

    def checked(self, is_up: bool, now: float) -> None:
        """An active check has found it up or down."""
        if self.health.checked(is_up, now):
            self.load.starts_slowly(now)

    def failed(
        self, was_probe: bool, now: float, dice: float, reason: str, elapsed: float = 0.0
    ) -> None:
        """It could not be reached, or broke off, after so many seconds.

        reason: a sentence with its name.
        """
        self.load.in_flight -= 1
        if self.state is State.DISABLED:  # we have cut it off ourselves
            self._count("cancelled", elapsed)
            self.health.released(was_probe)
            return
        self._count("failed", elapsed)
        self.last_error, self.failed_at = reason, now
        until = self.health.ejected_until
        is_news = self.health.failed(was_probe, now, dice)
        self.ejections += self.health.ejected_until != until
        if is_news and self.cluster:
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
            reason = f"{self.node} said nothing within {elapsed:.1f} s"
            self.failed(was_probe, now, dice, reason, elapsed)
        else:
            self.cancelled(was_probe, elapsed, now)

    def cancelled(self, was_probe: bool, elapsed: float, now: float) -> None:
        """The request was given up by us after so many seconds."""
        self.load.in_flight -= 1
        self._count("cancelled", elapsed)
        self.load.given_up(elapsed, now)
        self.health.released(was_probe)

    def _count(self, outcome: str, elapsed: float) -> None:
        series = self.upstream.get(outcome)
        if series is not None:  # else nobody counts, as in tests
            series.add(elapsed)

    def stand(self, standing: Standing) -> State:
        """What an operator wants of it from now on; the state before that, for `changed`."""
        was, self.state = self.state, standing.state
        self.load.weight = standing.weight or self.weight
        return was

    def changed(self, was: State, now: float) -> None:
        """Do what another state means. Calls that are cut off are told before this returns."""
        for keeper in self.keepers:
            self._rule(keeper)
        if self.state is State.ENABLED and was is not State.ENABLED:
            self.forgive(now)

    @property
    def keepers(self) -> list[ConnectionKeeper[Any]]:
        """All that have connections to it."""
        return [self.keeper, *self.others]

    def join(self, keeper: ConnectionKeeper[Any]) -> None:
        """More connections to it, of another kind; they are as it is."""
        self.others.append(keeper)
        self._rule(keeper)

    def _rule(self, keeper: ConnectionKeeper[Any]) -> None:
        if self.state is State.DISABLED:
            keeper.cut(CUT)
            return
        keeper.resume()
        if self.state is State.DRAINED:
            keeper.rest()

    def forgive(self, now: float) -> None:
        """An operator says that it is well."""
        self.health.forgiven()
        self.load.starts_slowly(now)


class Cluster:
    """A `[@name]` section at work. balance: a name in `BALANCES`; hedge: see `Members`.

    members: all, in the order of the conf. open: those that are asked. nodes: their names.
    leaving: those that were members, and still have something to answer. trouble: why members
    are not known that should be; "" if all is well.
    """

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
        self.open: list[ClusterMember] = []
        self.nodes: tuple[str, ...] = ()
        self.leaving: list[ClusterMember] = []
        self.trouble = ""
        self.hedge = hedge
        self.budget = Budget()
        self.latencies = Latencies()
        self._balance = BALANCES[balance]
        self._goes_by_key = balance == "hash"
        self._dice = dice
        self._standings: dict[str, Standing] = {}  # by node; also of members that are not there yet
        self._reopen()

    # --- who is a member ---

    def stand(self, standing: Standing, now: float, *, is_forgiven: bool = False) -> None:
        """An operator has said something of a member, who may have left, or be to come.

        is_forgiven: its failures do not count any more.
        """
        self._standings[standing.node] = standing
        member = next((each for each in self.members if each.node == standing.node), None)
        if member is None:
            return
        was = member.stand(standing)
        self._reopen()  # first: a call that is cut off looks for another member at once
        member.changed(was, now)
        if is_forgiven:
            member.forgive(now)

    def become(self, members: list[ClusterMember], now: float) -> None:
        """These are the members now; those who have been before are the same objects."""
        gone = [member for member in self.members if member not in members]
        for member in members:
            standing = self._standings.get(member.node)
            if standing is not None and member not in self.members:
                member.changed(member.stand(standing), now)
        self.members = members
        self._reopen()
        for member in gone:
            for keeper in member.keepers:
                keeper.rest()
        self.leaving += gone
        self.forget_gone()

    def forget_gone(self) -> None:
        """Who has left and has nothing to answer any more is forgotten."""
        for member in self.leaving:
            if member.load.in_flight == 0:
                for keeper in member.keepers:
                    keeper.close()
        self.leaving = [member for member in self.leaving if member.load.in_flight]

    def named(self, node: str) -> ClusterMember | None:
        """The member that is called so, or was until now."""
        return next((m for m in (*self.members, *self.leaving) if m.node == node), None)

    def why_nobody(self) -> str:
        """A sentence, when nobody is to be asked."""
        states = ", ".join(f"{member.node} is {member.state.value}" for member in self.members)
        return f"no member of [@{self.name}] can be asked: {states or self.trouble}"

    def _reopen(self) -> None:
        self.open = [member for member in self.members if member.state is State.ENABLED]
        nodes = tuple(member.node for member in self.open)
        if nodes != self.nodes:  # else calls on their way have the right tuple, which costs less
            self.nodes = nodes

    # --- who is asked ---

    def choose(
        self, now: float, tried: Collection[ClusterMember], key: int | None = None
    ) -> ClusterMember | None:
        """The member to ask next; None when all were tried, or nobody is to be asked.

        Ejected members are left out, unless too few others are left: see `PANIC`.
        key: the `digest` of what the call goes by, for `balance = hash`.
        """
        untried = self.open
        if len(untried) < 2 and not tried:
            return untried[0] if untried else None
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
        ejected = [member for member in self.open if not member.health.may_ask(now)]
        if len(self.open) - len(ejected) >= PANIC * len(self.open):
            return False
        return self.budget.left(now) > sum(member.load.in_flight for member in ejected)
