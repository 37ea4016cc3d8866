"""What the access log costs: hello with and without it.

    python benchmarks/access_log.py [--rounds 5] [--seconds 3] [--connections 64]

Server on core 0, wrk on core 1. The log's thread has no core of its own, so the ratio shows all of
its cost. Under 0.92 is a mistake.
"""

from __future__ import annotations

import argparse
import os

import bench


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--connections", type=int, default=64)
    given = options.parse_args()

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # servers in the foreground log there too
    without = bench.Side("no access log", bench.skitai("skitai_hello", "access_log = no"), "/sync")
    text = bench.Side("text", bench.skitai("skitai_hello", "access_log = yes"), "/sync")
    lines = "access_log = yes\nlog_format = json"
    json = bench.Side("JSON", bench.skitai("skitai_hello", lines), "/sync")
    sides = [without, text, json]
    bench.measure(sides, given.rounds, given.seconds, given.connections)
    bench.show(sides, [without])


if __name__ == "__main__":
    main()
