"""What `skitaid check` says about a good conf."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

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
        parts.append(
            "clusters " + ", ".join(_cluster(each, settings.processes) for each in clusters)
        )
    return "; ".join(parts)


def warnings(settings: supervisor.Settings) -> list[str]:
    """One sentence for each route that serves what its author hardly means to show."""
    return [
        f"{route.where}: {route.prefix} = {route.directory}/ serves files as they are, and there is"
        " code among them; a route to an app names its module, as in / = app/webapp"
        for route in settings.worker.routes
        if isinstance(route, worker.StaticRoute) and _has_code(Path(route.directory))
    ]


def _has_code(directory: Path) -> bool:
    try:
        return any(directory.glob("*.py"))
    except OSError:  # who serves it will say so
        return False


def _target(route: worker.Route) -> str:
    match route:
        case worker.StaticRoute():
            return f"{route.directory}/"
        case worker.AppRoute():
            return route.file
        case worker.ClusterRoute():
            return f"@{route.cluster}"


def _cluster(cluster: worker.HttpCluster | worker.DatabaseCluster, processes: int) -> str:
    count = len(cluster.members)
    members = f"member{'s' if count > 1 else ''}"
    if isinstance(cluster, worker.HttpCluster):
        return f"@{cluster.name} ({count} http {members})"
    return f"@{cluster.name} ({count} postgresql {members}, {_worst_case(cluster, processes)})"


def _worst_case(cluster: worker.DatabaseCluster, processes: int) -> str:
    """What a server must bear. A worker that leaves may still have its share of connections."""
    servers = Counter((each.host, each.port, each.unix) for each in cluster.members)
    share = cluster.limits.connections * max(servers.values())
    whole = share * processes
    return f"at most {whole} connections to each server, {whole + share} while workers change"
