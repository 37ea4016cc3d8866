"""Members that a name stands for: `members = dns:name:port`.

Runs on the loop; the look-ups go to threads of the loop, as the system's resolver blocks. Each name
is looked up every so many seconds, and each of its addresses is a member: one that is new is asked
from then on, one that is gone answers what it was asked and is not asked again. The system's
resolver does not tell how long an answer holds, so the interval is the conf's to say.

When a look-up fails, the members stay who they are: a resolver may be down while they are up. A
failure is logged once, until a look-up succeeds again, and is tried again after `RETRY`. The
intervals are spread, so that workers do not ask in step.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from skitaid.workers.settings import Member

from .cluster import Cluster, ClusterMember
from .names import LookUp, by_system

RETRY = 2.0  # seconds after a failure; the interval, if that is shorter
SPREAD = 0.2  # of a pause, which is by so much shorter at most
FIRST = 2.0  # seconds that a worker waits for the first answers before it serves without

log = logging.getLogger(__name__)


class Following:
    """Of one cluster. members: as in the conf. make: a member at one of the addresses of a name."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        cluster: Cluster,
        members: Sequence[Member],
        make: Callable[[Member, str], ClusterMember],
        every: float,
        look_up: LookUp = by_system,
    ) -> None:
        self._loop = loop
        self._cluster = cluster
        self._members = members
        self._make = make
        self._every = every
        self._look_up = look_up
        self._found: dict[Member, dict[str, ClusterMember]] = {
            each: {} for each in members if each.dns
        }
        self._own = dict(self._pairs(cluster.members))
        self._troubles: dict[Member, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._note_trouble()

    async def start(self) -> None:
        """Follow from now on. Comes back when all is known, or `FIRST` seconds later."""
        known = [self._loop.create_future() for _ in self._found]
        self._tasks = [
            self._loop.create_task(self._follow(member, first))
            for member, first in zip(self._found, known, strict=True)
        ]
        await asyncio.wait(known, timeout=FIRST)

    def stop(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()

    async def _follow(self, member: Member, first: asyncio.Future[None]) -> None:
        while True:
            pause = self._every
            try:
                # No timeout of ours: a thread would go on all the same, and the next join it.
                places = await self._look_up(member.host, member.port)
            except (OSError, ValueError) as error:  # a ValueError for a name that cannot be one
                self._failed(member, getattr(error, "strerror", None) or str(error))
                pause = min(RETRY, pause)
            else:
                self._here(member, [place.address[0] for place in places])
            if not first.done():
                first.set_result(None)
            await asyncio.sleep(pause * random.uniform(1.0 - SPREAD, 1.0))

    def _here(self, member: Member, addresses: list[str]) -> None:
        """A name stands for these."""
        if self._troubles.pop(member, None):
            log.info("[@%s]: %s is looked up again", self._cluster.name, member.node)
        before = self._found[member]
        now = {at: before.get(at) or self._make(member, at) for at in sorted(set(addresses))}
        self._note_trouble()
        if now.keys() != before.keys():
            self._found[member] = now
            self._cluster.become(self._all(), time.monotonic())
            if before:
                log.info("[@%s]: %s is now %s", self._cluster.name, member.node, ", ".join(now))
        else:
            self._cluster.forget_gone()

    def _failed(self, member: Member, reason: str) -> None:
        is_news = member not in self._troubles
        self._troubles[member] = f"{member.node} cannot be looked up: {reason}"
        self._note_trouble()
        if is_news:
            kept = ", ".join(self._found[member]) or "nobody"
            log.warning("[@%s]: %s; it stays %s", self._cluster.name, self._troubles[member], kept)

    def _note_trouble(self) -> None:
        unknown = [each.node for each, found in self._found.items() if not found]
        waiting = f"{', '.join(unknown)} is being looked up" if unknown else ""
        self._cluster.trouble = "; ".join(self._troubles.values()) or waiting

    def _all(self) -> list[ClusterMember]:
        """In the order of the conf. Who is there twice, by two names, is asked as one."""
        by_node: dict[str, ClusterMember] = {}
        for each in self._members:
            for member in self._found[each].values() if each.dns else [self._own[each]]:
                by_node.setdefault(member.node, member)
        return list(by_node.values())

    def _pairs(self, members: list[ClusterMember]) -> list[tuple[Member, ClusterMember]]:
        own = [each for each in self._members if not each.dns]
        return list(zip(own, members, strict=True))
