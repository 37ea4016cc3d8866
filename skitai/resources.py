"""The worker as its apps see it: what is behind `was.threads`, `was.queue` and so on.

Protocols only; the worker has what fits them. All of it is of one worker, read only, and as of
the moment it is asked, from any thread. Each has a `status()` for status pages.
"""

from __future__ import annotations

from typing import Any, Protocol


class Resource(Protocol):
    """What tells how it is."""

    def status(self) -> dict[str, Any]:
        """As names and plain values."""


class Threads(Resource, Protocol):
    """`was.threads`: the handler threads."""

    @property
    def running(self) -> int:
        """Those that run; at most `threads` of the conf."""

    @property
    def parked(self) -> int:
        """Those that wait for results."""

    @property
    def idle(self) -> int:
        """Those that have nothing to do."""

    @property
    def maximum(self) -> int:
        """As many as there may be: `threads_max` of the conf."""


class Queue(Resource, Protocol):
    """`was.queue`: the requests that wait for a handler thread."""

    @property
    def qsize(self) -> int:
        """How many there are."""

    @property
    def max(self) -> int:
        """Beyond so many the answer is 503: `max_queue` of the conf."""


class Lifetime(Resource, Protocol):
    """`was.lifetime`: this worker's."""

    @property
    def started(self) -> float:
        """When it began, epoch seconds."""

    @property
    def uptime(self) -> float:
        """Seconds since then."""

    @property
    def requests(self) -> int:
        """Requests it has answered."""


class Member(Protocol):
    """One server of a cluster, as this worker sees it."""

    @property
    def address(self) -> str:
        """ "host:port", or "unix:path"."""

    @property
    def weight(self) -> int:
        """Its share: as the conf has it, or an operator."""

    @property
    def in_flight(self) -> int:
        """Calls to it that are not answered yet."""

    @property
    def is_ejected(self) -> bool:
        """It has failed, and is left alone for a while."""

    @property
    def latency(self) -> float:
        """Seconds, the moving average that it is chosen by; 0.0 before its first answer."""

    @property
    def last_error(self) -> str:
        """Why it last failed; "" is never."""


class Cluster(Resource, Protocol):
    """One of `was.clusters`: `[@name]` of the conf, or `socketpool`, the servers named by URLs."""

    @property
    def members(self) -> tuple[Member, ...]:
        """In the order of the conf."""
