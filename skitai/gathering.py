"""One wait for the results of one handle or several: for how many replies, until when, until what.

It is told when replies are in or when time is up, and gives up what is not needed any more. It does
not wait itself, so there is one set of rules for plain handlers, which park, and async ones, which
await.

    gathering.land()
    while wanted := gathering.wanted():
        gathering.waited(engine.wait(gathering.call, wanted, gathering.deadline))
        gathering.land()
    gathering.close()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from skitai.collecting import Collection, Part
from skitai.engine import Bundle, Call, Engine, Reply
from skitai.errand import Errand, gone
from skitai.results import Result, Status


class Enough(NamedTuple):
    """A wait is over with so many normal results.

    is_quorum: also when they cannot come any more.
    """

    number: int
    is_quorum: bool


class Gathering:
    """deadline: monotonic; that of the request if it is earlier than what was asked for."""

    __slots__ = (
        "_call",
        "_collections",
        "_engine",
        "_enough",
        "_errand",
        "_is_clipped",
        "_is_late",
        "_missing",
        "_parts",
        "_since",
        "_step",
        "_taken",
        "deadline",
    )

    def __init__(
        self,
        engine: Engine,
        collections: Sequence[Collection],
        errand: Errand | None,
        deadline: float,
        enough: Enough | None,
        *,
        one_by_one: bool,
    ) -> None:
        """one_by_one: each result is wanted as soon as it lands."""
        self._engine = engine
        # One that is waited for twice has its replies once.
        self._collections = collections = list(dict.fromkeys(collections))
        self._errand = errand
        self._enough = enough
        self._parts: list[Part] = []
        self._step = one_by_one  # or there is a filter, which wants them so
        self._missing = self._taken = 0  # replies, of these parts
        for each in collections:
            self._step = self._step or each.filter is not None
            for part in each.open:
                self._parts.append(part)
                self._missing += part.missing
                self._taken += part.taken
        self._call: Call | Bundle | None = None
        self._is_late = False
        self._since = 0.0  # monotonic, of the wait that is on
        self._is_clipped = errand is not None and errand.deadline < deadline
        self.deadline = errand.deadline if errand is not None and self._is_clipped else deadline

    @property
    def call(self) -> Call | Bundle:
        """What to wait for. Only after `wanted`."""
        assert self._call is not None
        return self._call

    def wanted(self) -> int:
        """How many replies of `call` are to be waited for; 0 when it is over. Raises ClientGone."""
        if not self._missing:
            return 0
        if self._errand is not None:
            self._errand.check()
            self._since = time.monotonic()
        if self._call is None:
            calls = [part.call for part in self._parts]
            self._call = calls[0] if len(calls) == 1 else Bundle(calls)
        if self._step:
            return self._taken + 1
        if self._enough is not None:
            needed = self._enough.number - self._normal()
            if self._enough.is_quorum:  # so many failures, and it cannot be had any more
                needed = min(needed, self._missing - needed + 1)
            return self._taken + min(self._missing, needed)
        return self._taken + self._missing

    def waited(self, in_time: bool) -> None:
        """The replies are in, or time is up. Raises ClientGone when the client has left."""
        if self._errand is not None:
            self._errand.waited += time.monotonic() - self._since
        if not in_time and self.call.is_given_up:
            if self._errand is not None:
                self._errand.check()
            raise gone()
        self._is_late = not in_time

    def land(self) -> list[Result]:
        """The results that are new; of all that are missing, if they are not waited for any more.

        Raises what a filter raises; then everything is given up.
        """
        new: list[Result] = []
        try:
            for each in self._collections:
                new += each.land()
            # Not by what is new here: another wait for the same may have taken some meanwhile.
            self._missing = sum(part.missing for part in self._parts)
            self._taken = sum(part.taken for part in self._parts)
            why = self._why_not_wait() if self._missing else None
            if why is not None:
                self.cancel()
                for each in self._collections:
                    new += each.give_up(why)
                self._missing = 0
        except BaseException:
            self.cancel()
            raise
        return new

    def cancel(self) -> None:
        """Give up what is out."""
        for part in self._parts:
            if part.missing:
                self._engine.cancel(part.call)

    def close(self) -> None:
        """The wait is over, one way or another."""
        if isinstance(self._call, Bundle):
            self._call.close()

    def _normal(self) -> int:
        return sum(each.normal for each in self._collections)

    def _why_not_wait(self) -> Callable[[Call, int], Reply] | None:
        """What is said of those missing, if nobody waits for them."""
        enough = self._enough
        if enough is not None:
            normal = self._normal()
            if normal >= enough.number:
                return _unneeded(f"{_results(enough.number)} enough")
            if enough.is_quorum and normal + self._missing < enough.number:
                return _unneeded(f"{_results(enough.number)} wanted, which cannot be had any more")
        return self._late if self._is_late else None

    def _late(self, call: Call, member: int) -> Reply:
        waited = max(0.0, self.deadline - call.sent_at)
        node = call.nodes[member]
        msg = f"no answer from {node} within {round(waited, 3):g} s"
        if self._is_clipped:
            msg += ", which was all the time that the request had left"
        return Reply(member, node, Status.TIMEOUT, 0, msg, (), b"", waited)


def _unneeded(why: str) -> Callable[[Call, int], Reply]:
    def reply(call: Call, member: int) -> Reply:
        node = call.nodes[member]
        waited = time.monotonic() - call.sent_at
        msg = f"{node} was not waited for after {waited:.3f} s: {why}"
        return Reply(member, node, Status.TIMEOUT, 0, msg, (), b"", waited)

    return reply


def _results(count: int) -> str:
    return "1 normal result was" if count == 1 else f"{count} normal results were"
