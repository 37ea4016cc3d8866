"""Handlers that ask other servers: what a request costs here, and as people do it today.

    python benchmarks/fanout.py [--rounds 3] [--seconds 4] [--only client,fan,one,slow]

The server has one core, wrk and the servers that are asked have the other. Beside us: Starlette +
aiohttp on uvicorn, Flask + requests + a thread pool on gunicorn (gthread), and, where a handler
just waits, a bare WSGI app + urllib3 on granian with 512 threads. All take turns in one run.

At the end stands what we want of each ratio, and what it was. `us/req` is the CPU time that the
server spends on a request, and the ratios between sides are of it: on a machine that does other
things too it holds, where rates do not. What depends on the clock is told as a rate, and is to be
believed only if the load of the machine, which is printed beside it, was ours alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bench
import client
import psutil
from uploads import the_worker

WAITING = 512  # client connections of the handlers that wait
PARKED_SECONDS = 3

Command = Callable[[int], Sequence[str]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    given = options.parse_args()
    goals: list[Goal] = []
    with bench.upstream() as ports:
        os.environ["UPSTREAM"] = ",".join(map(str, ports))
        for name in given.only.split(","):
            goals += PARTS[name](ports, given.rounds, given.seconds)
            print(f"load of the machine: {os.getloadavg()[0]:.1f}", flush=True)
    print(f"\n{'':58} {'wanted':>9} {'is':>8}")
    for goal in goals:
        print(goal)


@dataclass(frozen=True)
class Goal:
    """What we want of a figure: at least `wanted`, or at most."""

    what: str
    wanted: float
    value: float
    at_most: bool = False

    def __str__(self) -> str:
        is_met = self.value <= self.wanted if self.at_most else self.value >= self.wanted
        wanted = f"{'<=' if self.at_most else '>='} {self.wanted:g}"
        return f"{self.what:58} {wanted:>9} {self.value:8.2f}   {'met' if is_met else 'MISSED'}"


# --- the sides ---


def skitai(ports: list[int], server: str = "") -> Command:
    """skitai_fanout with clusters of 1, 3, 10, 16 and 100 members. server: lines of [server]."""

    def command(port: int) -> list[str]:
        directory = tempfile.mkdtemp(prefix="skitai-bench-")
        lines = ["[server]", "ip = 127.0.0.1", f"port = {port}", "access_log = no", server]
        lines += ["[routes:line]", f"/ = {bench.APPS / 'skitai_fanout'}"]
        for name, count in {"one": 1, "3": 3, "10": 10, "16": 16, "100": 100}.items():
            members = ", ".join(f"127.0.0.1:{each}" for each in ports[:count])
            lines += [f"[@{name}]", f"members = {members}", "max_connections = 600"]
        conf = Path(directory, "bench.conf")
        conf.write_text("\n".join(lines) + "\n")
        return bench.python("-m", "skitaid", "--var", directory, "serve", str(conf))

    return command


def gunicorn(threads: int) -> Command:
    """flask_fanout, one process."""

    def command(port: int) -> list[str]:
        options = ["-k", "gthread", "-w", "1", "--threads", str(threads), "-b", f"127.0.0.1:{port}"]
        quiet = ["--log-level", "warning", "--keep-alive", "75", "--worker-connections", "2000"]
        return bench.python(
            "-m", "gunicorn", "--chdir", str(bench.APPS), *options, *quiet, "flask_fanout:app"
        )

    return command


def granian(port: int) -> list[str]:
    """wsgi_fanout, one process."""
    options = ["--interface", "wsgi", "--port", str(port), "--workers", "1", "--no-ws"]
    threads = ["--blocking-threads", str(WAITING), "--backpressure", str(2 * WAITING)]
    app = ["--working-dir", str(bench.APPS), "--log-level", "error", "wsgi_fanout:app"]
    return bench.python("-m", "granian", *options, *threads, *app)


STARLETTE = bench.uvicorn("starlette_fanout")


# --- the parts ---


def alone(ports: list[int], rounds: int, seconds: int) -> list[Goal]:
    """The client without a server of ours: see client.py."""
    costs = client.measure(ports, rounds, 5000 * seconds)
    client.show(costs)
    ours = costs["Skitai"]
    bare = Goal("client: us, x bare httptools", 2.0, ours / costs["bare httptools"], at_most=True)
    return [bare, Goal("client: aiohttp's us, x ours", 3.0, costs["aiohttp"] / ours)]


def fan(ports: list[int], rounds: int, seconds: int) -> list[Goal]:
    """All of 16, and of 3, are asked and waited for."""
    goals = []
    for count, wanted in {16: {"Starlette": 8.0, "Flask": 60.0}, 3: {"Starlette": 3.5}}.items():
        path = f"/fan/{count}"
        sides = [
            bench.Side("Skitai, plain handler", skitai(ports), path),
            bench.Side("Starlette + aiohttp", STARLETTE, path),
            bench.Side("Flask + requests", gunicorn(16), path),
        ]
        compare(f"fan-out {count}, 64 connections", sides, (rounds, seconds, 64))
        goals += ratios(f"fan-out {count}", sides, wanted)
    return goals


def one(ports: list[int], rounds: int, seconds: int) -> list[Goal]:
    """One is asked; the same when its answer is kept."""
    sides = [
        bench.Side("Skitai, plain handler", skitai(ports), "/one/fast"),
        bench.Side("Skitai, kept", skitai(ports), "/cached"),
        bench.Side("Starlette + aiohttp", STARLETTE, "/one/fast"),
        bench.Side("Flask + requests", gunicorn(16), "/one/fast"),
    ]
    compare("one call, 64 connections", sides, (rounds, seconds, 64))
    return ratios("one call", sides, {"Starlette": 2.5})


def slow(ports: list[int], rounds: int, seconds: int) -> list[Goal]:
    """One is asked that takes 100 ms, or 10."""
    goals = []
    ours = skitai(ports, "threads_max = 600")
    for milliseconds, wanted in {100: {}, 10: {"Starlette": 2.5, "granian": 5.0}}.items():
        path = f"/one/{milliseconds}"
        sides = [
            bench.Side("Skitai, plain handler", ours, path),
            bench.Side("Starlette + aiohttp", STARLETTE, path),
            bench.Side("granian + urllib3", granian, path),
        ]
        title = f"one call of {milliseconds} ms, {WAITING} connections"
        compare(title, sides, (rounds, seconds, WAITING))
        ceiling = WAITING * 1000 / milliseconds
        print(f"of the ceiling of {ceiling:.0f} req/s: {sides[0].rate / ceiling:.2f}")
        if milliseconds == 100:
            goals.append(Goal(f"{title}: share of {ceiling:.0f}/s", 0.9, sides[0].rate / ceiling))
        goals += ratios(f"one call of {milliseconds} ms", sides, wanted)
    return goals


def wide(ports: list[int], rounds: int, seconds: int) -> list[Goal]:
    """What one member of a map costs, of 10 and of 100."""
    sides = {
        count: bench.Side(f"Skitai, {count} members", skitai(ports), f"/fan/{count}")
        for count in (10, 100)
    }
    compare("map, 16 connections", list(sides.values()), (rounds, seconds, 16))
    costs = {count: side.cost / count for count, side in sides.items()}
    print(f"us per member: {costs[10]:.1f} of 10, {costs[100]:.1f} of 100")
    return [Goal("map: us per member of 100, x of 10", 1.0, costs[100] / costs[10], at_most=True)]


def slots(ports: list[int], rounds: int, seconds: int) -> list[Goal]:
    """More run slots than are needed, and as many as are."""
    four, lone = skitai(ports, "threads = 4"), skitai(ports, "threads = 1")
    sides = [
        bench.Side("Skitai, hello, threads = 4", four, "/hello"),
        bench.Side("Skitai, hello, threads = 1", lone, "/hello"),
    ]
    compare("hello, 64 connections", sides, (rounds, seconds, 64))
    blocking = [bench.Side("Skitai, 10 ms asleep, threads = 4", four, "/block")]
    compare("handlers that block, 64 connections", blocking, (rounds, seconds, 64))
    return [
        Goal("hello: us with threads = 1, x with 4", 0.85, sides[1].cost / sides[0].cost),
        Goal("handlers asleep for 10 ms: share of 4 x 100/s", 0.9, blocking[0].rate / 400),
    ]


def parked(ports: list[int], rounds: int, seconds: int) -> list[Goal]:
    """The memory of handlers that wait."""
    side = bench.Side("Skitai", skitai(ports, "threads_max = 600"), "/hello")
    with bench.running(side) as port:
        bench.load(port, "/hello", 1, WAITING)  # what connections take, and all that is made once
        worker = the_worker(port)
        before, threads = worker.memory_info().rss, worker.num_threads()
        path = f"/one/{PARKED_SECONDS * 500}"
        loading = threading.Thread(target=bench.load, args=(port, path, PARKED_SECONDS, WAITING))
        loading.start()
        most = _most_memory(worker, loading)
        grown = worker.num_threads() - threads
    each = (most - before) / 1024 / grown
    print(f"\nparked: {each:.0f} KiB for each of {grown} handlers")
    return [Goal("parked handlers: KiB of each", 64.0, each, at_most=True)]


def _most_memory(worker: psutil.Process, loading: threading.Thread) -> int:
    most = 0
    while loading.is_alive():
        most = max(most, worker.memory_info().rss)
        time.sleep(0.05)
    return most


def compare(title: str, sides: list[bench.Side], load: tuple[int, int, int]) -> None:
    """One table: ratios of rate and of CPU time, ours to each of the others."""
    rounds, seconds, connections = load
    bench.measure(sides, rounds, seconds, connections)
    ours = sides[0]
    print(f"\n{title:40} {'req/s':>8} {'us/req':>8}   ours: x req/s  x us/req")
    for side in sides:
        ratios = f"{ours.rate / side.rate:>13.2f} {side.cost / ours.cost:>9.2f}"
        print(f"{side.name:40} {side.rate:8.0f} {side.cost:8.1f}   {ratios}")


def ratios(what: str, sides: list[bench.Side], wanted: dict[str, float]) -> list[Goal]:
    """Of CPU time: the others' to ours. wanted: by the beginning of a side's name."""
    return [
        Goal(f"{what}: us of {side.name}, x ours", least, side.cost / sides[0].cost)
        for side in sides
        for name, least in wanted.items()
        if side.name.startswith(name)
    ]


PARTS = {
    "client": alone,
    "fan": fan,
    "one": one,
    "slow": slow,
    "map": wide,
    "slots": slots,
    "parked": parked,
}

if __name__ == "__main__":
    main()
