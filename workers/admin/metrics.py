"""The figures of the whole server as Prometheus wants them, by its client library. Pure.

Counters and histograms are those of the ledger, so they are the server's, not those of the worker
that answers, and never go backwards. Durations are in seconds; a histogram shows some of the
buckets that are counted, see `buckets.SHOWN`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from skitaid.workers.buckets import NOTHING, SHOWN, Counts
from skitaid.workers.ledger import Key

from .document import Cluster, Status


class Metrics(Collector):
    """Of one moment. totals: of the ledger, from which `status` was made."""

    def __init__(self, status: Status, totals: Mapping[Key, Counts]) -> None:
        self._status = status
        self._totals = totals

    def text(self, accept: str) -> tuple[bytes, str]:
        """(body, content type): Prometheus' text format, or OpenMetrics for who prefers it."""
        encode, kind = choose_encoder(accept)
        return encode(self), kind

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        yield from self._server()
        yield from self._workers()
        yield from self._requests()
        yield from self._routes()
        yield from self._upstream()
        yield from _members([*self._status.clusters, *self._status.databases])
        yield from self._cache()

    def _server(self) -> Iterator[Metric]:
        server = self._status.server
        about = {"name": server.name, "version": server.version, "python": server.python}
        yield InfoMetricFamily("skitai", "What runs here.", about)
        yield _gauge("start_time_seconds", "When the server was started.", server.started)
        yield _gauge("generation", "Of code and conf; each reload is one more.", server.generation)
        change = server.last_change
        failed = change is not None and change.error != ""
        yield _gauge("last_reload_failed", "1: the last reload or restart was abandoned.", failed)
        expiry = GaugeMetricFamily(
            "skitai_certificate_expires_timestamp_seconds",
            "When the certificate that clients are shown expires.",
            labels=["file"],
        )
        for each in self._status.tls:
            expiry.add_metric([each.file], each.not_after)
        yield expiry

    def _workers(self) -> Iterator[Metric]:
        workers = self._status.workers
        states = GaugeMetricFamily("skitai_workers", "Worker processes.", labels=["state"])
        counted = Counter(each.state for each in workers)
        for state in ("booting", "ready", "retiring", "stopping"):
            states.add_metric([state], counted[state])
        yield states
        silent = sum(not each.answers for each in workers)
        yield _gauge("workers_silent", "Workers whose event loop gives no answer.", silent)
        for field, name, meaning in (
            ("connections", "connections", "Open connections of clients."),
            ("in_flight", "requests_in_flight", "Requests received and not yet answered."),
            ("running", "handlers_running", "Handlers that hold a run slot."),
            ("parked", "handlers_parked", "Handlers that wait for results."),
            ("queued", "requests_queued", "Requests that wait for a handler thread."),
            ("threads", "run_slots", "Handlers that may run at once."),
            ("rss", "resident_memory_bytes", "Memory of all workers; shared pages count in each."),
        ):
            yield _gauge(name, meaning, sum(map(attrgetter(field), workers)))
        cpu = self._totals.get(("cpu", ""), NOTHING).seconds
        yield _counter("cpu_seconds", "CPU time of all workers.", cpu)

    def _requests(self) -> Iterator[Metric]:
        totals = self._totals
        requests = CounterMetricFamily(
            "skitai_requests",
            "Requests that were answered, by what has answered and the class of the status.",
            labels=["kind", "status"],
        )
        for (kind, status), counts in _grouped(totals, "route", lambda key: (key[1], key[-1])):
            requests.add_metric([kind, status], counts.count)
        yield requests
        refused = totals.get(("counter", "refused"), NOTHING).count
        yield _counter("requests_refused", "What could not be read as a request.", refused)
        took = HistogramMetricFamily(
            "skitai_request_seconds",
            "From the first byte of a request to the end of its answer.",
            labels=["status"],
        )
        for (status,), counts in _grouped(totals, "route", lambda key: (key[-1],)):
            _fill(took, [status], counts)
        yield took
        queue = HistogramMetricFamily(
            "skitai_queue_seconds",
            "From a request's being complete to the start of its handler.",
            labels=[],
        )
        _fill(queue, [], totals.get(("wait", ""), NOTHING))
        yield queue

    def _routes(self) -> Iterator[Metric]:
        labels = ["rule", "methods", "status"]
        requests = CounterMetricFamily(
            "skitai_route_requests", "Requests by the rule that has answered.", labels=labels
        )
        seconds = CounterMetricFamily(
            "skitai_route_seconds", "Time that these requests took together.", labels=labels
        )
        for names, counts in _grouped(self._totals, "route", _rule):
            requests.add_metric(names, counts.count)
            seconds.add_metric(names, counts.seconds)
        yield requests
        yield seconds

    def _upstream(self) -> Iterator[Metric]:
        took = HistogramMetricFamily(
            "skitai_upstream_seconds",
            'Requests to other servers; cluster "" is those named by a URL.',
            labels=["cluster", "outcome"],
        )
        for names, counts in _grouped(self._totals, "member", lambda key: (key[1], key[3])):
            _fill(took, names, counts)
        yield took
        requests = CounterMetricFamily(
            "skitai_member_requests",
            "Requests to each member of a cluster.",
            labels=["cluster", "member", "outcome"],
        )
        for names, counts in _grouped(self._totals, "member", lambda key: key[1:]):
            requests.add_metric(names, counts.count)
        yield requests

    def _cache(self) -> Iterator[Metric]:
        cache = self._status.cache
        yield _counter("cache_hits", "Calls answered from the result cache.", cache.hits)
        yield _counter("cache_misses", "Calls that were not.", cache.misses)
        yield _counter(
            "cache_joined", "Of these, those that joined another's flight.", cache.joined
        )
        yield _gauge("cache_entries", "Results in the caches of all workers.", cache.entries)
        yield _gauge("cache_bytes", "Their size, about.", cache.size)


def _rule(key: Key) -> Key:
    _, kind, methods, rule, _, status = key
    return rule or f"({kind})", methods, status


def _grouped(
    totals: Mapping[Key, Counts], kind: str, labels: Callable[[Key], Key]
) -> list[tuple[Key, Counts]]:
    """What is counted of a kind, added up by the labels that are shown."""
    found: dict[Key, Counts] = {}
    for key, counts in totals.items():
        if key[0] == kind and any(counts.cells):
            shown = labels(key)
            found[shown] = found[shown] + counts if shown in found else counts
    return sorted(found.items())


def _members(clusters: Sequence[Cluster]) -> Iterator[Metric]:
    names = ["cluster", "member"]
    up = GaugeMetricFamily("skitai_member_up", "1: it is asked as usual.", labels=names)
    in_flight = GaugeMetricFamily(
        "skitai_member_in_flight", "Requests to it that are out now.", labels=names
    )
    ewma = GaugeMetricFamily(
        "skitai_member_ewma_seconds", "Moving average of its latency.", labels=names
    )
    pool = GaugeMetricFamily(
        "skitai_pool_connections", "Connections to it, by state.", labels=[*names, "state"]
    )
    waiting = GaugeMetricFamily(
        "skitai_pool_waiting", "Requests that wait for a connection.", labels=names
    )
    for cluster in clusters:
        for member in cluster.members:
            who = [cluster.name, member.node]
            up.add_metric(who, member.state == "up")
            in_flight.add_metric(who, member.in_flight)
            ewma.add_metric(who, member.ewma or 0.0)
            waiting.add_metric(who, member.pool.waiting)
            for state in ("busy", "idle", "opening"):
                pool.add_metric([*who, state], getattr(member.pool, state))
    yield from (up, in_flight, ewma, pool, waiting)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"skitai_{name}", meaning, value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"skitai_{name}", meaning, value)


def _fill(family: HistogramMetricFamily, labels: Sequence[str], counts: Counts) -> None:
    buckets = [(f"{bound:g}", float(counts.up_to(bound))) for bound in SHOWN]
    buckets.append(("+Inf", float(counts.count)))
    family.add_metric(labels, buckets, counts.seconds)
