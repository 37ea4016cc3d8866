"""From replies as they land to results in their order: the book of one handle.

Used by the waiting handler's thread alone; the loop only appends to `Call.replies`.
"""

from __future__ import annotations

from collections.abc import Callable

from skitai.decoding import Decode
from skitai.engine import Call, Reply
from skitai.keeping import Source
from skitai.results import Result, Status

Filter = Callable[[Result], object]


class Part:
    """One call of a collection.

    start: the place of its first member. taken: replies seen. missing: those that are not.
    """

    __slots__ = ("call", "decode", "missing", "source", "start", "taken")

    def __init__(self, call: Call, decode: Decode, source: Source, start: int) -> None:
        self.call = call
        self.decode = decode
        self.source = source
        self.start = start
        self.taken = 0
        self.missing = len(call.nodes)


class Collection:
    """The results of one handle: in the order of its calls, of a map in the order of the conf.

    last_sent: monotonic. normal: how many of them are. has_failed: the filter raised, so that they
    will never be whole.
    """

    __slots__ = ("_places", "filter", "has_failed", "last_sent", "normal", "open")

    def __init__(self, filter: Filter | None) -> None:
        self.filter = filter
        self.open: list[Part] = []  # the calls of which not all replies were taken
        self.last_sent = 0.0
        self.normal = 0
        self.has_failed = False
        self._places: list[Result | None] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, call: Call, decode: Decode, source: Source) -> None:
        """One more call, which has its nodes."""
        self.open.append(Part(call, decode, source, len(self._places)))
        self._places += (None,) * len(call.nodes)
        self.last_sent = call.sent_at

    def land(self) -> list[Result]:
        """Take what has come. Raises what the filter raises."""
        new: list[Result] = []
        for part in self.open:
            replies = part.call.replies
            while part.taken < len(replies):
                new.append(self._take(part, replies[part.taken]))
        if new:
            self._close_complete()
        return new

    def give_up(self, why: Callable[[Call, int], Reply]) -> list[Result]:
        """Take `why(call, member)` for each missing reply. Raises what the filter raises."""
        new = [
            self._take(part, why(part.call, member))
            for part in self.open
            for member in range(len(part.call.nodes))
            if self._places[part.start + member] is None
        ]
        self._close_complete()
        return new

    def so_far(self) -> list[Result]:
        """Those that were taken, in their order."""
        return [each for each in self._places if each is not None]

    def _take(self, part: Part, reply: Reply) -> Result:
        part.taken += 1
        part.missing -= 1
        result = part.decode(reply)
        part.source.gave(result)
        if self.filter is not None:
            try:
                self.filter(result)
            except BaseException:
                self.has_failed = True
                raise
        self._places[part.start + reply.member] = result
        self.normal += result.status is Status.NORMAL
        return result

    def _close_complete(self) -> None:
        self.open = [part for part in self.open if part.missing]
