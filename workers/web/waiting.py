"""The requests of one connection that wait for their turn, in order. On the loop."""

from __future__ import annotations

from collections import deque

from skitai.request import Request

from .body import BodySink
from .framing import Refusal


class Waiting:
    """A request that has arrived. sink: what still stores its body, None when it is complete."""

    __slots__ = ("keep_alive", "request", "sink")

    def __init__(self, request: Request, keep_alive: bool, sink: BodySink | None) -> None:
        self.request = request
        self.keep_alive = keep_alive
        self.sink = sink


# A refusal is the last: nothing is heard after it.
Queue = deque[Waiting | Refusal]


def take(queue: Queue) -> Waiting | Refusal | None:
    """Out of the queue comes its first, unless that is not complete."""
    if not queue or (isinstance(queue[0], Waiting) and queue[0].sink is not None):
        return None
    return queue.popleft()


def complete(queue: Queue, sink: BodySink) -> None:
    """The request of this sink is."""
    for each in queue:
        if isinstance(each, Waiting) and each.sink is sink:
            each.sink = None


def cut(queue: Queue, sink: BodySink) -> None:
    """The request of this sink goes, if it is here, and all behind it."""
    for at, each in enumerate(queue):
        if isinstance(each, Waiting) and each.sink is sink:
            while len(queue) > at:
                _drop(queue.pop())
            return


def cut_unfinished(queue: Queue) -> None:
    """The last goes, if it is one whose body was to be passed on and will not come any more."""
    last = queue[-1] if queue else None
    incoming = last.request.incoming if isinstance(last, Waiting) else None
    if incoming is not None and not incoming.is_whole:
        queue.pop()


def clear(queue: Queue) -> None:
    """All go."""
    while queue:
        _drop(queue.pop())


def _drop(entry: Waiting | Refusal) -> None:
    if isinstance(entry, Waiting) and entry.sink is not None:
        entry.sink.abandon()
