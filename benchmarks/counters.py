"""What counts and histograms cost: hello with and without them, in one process that switches.

    python benchmarks/counters.py [--seconds 60] [--connections 64]

Server on core 0, wrk on core 1. Ten times a second the worker begins or ceases to count, and the
CPU time per request is compared with that of the turn before: so neither another process nor a
busy machine weighs on one side. Over 1.03 is a mistake.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
import urllib.request

import bench

TURN = 0.1  # seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--connections", type=int, default=64)
    given = options.parse_args()

    side = bench.Side("hello", bench.skitai("skitai_counters"), "/sync")
    with bench.running(side) as port:
        bench.load(port, side.path, 1, given.connections)  # warm
        wrk = ["wrk", "-t1", f"-c{given.connections}", f"-d{given.seconds}s"]
        load = subprocess.Popen(
            [*wrk, f"http://127.0.0.1:{port}{side.path}"], stdout=subprocess.DEVNULL
        )
        costs = _turns(port, load)
    with_counts, without = costs[0::2], costs[1::2]
    ratios = sorted(a / b for a, b in zip(with_counts, without, strict=False))
    tenth = len(ratios) // 10
    print(f"{statistics.median(without):.2f} us of CPU per request without counts")
    print(f"{statistics.median(with_counts):.2f} us with them")
    print(
        f"ratio of neighbours, {len(ratios)} pairs: median {statistics.median(ratios):.3f},"
        f" mean without a tenth at both ends {statistics.mean(ratios[tenth:-tenth]):.3f}"
    )


def _turns(port: int, load: subprocess.Popen[bytes]) -> list[float]:
    """Microseconds per request of each turn: with counts, without, with, ..."""
    costs: list[float] = []
    is_on = True
    before = _switch(port, is_on)
    while load.poll() is None:
        time.sleep(TURN)
        now = _switch(port, not is_on)
        if now[1] > before[1] + 100:  # else the load is over
            costs.append((now[0] - before[0]) / (now[1] - before[1]) * 1e6)
        before, is_on = now, not is_on
    return costs


def _switch(port: int, is_on: bool) -> tuple[float, int]:
    """(CPU seconds, requests) so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count/{int(is_on)}") as reply:
        used, requests = json.load(reply)
    return used, requests


if __name__ == "__main__":
    main()
