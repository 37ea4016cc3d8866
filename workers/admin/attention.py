"""What an operator should look at first, and where on the page it is. Pure.

The rules are few and each is a sentence, since a list that is never empty is never read. What a
drained member does is what somebody wanted, so it is not here; that nobody is left to ask, is.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from . import wording
from .document import Cluster, Status

RECENT = 300.0  # seconds for which an error of the log counts as news
ERRORS_OF_REQUESTS = 0.01  # of the last minute's requests, from which on it is said
MANY_ERRORS = 0.05
EXPIRES_SOON = 14 * 86400.0  # seconds, for a certificate
EXPIRES_VERY_SOON = 3 * 86400.0


class Finding(msgspec.Struct, frozen=True):
    """level: "bad" if clients notice it, else "warn". place: an id of the page."""

    level: str
    text: str
    place: str


def findings(status: Status) -> list[Finding]:
    """The worst first."""
    found = [
        *_server(status),
        *_workers(status),
        *_requests(status),
        *_clusters(status),
        *_rest(status),
    ]
    return sorted(found, key=lambda each: each.level != "bad")


def _server(status: Status) -> Iterator[Finding]:
    server = status.server
    if server.state != "serving":
        yield Finding("warn", f"The server is {server.state}.", "workers")
    if server.last_change is not None and server.last_change.error:
        what = "The last reload or restart was abandoned; the code and conf before it go on."
        yield Finding("bad", what, "last-change")
    if server.crashes:
        failed = wording.plural(server.crashes, "failure")
        yield Finding("bad", f"Workers die: {failed} in a row.", "last-error")


def _workers(status: Status) -> Iterator[Finding]:
    ready = sum(each.state == "ready" for each in status.workers)
    if status.server.state == "serving" and ready < status.server.processes:
        yield Finding("warn", f"{ready} of {status.server.processes} workers are ready.", "workers")
    for worker in status.workers:
        if worker.state == "ready" and not worker.answers:
            silent = "" if worker.silent is None else f"; silent for {wording.span(worker.silent)}"
            text = f"Worker {worker.ordinal} does not answer{silent}."
            yield Finding("bad", text, worker_place(worker.ordinal))


def _requests(status: Status) -> Iterator[Finding]:
    history = status.history
    last = max(1, round(60.0 / history.every)) if history.every else 1
    answered, failed = sum(history.requests[-last:]), sum(history.errors[-last:])
    if failed > answered * ERRORS_OF_REQUESTS:
        level = "bad" if failed > answered * MANY_ERRORS else "warn"
        part = wording.share(failed, answered)
        yield Finding(level, f"{part} of the last minute's requests failed (5xx).", "routes")
    queued = sum(each.queued for each in status.workers)
    if queued:
        waiting = wording.plural(queued, "request waits", "requests wait")
        yield Finding("warn", f"{waiting} for a handler thread.", "workers")


def _clusters(status: Status) -> Iterator[Finding]:
    for cluster in (*status.clusters, *status.databases):
        usable = sum(each.state == "up" for each in cluster.members)
        if cluster.members and not usable:
            text = f"@{cluster.name} has no member that is up."
            yield Finding("bad", text, cluster_place(cluster.name))
        yield from _members(cluster)


def _members(cluster: Cluster) -> Iterator[Finding]:
    for member in cluster.members:
        name = f"{member.node} of @{cluster.name}"
        if member.state in ("ejected", "down"):
            why = f": {member.last_error}" if member.last_error else "."
            place = member_place(cluster.name, member.node)
            yield Finding("bad", f"{name} is {member.state}{why}", place)
        if member.pool.waiting:
            waiting = wording.plural(member.pool.waiting, "request waits", "requests wait")
            place = pool_place(cluster.name, member.node)
            yield Finding("warn", f"{waiting} for a connection to {name}.", place)


def _rest(status: Status) -> Iterator[Finding]:
    for certificate in status.tls:
        left = certificate.expires_in
        name = ", ".join(certificate.names) or certificate.file
        if left <= 0:
            yield Finding("bad", f"The certificate of {name} has expired.", "tls")
        elif left < EXPIRES_SOON:
            level = "bad" if left < EXPIRES_VERY_SOON else "warn"
            yield Finding(level, f"The certificate of {name} ends in {wording.span(left)}.", "tls")
    for app in status.apps:
        if app.error:
            yield Finding("bad", f"The changed file of {app.prefix} does not import.", "apps")
    news = [each for each in status.errors if each.at > status.server.time - RECENT]
    if news:
        kinds = wording.plural(len(news), "kind of error", "kinds of errors")
        text = f"{kinds} in the log within {wording.span(RECENT)}: {first_line(news[0].message)}"
        yield Finding("warn", text, "errors")


def first_line(text: str) -> str:
    """As much of it as is read at a glance."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 120 else line[:119] + "…"


def worker_place(ordinal: int) -> str:
    return f"worker-{ordinal}"


def cluster_place(name: str) -> str:
    return wording.anchor("cluster", name)


def member_place(cluster: str, node: str) -> str:
    return wording.anchor("member", cluster, node)


def pool_place(cluster: str, node: str) -> str:
    return wording.anchor("pool", cluster, node)
