"""From replies as they land to results in their order.

`Collection` is the book of one handle: its calls, and what has become of them. `Gathering` is one
wait for one collection or several: it says how many replies are needed next, is told when they are
in or when time is up, and gives up what is not needed any more. Neither waits itself, so there is
one set of rules for plain handlers, which park, and async ones, which await.

Used by the waiting handler's thread alone; the loop only appends to `Call.replies`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from skitai.decoding import Decode
from skitai.engine import Bundle, Call, Engine, Reply
from skitai.errand import Errand, gone
from skitai.keeping import Source
from skitai.results import Result, Status

Filter = Callable[[Result], object]


class Enough(NamedTuple):
    """A wait is over with so many normal results.

    is_quorum: also when they cannot come any more.
    """

    number: int
    is_quorum: bool


@dataclass(slots=True, eq=False)
class _Part:
    """One call of a collection. start: the place of its first member. taken: replies seen."""

    call: Call
    decode: Decode
    source: Source
    start: int
    taken: int = 0

    @property
    def missing(self) -> int:
        return len(self.call.nodes) - self.taken


class Collection:
    """The results of one handle: in the order of its calls, of a map in the order of the conf.

    last_sent: monotonic. normal: how many of them are. has_failed: the filter raised, so that they
    will never be whole.
    """

    __slots__ = ("_filter", "_open", "_places", "has_failed", "last_sent", "normal")

    def __init__(self, filter: Filter | None) -> None:
        self._filter = filter
        self._places: list[Result | None] = []
        self._open: list[_Part] = []
        self.normal = 0
        self.last_sent = 0.0
        self.has_failed = False

    def __len__(self) -> int:
        return len(self._places)

    @property
    def has_filter(self) -> bool:
        """Whether results are to be taken one by one, while others are out."""
        return self._filter is not None

    @property
    def open(self) -> Sequence[_Part]:
        """The calls of which not all replies were taken."""
        return self._open

    def add(self, call: Call, decode: Decode, source: Source) -> None:
        """One more call, which has its nodes."""
        self._open.append(_Part(call, decode, source, len(self._places)))
        self._places.extend([None] * len(call.nodes))
        self.last_sent = call.sent_at

    def landed(self) -> Iterator[Result]:
        """What has come and was not taken yet. Raises what the filter raises."""
        for part in list(self._open):
            replies = part.call.replies
            while part.taken < len(replies):
                part.taken += 1
                yield self._take(part, replies[part.taken - 1])
            self._close_if_complete(part)

    def give_up(self, why: Callable[[Call, int], Reply]) -> Iterator[Result]:
        """Take `why(call, member)` for each missing reply. Raises what the filter raises."""
        for part in list(self._open):
            for member in range(len(part.call.nodes)):
                if self._places[part.start + member] is None:
                    part.taken += 1
                    yield self._take(part, why(part.call, member))
            self._close_if_complete(part)

    def so_far(self) -> list[Result]:
        """Those that were taken, in their order."""
        return [each for each in self._places if each is not None]

    def _take(self, part: _Part, reply: Reply) -> Result:
        result = part.decode(reply)
        part.source.gave(result)
        if self._filter is not None:
            try:
                self._filter(result)
            except BaseException:
                self.has_failed = True
                raise
        self._places[part.start + reply.member] = result
        self.normal += result.ok
        return result

    def _close_if_complete(self, part: _Part) -> None:
        if not part.missing:
            self._open.remove(part)


class Gathering:
    """One wait for all of several collections.

    for result in gathering.land(): ...
    while wanted := gathering.wanted():
        gathering.waited(engine.wait(gathering.call, wanted, gathering.deadline))
        for result in gathering.land(): ...
    """

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
        """deadline: monotonic. one_by_one: each result is wanted as soon as it lands."""
        self._engine = engine
        self._collections = collections
        self._errand = errand
        self._enough = enough
        self._step = one_by_one or any(each.has_filter for each in collections)
        self._is_clipped = errand is not None and errand.deadline < deadline
        self._parts = [part for each in collections for part in each.open]
        self._is_late = False
        self._call: Call | Bundle | None = None
        self.deadline = errand.deadline if errand is not None and self._is_clipped else deadline

    @property
    def call(self) -> Call | Bundle:
        """What to wait for. Only after `wanted`."""
        assert self._call is not None
        return self._call

    def wanted(self) -> int:
        """How many replies of `call` are to be waited for; 0 when it is over. Raises ClientGone."""
        missing = self._missing()
        if not missing:
            return 0
        if self._errand is not None:
            self._errand.check()
        if self._call is None:
            calls = [part.call for part in self._parts]
            self._call = calls[0] if len(calls) == 1 else Bundle(calls)
        more = missing
        if self._step:
            more = 1
        elif self._enough is not None:
            more = min(missing, self._enough.number - self._normal())
        return sum(part.taken for part in self._parts) + more

    def waited(self, in_time: bool) -> None:
        """The replies are in, or time is up. Raises ClientGone when the client has left."""
        if not in_time and self.call.is_given_up:
            if self._errand is not None:
                self._errand.check()
            raise gone()
        self._is_late = not in_time

    def land(self) -> Iterator[Result]:
        """The results that are new; of all that are missing, if they are not waited for any more.

        Raises what a filter raises; then everything is given up.
        """
        try:
            for each in self._collections:
                yield from each.landed()
            why = self._why_not_wait()
            if why is not None and self._missing():
                self.cancel()
                for each in self._collections:
                    yield from each.give_up(why)
        except GeneratorExit:
            raise  # the app has left its loop; what is out goes on
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Give up what is out."""
        for part in self._parts:
            if part.missing:
                self._engine.cancel(part.call)

    def close(self) -> None:
        """The wait is over, one way or another."""
        if isinstance(self._call, Bundle):
            self._call.close()

    def _missing(self) -> int:
        return sum(part.missing for part in self._parts)

    def _normal(self) -> int:
        return sum(each.normal for each in self._collections)

    def _why_not_wait(self) -> Callable[[Call, int], Reply] | None:
        """What is said of those missing, if nobody waits for them."""
        enough = self._enough
        if enough is not None:
            normal = self._normal()
            if normal >= enough.number:
                return _unneeded(f"{_were(enough.number)} enough")
            if enough.is_quorum and normal + self._missing() < enough.number:
                return _unneeded(f"{_results(enough.number)} cannot be had any more")
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
    return "1 normal result" if count == 1 else f"{count} normal results"


def _were(count: int) -> str:
    return f"{_results(count)} {'was' if count == 1 else 'were'}"
