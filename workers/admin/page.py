"""The status page: the document as HTML, in parts. Pure, and run outside the loop.

What a busy server has thousands of is cut to what is read: the busiest routes, the slowest
requests. All of it is in status.json, and all routes on a page of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from . import charts, wording
from .attention import EXPIRES_SOON, findings, member_place, pool_place
from .attention import cluster_place as place_of_cluster
from .document import Certificate, Cluster, Route, SlowRequest, Status, Wait
from .parts import ROWS, Part, whole
from .templating import environment

ROUTES_MAX = 50
SLOW_MAX = 20
WAITS_MAX = 10  # of one slow request
ERRORS_MAX = 20
FINDINGS_MAX = 12

_PHASES = ("arrival", "queue", "running", "waiting", "response")


class Tile(msgspec.Struct, frozen=True):
    """A figure that is read first."""

    name: str
    value: str
    more: str


class Phase(msgspec.Struct, frozen=True):
    """Of a slow request. start, width: in percent of its bar."""

    name: str
    start: float
    width: float
    text: str

    @property
    def told(self) -> str:
        """For who does not see the bar."""
        return f"{self.name} {self.text}"


class Page:
    """Of one server. admin_path: as in the conf, without slash at its end."""

    def __init__(self, admin_path: str) -> None:
        self._path = admin_path
        self._base = f"{admin_path}/status"

    def whole(self, status: Status, token: str, notice: str = "") -> bytes:
        """The page. token: for its forms. notice: what has just been done; "": nothing."""
        html = whole(self.parts(status))
        name = status.server.name
        return self.render("page.html", name=name, parts=html, token=token, notice=notice)

    def all_routes(self, status: Status) -> bytes:
        """The page with every route."""
        part = self._routes(status.routes, len(status.routes)).html
        server = status.server
        return self.render("all_routes.html", name=server.name, time=server.time, part=part)

    def render(self, template: str, **values: Any) -> bytes:
        """One of the pages."""
        return self._text(template, **values).encode("utf-8", "replace")

    def parts(self, status: Status) -> dict[str, Part]:
        """All of the page that lives."""
        return {
            "head": Part(self._text("head.html", server=status.server, tiles=list(_tiles(status)))),
            "attention": self._attention(status),
            "charts": self._charts(status),
            "workers": self._workers(status),
            "clusters": self._clusters(status),
            "slow": self._slow(status),
            "routes": self._routes(status.routes, ROUTES_MAX),
            "pools": self._pools(status),
            "errors": self._errors(status),
            "cache": Part(self._text("cache.html", cache=status.cache)),
            "apps": self._apps(status),
            "tls": self._tls(status),
            "server": self._server(status),
        }

    # --- parts ---

    def _attention(self, status: Status) -> Part:
        found = findings(status)
        more = max(0, len(found) - FINDINGS_MAX)
        return Part(self._text("attention.html", found=found[:FINDINGS_MAX], more=more))

    def _charts(self, status: Status) -> Part:
        history = status.history
        since = wording.span(len(history.ends) * history.every)
        drawn = charts.charts(history)
        size = {"width": charts.WIDTH, "height": charts.HEIGHT}
        return Part(self._text("charts.html", charts=drawn, since=since, **size))

    def _workers(self, status: Status) -> Part:
        ready = sum(each.state == "ready" for each in status.workers)
        rows = {f"worker-{each.ordinal}": _row("worker", each) for each in status.workers}
        return self._part("workers.html", rows, ready=ready, wanted=status.server.processes)

    def _clusters(self, status: Status) -> Part:
        rows = {}
        for clusters, is_database in ((status.clusters, False), (status.databases, True)):
            for cluster in clusters:
                place = place_of_cluster(cluster.name)
                members = [
                    (
                        each,
                        member_place(cluster.name, each.node),
                        pool_place(cluster.name, each.node),
                    )
                    for each in cluster.members
                ]
                rows[place] = _row("cluster", cluster, place, members, is_database)
        return self._part("clusters.html", rows)

    def _pools(self, status: Status) -> Part:
        rows = {}
        for cluster in _all_clusters(status):
            for member in cluster.members:
                at = pool_place(cluster.name, member.node)
                member_at = member_place(cluster.name, member.node)
                rows[at] = _row("pool", cluster, member, at, member_at)
        return self._part("pools.html", rows)

    def _slow(self, status: Status) -> Part:
        known = {
            (cluster.name, member.node)
            for cluster in _all_clusters(status)
            for member in cluster.members
        }
        longest = max((each.total for each in status.slow), default=0.0)
        rows = {}
        for each in status.slow[:SLOW_MAX]:
            at = wording.anchor("slow", f"{each.worker}", each.id, f"{each.at:.3f}")
            waits = [(wait, _place(wait, known)) for wait in each.waits[:WAITS_MAX]]
            more = max(0, len(each.waits) - WAITS_MAX)
            rows[at] = _row("slow", each, at, _phases(each, longest), waits, more)
        return self._part("slow.html", rows, phase_names=_PHASES)

    def _routes(self, routes: list[Route], most: int) -> Part:
        rows = {}
        for each in routes[:most]:
            at = wording.anchor("route", each.kind, each.methods, each.rule, each.handler)
            rows[at] = _row("route", each, at)
        return self._part("routes.html", rows, count=len(routes), shown=len(rows))

    def _errors(self, status: Status) -> Part:
        rows = {}
        for index, each in enumerate(status.errors[:ERRORS_MAX]):
            at = wording.anchor("error", f"{each.worker}", f"{each.first:.3f}", f"{index}")
            rows[at] = _row("error", each, at)
        return self._part("errors.html", rows, count=len(status.errors), shown=len(rows))

    def _apps(self, status: Status) -> Part:
        rows = {}
        for index, app in enumerate(status.apps):
            at = wording.anchor("app", f"{index}")
            rows[at] = _row("app", app, at)
        return self._part("apps.html", rows, answered_by=status.server.answered_by)

    def _tls(self, status: Status) -> Part:
        rows = {}
        for index, each in enumerate(status.tls):
            at = wording.anchor("certificate", f"{index}")
            rows[at] = _row("certificate", each, at, _level(each))
        return self._part("tls.html", rows)

    def _server(self, status: Status) -> Part:
        registered = {name: _json(value) for name, value in status.registered.items()}
        return Part(self._text("server.html", server=status.server, registered=registered))

    def _part(self, template: str, rows: dict[str, str], **values: Any) -> Part:
        values.setdefault("count", len(rows))
        return Part(self._text(template, rows=ROWS, **values), rows)

    def _text(self, template: str, **values: Any) -> str:
        found = environment().get_template(template)
        return found.render(path=self._path, base=self._base, **values)


def _row(macro: str, *values: Any) -> str:
    """One of rows.html."""
    rows = environment().get_template("rows.html").module
    return str(getattr(rows, macro)(*values))


def _tiles(status: Status) -> Iterator[Tile]:
    server, history, workers = status.server, status.history, status.workers
    words = wording
    requests = server.requests
    rate = history.requests[-1] if history.requests else 0.0
    failed = requests.by_class.get("5xx", 0)
    yield Tile("requests", words.count(requests.total), f"{words.count(rate)} per second")
    yield Tile("failed", words.share(failed, requests.total), f"{words.count(failed)} with 5xx")
    p95 = history.p95[-1] if history.p95 else None
    p99 = history.p99[-1] if history.p99 else None
    yield Tile("p95 now", words.seconds(p95), f"p99 {words.seconds(p99)}")
    running, slots = _sum(w.running for w in workers), _sum(w.threads for w in workers)
    flying, queued = _sum(w.in_flight for w in workers), _sum(w.queued for w in workers)
    parked = _sum(w.parked for w in workers)
    yield Tile("in flight", words.count(flying), f"{parked} parked, {queued} queued")
    yield Tile("running", f"{running} / {slots}", "handlers of run slots")
    ready = sum(w.state == "ready" for w in workers)
    memory = words.size(_sum(w.rss for w in workers))
    cpu = words.share(sum(w.cpu_share for w in workers), 1.0)
    yield Tile("workers", f"{ready} / {server.processes}", f"{cpu} CPU, {memory}")


def _sum(numbers: Iterable[int]) -> int:
    return sum(numbers)


def _all_clusters(status: Status) -> list[Cluster]:
    return [*status.clusters, *status.databases]


def _place(wait: Wait, known: set[tuple[str, str]]) -> str:
    """Where the member is on the page; "" if it is not there."""
    is_there = (wait.cluster, wait.node) in known
    return member_place(wait.cluster, wait.node) if is_there else ""


def _phases(told: SlowRequest, longest: float) -> list[Phase]:
    """Those that took time, one behind the other. longest: what is as long as the bar."""
    phases = []
    start = 0.0
    for name in _PHASES:
        took: float = getattr(told, name)
        width = round(100.0 * took / longest, 2) if longest else 0.0
        if took > 0.0:
            phases.append(Phase(name, round(start, 2), width, wording.seconds(took)))
        start += width
    return phases


def _level(certificate: Certificate) -> str:
    if certificate.expires_in <= 0:
        return "over"
    return "ending" if certificate.expires_in < EXPIRES_SOON else "valid"


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode("utf-8", "replace")
