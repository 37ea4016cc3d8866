"""The status document, put together from what is shared and what each worker has told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add, attrgetter

import msgspec

from skitaid.workers.buckets import NOTHING, Counts
from skitaid.workers.control import Facts, WorkerFacts
from skitaid.workers.ledger import EVERY, Key, Step
from skitaid.workers.member_report import MemberReport
from skitaid.workers.scoreboard import Field, Slot
from skitaid.workers.standing import State
from skitaid.workers.tally import OUTCOMES

from . import document
from .document import Cache, Cluster, History, Latency, Member, Pool, Requests, Route, Worker
from .report import ClusterReport, WorkerReport

SLOW_MAX = 100  # of all workers together
ERRORS_MAX = 100

CLASSES = ("2xx", "3xx", "4xx", "5xx")

# What a member is, if workers do not agree: the first of these that any of them says.
_STATES = ("disabled", "drained", "down", "ejected", "up")

Totals = Mapping[Key, Counts]


class Figures(msgspec.Struct, frozen=True):
    """What all workers have counted together."""

    totals: Totals
    steps: Sequence[Step]
    last_step_at: float  # Unix time of the end of the last one


def latency(counts: Counts) -> Latency:
    """A row for the document."""
    count, seconds = counts.count, counts.seconds
    p50, p95, p99 = counts.quantiles(0.5, 0.95, 0.99)
    return Latency(count, seconds, seconds / count if count else None, p50, p95, p99)


def of_kind(totals: Totals, kind: str) -> Counts:
    """All series of a kind together."""
    return reduce(add, (counts for key, counts in totals.items() if key[0] == kind), NOTHING)


def by_last(totals: Totals, kind: str) -> dict[str, Counts]:
    """Those of a kind, by the last part of their names: a class of statuses, or an outcome."""
    found: dict[str, Counts] = {}
    for key, counts in totals.items():
        if key[0] == kind:
            found[key[-1]] = found.get(key[-1], NOTHING) + counts
    return dict(sorted(found.items()))


def requests(totals: Totals) -> Requests:
    """The sum of all routes."""
    every, classes = of_kind(totals, "route"), by_last(totals, "route")
    return Requests(
        total=every.count,
        by_class={name: classes.get(name, NOTHING).count for name in CLASSES},
        refused=totals.get(("counter", "refused"), NOTHING).count,
        latency=latency(every),
        queue=latency(of_kind(totals, "wait")),
        upstream=latency(of_kind(totals, "member")),
    )


def workers(
    facts: Facts,
    slots: Mapping[int, Slot],
    reports: Mapping[int, WorkerReport],
    silent: Iterable[int],
    now: int,
) -> list[Worker]:
    """now: monotonic nanoseconds."""
    missing = set(silent)
    return [
        _worker(each, slots[each.ordinal], reports.get(each.ordinal), each.ordinal in missing, now)
        for each in facts.workers
    ]


def _worker(
    facts: WorkerFacts, slot: Slot, report: WorkerReport | None, is_silent: bool, now: int
) -> Worker:
    beat = slot[Field.HEARTBEAT]
    return Worker(
        ordinal=facts.ordinal,
        pid=facts.pid,
        state=facts.state,
        answers=not is_silent,
        silent=max(0, now - beat) / 1e9 if beat else None,
        age=facts.age,
        generation=facts.generation,
        cpu=report.cpu if report else slot[Field.CPU] / 1000,
        cpu_share=slot[Field.CPU_SHARE] / 1000,
        rss=report.rss if report else slot[Field.RSS],
        connections=slot[Field.CONNECTIONS],
        in_flight=slot[Field.IN_FLIGHT],
        running=report.running if report else slot[Field.RUNNING],
        parked=report.parked if report else slot[Field.PARKED],
        queued=report.queued if report else slot[Field.QUEUED],
        threads=slot[Field.THREADS],
        requests=slot[Field.REQUESTS],
        errors=slot[Field.ERRORS],
    )


def routes(totals: Totals) -> list[Route]:
    """Those that were asked for, the busiest first."""
    by_rule: dict[Key, dict[str, Counts]] = {}
    for key, counts in totals.items():
        if key[0] == "route" and any(counts.cells):
            by_rule.setdefault(key[1:-1], {})[key[-1]] = counts
    found = [_route(rule, classes) for rule, classes in by_rule.items()]
    return sorted(found, key=lambda route: -route.requests)


def _route(rule: Key, classes: Mapping[str, Counts]) -> Route:
    kind, methods, path, handler = rule
    took = latency(reduce(add, classes.values()))
    client_errors, errors = (classes.get(name, NOTHING).count for name in ("4xx", "5xx"))
    return Route(kind, path, methods, handler, took.count, client_errors, errors, took)


def clusters(totals: Totals, told: Sequence[Sequence[ClusterReport]]) -> list[Cluster]:
    """told: by each worker. In the order of the one that knows most of them."""
    by_name: dict[str, list[ClusterReport]] = {}
    for each in sorted(told, key=len, reverse=True):
        for report in each:
            by_name.setdefault(report.name, []).append(report)
    return [_cluster(totals, name, reports) for name, reports in by_name.items()]


def _cluster(totals: Totals, name: str, reports: Sequence[ClusterReport]) -> Cluster:
    by_node: dict[str, list[MemberReport]] = {}
    for report in reports:
        for member in report.members:
            by_node.setdefault(member.node, []).append(member)
    return Cluster(
        name=name,
        balance=reports[0].balance,
        members=[
            _member(_outcomes(totals, name, node), members) for node, members in by_node.items()
        ],
        budget_left=sum(report.budget_left for report in reports),
    )


def _outcomes(totals: Totals, cluster: str, node: str) -> list[Counts]:
    return [totals.get(("member", cluster, node, each), NOTHING) for each in OUTCOMES]


def _member(outcomes: Sequence[Counts], told: Sequence[MemberReport]) -> Member:
    """outcomes: in the order of `OUTCOMES`."""
    took = latency(reduce(add, outcomes))
    latest = max(told, key=lambda each: each.last_error_at)
    states = [_state(each) for each in told]
    return Member(
        node=told[0].node,
        state=min(states, key=_STATES.index),
        weight=told[0].weight,
        in_flight=sum(each.in_flight for each in told),
        ewma=max(each.latency for each in told) or None,
        requests=took.count,
        failures=outcomes[1].count,
        latency=took,
        ejections=sum(each.ejections for each in told),
        ejected_by=sum(each.is_ejected for each in told),
        ejected_for=max(each.ejected_for for each in told),
        last_error=latest.last_error,
        last_error_at=latest.last_error_at or None,
        pool=Pool(
            cap=sum(each.cap for each in told),
            busy=sum(each.busy for each in told),
            idle=sum(each.idle for each in told),
            opening=sum(each.opening for each in told),
            waiting=sum(each.waiting for each in told),
        ),
    )


def _state(report: MemberReport) -> str:
    if report.state is not State.ENABLED:
        return str(report.state.value)
    return "down" if report.is_down else "ejected" if report.is_ejected else "up"


def cache(told: Sequence[Cache], totals: Totals) -> Cache:
    """Entries and flights are those of living workers, the counts are the server's."""

    def counted(name: str) -> int:
        return totals.get(("counter", name), NOTHING).count

    return Cache(
        entries=sum(each.entries for each in told),
        size=sum(each.size for each in told),
        hits=counted("cache_hits"),
        misses=counted("cache_misses"),
        joined=counted("cache_joined"),
        flights=sum(each.flights for each in told),
    )


def slow(reports: Iterable[WorkerReport]) -> list[document.SlowRequest]:
    """The slowest first."""
    every = [each for report in reports for each in report.slow]
    return sorted(every, key=lambda each: each.response - each.total)[:SLOW_MAX]


def errors(reports: Iterable[WorkerReport]) -> list[document.Failure]:
    """The newest first; what is alike in several workers is told by each."""
    every = [each for report in reports for each in report.errors]
    return sorted(every, key=attrgetter("at"), reverse=True)[:ERRORS_MAX]


def history(figures: Figures) -> History:
    """Steps in which nothing was counted are there, too."""
    steps, last = figures.steps, len(figures.steps) - 1
    return History(
        every=EVERY,
        ends=[figures.last_step_at - (last - index) * EVERY for index in range(len(steps))],
        requests=[step.latency.count / EVERY for step in steps],
        errors=[step.errors / EVERY for step in steps],
        p50=[step.latency.quantile(0.5) for step in steps],
        p95=[step.latency.quantile(0.95) for step in steps],
        p99=[step.latency.quantile(0.99) for step in steps],
        queue_p95=[step.queue.quantile(0.95) for step in steps],
        in_flight=[step.in_flight for step in steps],
    )
