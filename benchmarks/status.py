"""What the status costs: 16 workers, 50 clusters of 10 members, 1,000 rules, all of them in use.

    python benchmarks/status.py [--rounds 20]

The document is put together from what workers have told and from shared memory, and written as JSON
and as metrics; the milliseconds of CPU are told, the least of all rounds. Over 100 ms for the
document is a mistake: it is made on an event loop, where others wait meanwhile.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import msgspec

from skitaid.workers.admin import report, summing
from skitaid.workers.admin.document import Cache
from skitaid.workers.admin.report import ClusterReport, WorkerReport
from skitaid.workers.ledger import SIZE, Ledger, Pen
from skitaid.workers.member_report import MemberReport
from skitaid.workers.standing import State
from skitaid.workers.steps import last_step
from skitaid.workers.tally import OUTCOMES

WORKERS, CLUSTERS, MEMBERS, RULES = 16, 50, 10, 1000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=20)
    given = options.parse_args()
    ledger = _ledger()
    told = [report.encode(_report(ordinal)) for ordinal in range(WORKERS)]
    ordinals = range(WORKERS)
    last = last_step(time.monotonic())

    def document() -> object:
        reports = [report.decode(each) for each in told]
        totals = ledger.totals(ordinals)
        return msgspec.json.encode(
            [
                summing.requests(totals),
                summing.routes(totals),
                summing.clusters(totals, [each.clusters for each in reports]),
                summing.slow(reports),
                summing.errors(reports),
                summing.history(summing.Figures(totals, ledger.history(ordinals, last), 0.0)),
            ]
        )

    for name, make in (
        ("all counts, read and added up", lambda: ledger.totals(ordinals)),
        ("the last quarter of an hour", lambda: ledger.history(ordinals, last)),
        ("the whole document as JSON", document),
    ):
        print(f"{name:<32} {_least(make, given.rounds):6.1f} ms")


def _least(make: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        before = time.process_time()
        make()
        times.append(time.process_time() - before)
    return min(times) * 1000


def _ledger() -> Ledger:
    descriptor = os.memfd_create("bench-ledger")
    os.ftruncate(descriptor, WORKERS * SIZE)
    ledger = Ledger(descriptor, 0)
    for ordinal in range(WORKERS):
        pen = Pen(ledger[ordinal])
        for rule in range(RULES):
            name = f"/part/{rule % 30}/rule/{rule}/<int:number>"
            pen.series("route", "app", "GET,HEAD", name, f"webapp.handler_{rule}", "2xx").add(0.01)
        for cluster in range(CLUSTERS):
            for member in range(MEMBERS):
                for outcome in OUTCOMES:
                    node = f"10.0.{cluster}.{member}:5000"
                    pen.series("member", f"cluster{cluster}", node, outcome).add(0.002)
        pen.settle()
    return ledger


def _report(ordinal: int) -> WorkerReport:
    clusters = [
        ClusterReport(
            f"cluster{cluster}",
            "p2c",
            100,
            [
                MemberReport(
                    node=f"10.0.{cluster}.{member}:5000",
                    state=State.ENABLED,
                    weight=1,
                    in_flight=2,
                    latency=0.002,
                    ejections=0,
                    ejected_for=0.0,
                    is_down=False,
                    last_error="",
                    last_error_at=0.0,
                    idle=3,
                    busy=2,
                    opening=0,
                    waiting=0,
                    cap=256,
                )
                for member in range(MEMBERS)
            ],
        )
        for cluster in range(CLUSTERS)
    ]
    nothing = Cache(entries=0, size=0, hits=0, misses=0, joined=0, flights=0)
    return WorkerReport(ordinal, 1, 2, 3, 4.0, 50_000_000, clusters, [], nothing, [], [], [], [])


if __name__ == "__main__":
    main()
