"""What apps may see of their worker: the views behind `was.threads`, `was.clusters` and so on.

Read only, and asked from any thread while the loop goes on: each number is right by itself, two
of them may be of different moments. Nothing is counted for them that is not counted anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from skitai import resources
from skitai.app import Application
from skitai.wasc import Wasc

from .clients import reporting
from .clients.cluster import Cluster, ClusterMember
from .clients.flights import Flights
from .member_report import MemberReport
from .scoreboard import Field, Slot
from .settings import AppRoute, Settings
from .threads import HandlerThreads
from .web.proxy_cache import Store

SOCKETPOOL = "socketpool"  # the original's name for the servers that was.wget and was.rpc ask


def register(
    wasc: Wasc,
    settings: Settings,
    threads: HandlerThreads,
    slot: Slot,
    apps: Mapping[str, Application],
    clusters: Mapping[str, Cluster],
    origins: Callable[[], Sequence[ClusterMember]],
    flights: Flights,
    caches: AnswerCaches,
) -> None:
    """Give them all to `was`. apps: by the file of their route. origins: servers named by a URL."""
    # Annotated as `was` promises them, since `register` takes anything.
    threads_seen: resources.Threads = Threads(threads, settings.threads_max)
    queue: resources.Queue = Queue(threads, settings.limits.queue)
    lifetime: resources.Lifetime = Lifetime(slot)
    clusters_seen: Mapping[str, resources.Cluster] = Clusters(clusters, origins)
    wasc.register("threads", threads_seen)
    wasc.register("queue", queue)
    wasc.register("lifetime", lifetime)
    wasc.register("apps", Apps(settings, apps))
    wasc.register("clusters", clusters_seen)
    wasc.register("rcache", ResultCache(flights))
    wasc.register("cachefs", caches)


class Threads:
    """See `skitai.resources`, as for the others."""

    def __init__(self, threads: HandlerThreads, maximum: int) -> None:
        self._threads = threads
        self.maximum = maximum

    @property
    def running(self) -> int:
        return self._threads.counts().running

    @property
    def parked(self) -> int:
        return self._threads.counts().parked

    @property
    def idle(self) -> int:
        return self._threads.counts().idle

    def status(self) -> dict[str, Any]:
        counts = self._threads.counts()
        return {
            "running": counts.running,
            "parked": counts.parked,
            "idle": counts.idle,
            "maximum": self.maximum,
        }


class Queue:
    """Requests without a thread."""

    def __init__(self, threads: HandlerThreads, maximum: int) -> None:
        self._threads = threads
        self.max = maximum

    @property
    def qsize(self) -> int:
        return self._threads.counts().queued

    def status(self) -> dict[str, Any]:
        return {"qsize": self.qsize, "max": self.max}


class Lifetime:
    """From the worker's boot on."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._began = time.monotonic()
        self.started = time.time()

    @property
    def uptime(self) -> float:
        return time.monotonic() - self._began

    @property
    def requests(self) -> int:
        return self._slot[Field.REQUESTS]

    def status(self) -> dict[str, Any]:
        return {"started": self.started, "uptime": self.uptime, "requests": self.requests}


class ResultCache:
    """The results that are kept."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights

    def status(self) -> dict[str, Any]:
        return self._flights.status()


class AnswerCaches:
    """The answers of members that are kept. stores: by cluster, there when routes are."""

    def __init__(self) -> None:
        self.stores: Mapping[str, Store] = {}

    def status(self) -> dict[str, Any]:
        return {f"@{name}": store.status() for name, store in self.stores.items()}


class Apps(Mapping[str, Application]):
    """The apps by the prefix of their route; of several on one prefix the one asked first."""

    def __init__(self, settings: Settings, apps: Mapping[str, Application]) -> None:
        self._apps = apps  # by file: one that was imported anew is in its place there
        self._files: dict[str, str] = {}
        for route in settings.routes:
            if isinstance(route, AppRoute):
                self._files.setdefault(route.prefix, route.file)

    def __getitem__(self, prefix: str) -> Application:
        return self._apps[self._files[prefix]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def status(self) -> dict[str, Any]:
        return {prefix: app.import_name for prefix, app in self.items()}


class ClusterView:
    """A cluster that is asked what its members do. members: as they are by then."""

    def __init__(self, members: Callable[[], Sequence[ClusterMember]]) -> None:
        self._members = members

    @property
    def members(self) -> tuple[resources.Member, ...]:
        return tuple(reporting.reports(self._members()))

    def status(self) -> dict[str, Any]:
        return {"members": [_plain(each) for each in reporting.reports(self._members())]}


class Clusters(Mapping[str, ClusterView]):
    """The clusters of the conf, by name with or without the @, and the servers without one."""

    def __init__(
        self, clusters: Mapping[str, Cluster], origins: Callable[[], Sequence[ClusterMember]]
    ) -> None:
        self._views = {
            name: ClusterView(lambda each=each: each.members)  # type: ignore[misc]
            for name, each in clusters.items()
        }
        self._views.setdefault(SOCKETPOOL, ClusterView(origins))

    def __getitem__(self, name: str) -> ClusterView:
        return self._views[name.removeprefix("@")]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def status(self) -> dict[str, Any]:
        return {name: each.status() for name, each in self._views.items()}


def _plain(report: MemberReport) -> dict[str, Any]:
    named = {"address": report.address, "is_ejected": report.is_ejected}
    return {**msgspec.to_builtins(report), **named}
