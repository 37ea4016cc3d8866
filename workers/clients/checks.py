"""Active checks: who of a cluster answers, found out by one worker of the server for all.

Runs on the loop. Each worker looks at the table of members every second and tells its own books
what it says. A check that is due is done by whoever comes first; the workers stand in a row, and
each waits a second longer than the one before it. So as long as the first one is well it does all
the checks, and when it dies, hangs or leaves the next one steps in, without any election.

What a check sends goes over a connection of its own: it tells how the member is, not how long the
line before its pool.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from skitai.engine import Ask
from skitai.results import Status
from skitaid.workers.member_table import MemberTable, Row
from skitaid.workers.settings import Check, ClientLimits, HttpCluster

from .balance import digest
from .cluster import Cluster, ClusterMember
from .exchange import HttpExchange, Outcome
from .keeper import ConnectionKeeper

LOOK = 1.0  # seconds
TIMEOUT = 2.0  # seconds for the whole of a check
RESPONSE_MAX = 1024 * 1024  # bytes; its content tells nothing
FALL = 2  # checks in a row that fail: one may be an accident
FIELDS = b"User-Agent: Skitai check\r\n"
LATE = 3  # intervals: an older verdict does not hold, nobody checks any more

log = logging.getLogger(__name__)


def is_due(now: float, claimed: float, every: float, rank: int) -> bool:
    """Whether this worker is to check. All in seconds; rank: its place in the row, from 0."""
    return now >= claimed + every + rank * LOOK


class Watch:
    """One member under check."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, member: ClusterMember, check: Check
    ) -> None:
        self.member = member
        self.check = check
        self.identity = digest(f"{member.cluster}/{member.node}".encode()) | 1  # never 0
        self._loop = loop
        limits = ClientLimits(connect_timeout=TIMEOUT, response_size=RESPONSE_MAX)
        assert isinstance(member.keeper, ConnectionKeeper)
        self._keeper = ConnectionKeeper(loop, member.keeper.address, 1, limits)
        self._seen: tuple[bool, int] | None = None
        self._failures = 0  # in a row, of the checks of this worker
        self._exchange: HttpExchange | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_out(self) -> bool:
        """Whether a check is under way."""
        return self._exchange is not None

    def learn(self, row: Row, now: float) -> None:
        """Tell the member's book what the table says."""
        verdict = row.verdict
        if verdict is None:
            return
        is_up, at = verdict
        if now - at / 1e9 > LATE * self.check.every + TIMEOUT:
            self.member.health.unchecked()
        elif verdict != self._seen:
            self._seen = verdict
            self.member.checked(is_up, now)

    def start(self, row: Row) -> None:
        """Check it, unless a check is out."""
        if self.is_out:
            return
        row.claim(time.monotonic_ns())
        ask = Ask(b"GET %b HTTP/1.1\r\n" % self.check.path.encode(), FIELDS, b"", idempotent=True)
        self._timer = self._loop.call_later(min(TIMEOUT, self.check.every), self._late, row)
        self._exchange = HttpExchange(self._keeper, ask, lambda outcome: self._done(row, outcome))
        self._exchange.start()

    def stop(self) -> None:
        """Give up what is out."""
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None
        self._keeper.close()

    def _late(self, row: Row) -> None:
        assert self._exchange is not None
        self._exchange.cancel()
        self._judge(row, f"no answer from {self.member.node} to {self.check.path} in time")

    def _done(self, row: Row, outcome: Outcome) -> None:
        assert self._timer is not None
        self._timer.cancel()
        if outcome.status is not Status.NORMAL:
            self._judge(row, outcome.msg)
        elif not 200 <= int(outcome.code) < 400:
            self._judge(row, f"{self.member.node} answers {self.check.path} with {outcome.code}")
        else:
            self._judge(row, "")

    def _judge(self, row: Row, complaint: str) -> None:
        """complaint: "" if all is well."""
        self._exchange = self._timer = None
        self._failures = self._failures + 1 if complaint else 0
        if 0 < self._failures < FALL:
            return
        is_up = not complaint
        before = row.verdict
        if is_up and before is not None and not before[0]:
            log.info("[@%s]: %s passes its check again", self.member.cluster, self.member.node)
        elif complaint and (before is None or before[0]):
            log.warning(
                "[@%s]: %s; after %d such checks it is down until it passes one",
                self.member.cluster,
                complaint,
                FALL,
            )
        row.judge(is_up, time.monotonic_ns())


def watches(
    loop: asyncio.AbstractEventLoop,
    confs: Mapping[str, HttpCluster],
    clusters: Mapping[str, Cluster],
) -> list[Watch]:
    """One for each member of the clusters that have checks."""
    return [
        Watch(loop, member, conf.check)
        for name, conf in confs.items()
        if conf.check is not None
        for member in clusters[name].members
    ]


class Checks:
    """All checks of a worker.

    rank: this worker's place among those that serve; None: it does not serve and checks nobody.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        table: MemberTable,
        watches: list[Watch],
        rank: Callable[[], int | None],
    ) -> None:
        self._loop = loop
        self._table = table
        self._watches = watches
        self._rank = rank
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look every second from now on."""
        self.look()
        self._timer = self._loop.call_later(LOOK, self.start)

    def look(self) -> None:
        """Learn what is known, and check whoever is due."""
        now, rank = time.monotonic(), self._rank()
        for watch in self._watches:
            row = self._table.row(watch.identity, time.monotonic_ns())
            if row is None:  # more members than rows: calls alone tell how this one is
                continue
            watch.learn(row, now)
            if rank is not None and is_due(now, row.claimed / 1e9, watch.check.every, rank):
                watch.start(row)

    def stop(self) -> None:
        """No more checks."""
        if self._timer is not None:
            self._timer.cancel()
        for watch in self._watches:
            watch.stop()
