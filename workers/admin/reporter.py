"""Puts together what this worker tells of itself; see `report`.

Runs on the loop, when somebody asks. It looks at what is there anyway: nothing is noted down for it
while requests are served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from skitai.app import Application
from skitaid.workers.clients.cluster import Cluster as ClusterAtWork
from skitaid.workers.clients.reporting import reports
from skitaid.workers.heartbeat import Handlers, resident
from skitaid.workers.settings import AppRoute, Settings, Tls

from .document import App, Cache, Certificate, Package
from .errors import Errors
from .report import ClusterReport, WorkerReport
from .slow import Slow


class Reporter(msgspec.Struct, frozen=True):
    """Of one worker. apps: by the file of their route; failure_of: why it does not import."""

    ordinal: int
    settings: Settings
    apps: Mapping[str, Application]
    failure_of: Callable[[str], str]
    clusters: Mapping[str, ClusterAtWork]
    cache: Callable[[], Mapping[str, Any]]
    handlers: Callable[[], Handlers]
    slow: Slow
    errors: Errors

    def report(self) -> WorkerReport:
        """As of now."""
        handlers, now = self.handlers(), time.monotonic()
        return WorkerReport(
            ordinal=self.ordinal,
            running=handlers.running,
            parked=handlers.parked,
            queued=handlers.queued,
            cpu=time.process_time(),
            rss=resident(),
            clusters=[
                self._cluster(self.clusters[each.name], each.balance, now)
                for each in self.settings.http_clusters.values()
            ],
            databases=[
                self._cluster(self.clusters[each.name], each.balance, now)
                for each in self.settings.database_clusters.values()
            ],
            cache=_cache(self.cache()),
            slow=self.slow.book(),
            errors=self.errors.book(),
            apps=[
                self._app(route) for route in self.settings.routes if isinstance(route, AppRoute)
            ],
            tls=_certificates(self.settings.tls),
        )

    def _cluster(self, cluster: ClusterAtWork, balance: str, now: float) -> ClusterReport:
        left = cluster.budget.left(now)
        return ClusterReport(cluster.name, balance, left, reports(cluster.members))

    def _app(self, route: AppRoute) -> App:
        app = self.apps[route.file]
        return App(
            prefix=route.prefix,
            name=app.import_name,
            file=route.file,
            is_devel=app.is_devel(),
            loaded=app.loaded,
            error=self.failure_of(route.file),
            packages=[
                Package(each.module.__name__, each.module.__file__ or "", each.loaded)
                for each in app.family()
                if each is not app and each.module is not None
            ],
        )


def _certificates(tls: Tls | None) -> list[Certificate]:
    now = time.time()
    return [
        Certificate(each.file, list(each.names), each.not_after, each.not_after - now)
        for each in (tls.certificates if tls else ())
    ]


def _cache(status: Mapping[str, Any]) -> Cache:
    return Cache(
        entries=status.get("entries", 0),  # a server that is shared tells neither
        size=status.get("bytes", 0),
        hits=status["hits"],
        misses=status["misses"],
        joined=status["joined"],
        flights=status["flights"],
    )
