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

from .attempt import Attempt
from .balance import Load, digest
from .cluster import Cluster, ClusterMember
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
        # With books of its own: those of the member are of calls.
        keeper = ConnectionKeeper(loop, member.keeper.address, 1, limits)
        self._checked = ClusterMember(keeper, Load())
        self._seen: tuple[bool, int] | None = None
        self._failures = 0  # in a row, of the checks of this worker
        self._row: Row | None = None  # of the check that is out
        self._attempt: Attempt | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_out(self) -> bool:
        """Whether a check is under way."""
        return self._attempt is not None

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
        self._row = row
        self._timer = self._loop.call_later(min(TIMEOUT, self.check.every), self._late)
        self._attempt = Attempt(self, ask, self._checked, time.monotonic())
        self._attempt.start()

    def stop(self) -> None:
        """Give up what is out."""
        if self._timer is not None:
            self._timer.cancel()
        if self._attempt is not None:
            self._attempt.give_up(time.monotonic())
            self._attempt = None
        self._checked.keeper.close()

    def ended(self, attempt: Attempt, now: float) -> None:
        """`Asker`."""
        assert self._timer is not None
        self._timer.cancel()
        if attempt.status is not Status.NORMAL:
            self._judge(attempt.msg)
        elif not 200 <= attempt.code < 400:
            self._judge(f"{self.member.node} answers {self.check.path} with {attempt.code}")
        else:
            self._judge("")

    def _late(self) -> None:
        assert self._attempt is not None
        self._attempt.give_up(time.monotonic())
        self._judge(f"no answer from {self.member.node} to {self.check.path} in time")

    def _judge(self, complaint: str) -> None:
        """complaint: "" if all is well."""
        row, self._row = self._row, None
        assert row is not None
        self._attempt = self._timer = None
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


class Checks:
    """All checks of a worker.

    confs, clusters: by name; of those without a check nobody is watched. rank: this worker's place
    among those that serve; None: it does not serve and checks nobody.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        table: MemberTable,
        confs: Mapping[str, HttpCluster],
        clusters: Mapping[str, Cluster],
        rank: Callable[[], int | None],
    ) -> None:
        self._loop = loop
        self._table = table
        self._checked = [
            (conf.check, clusters[name]) for name, conf in confs.items() if conf.check is not None
        ]
        self.watches: dict[ClusterMember, Watch] = {}  # of the members there are
        self._rank = rank
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look every second from now on."""
        self.look()
        self._timer = self._loop.call_later(LOOK, self.start)

    def look(self) -> None:
        """Learn what is known, and check whoever is due."""
        now, rank = time.monotonic(), self._rank()
        self._meet()
        for watch in self.watches.values():
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
        for watch in self.watches.values():
            watch.stop()

    def _meet(self) -> None:
        """Members come and go."""
        there = {member: check for check, each in self._checked for member in each.members}
        for member in self.watches.keys() - there.keys():
            self.watches.pop(member).stop()
        for member in there.keys() - self.watches.keys():
            self.watches[member] = Watch(self._loop, member, there[member])
