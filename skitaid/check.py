"""What `skitaid check` says about a good conf."""

from __future__ import annotations

from skitaid.supervisor import settings as supervisor
from skitaid.supervisor.address import address
from skitaid.workers import settings as worker


def summary(settings: supervisor.Settings) -> str:
    """One line: where the server would listen, and what it would answer with."""
    inner = settings.worker
    routes = ", ".join(f"{route.prefix} = {_target(route)}" for route in inner.routes)
    clusters: list[worker.HttpCluster | worker.DatabaseCluster] = [
        *inner.http_clusters.values(),
        *inner.database_clusters.values(),
    ]
    parts = [f"{address(settings)} would serve {routes}"]
    if clusters:
        parts.append("clusters " + ", ".join(map(_cluster, clusters)))
    return "; ".join(parts)


def _target(route: worker.Route) -> str:
    match route:
        case worker.StaticRoute():
            return f"{route.directory}/"
        case worker.AppRoute():
            return route.file
        case worker.ClusterRoute():
            return f"@{route.cluster}"


def _cluster(cluster: worker.HttpCluster | worker.DatabaseCluster) -> str:
    kind = "http" if isinstance(cluster, worker.HttpCluster) else "postgresql"
    count = len(cluster.members)
    return f"@{cluster.name} ({count} {kind} member{'s' if count > 1 else ''})"
