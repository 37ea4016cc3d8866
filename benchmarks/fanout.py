"""Handlers that ask other servers: what a request costs here, and as people do it today.

    python benchmarks/fanout.py [--rounds 3] [--seconds 3] [--only fan,one,slow,map,slots,parked]

The server has one core, wrk and the servers that are asked have the other. `us/req` is the CPU time
that the server spends on a request; on a machine that does other things too, believe that and not
the rates. Beside us: Starlette + aiohttp on uvicorn, Flask + requests + a thread pool on gunicorn
(gthread), and, where a handler just waits, a bare WSGI app + urllib3 on granian with 512 threads.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bench
import psutil
from uploads import the_worker

MEMBERS = 100
WAITING = 512  # client connections of the handlers that wait
PARKED_SECONDS = 3

Command = Callable[[int], Sequence[str]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    given = options.parse_args()
    with upstream() as ports:
        os.environ["UPSTREAM"] = ",".join(map(str, ports))
        for name in given.only.split(","):
            PARTS[name](ports, given.rounds, given.seconds)


@contextmanager
def upstream() -> Iterator[list[int]]:
    """The servers that are asked, each a port of one process on the load's core."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(MEMBERS)]
    numbers = [each.fileno() for each in listeners]
    process = subprocess.Popen(
        bench.python(str(bench.APPS / "upstream.py"), *map(str, numbers)),
        pass_fds=numbers,
        preexec_fn=lambda: os.sched_setaffinity(0, {bench.LOAD_CORE}),
    )
    try:
        yield [each.getsockname()[1] for each in listeners]
    finally:
        process.terminate()
        process.wait(10)


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


def fan(ports: list[int], rounds: int, seconds: int) -> None:
    """All of 16, and of 3, are asked and waited for."""
    for count in (16, 3):
        path = f"/fan/{count}"
        compare(
            f"fan-out {count}, 64 connections",
            [
                bench.Side("Skitai, plain handler", skitai(ports), path),
                bench.Side("Starlette + aiohttp", STARLETTE, path),
                bench.Side("Flask + requests", gunicorn(16), path),
            ],
            (rounds, seconds, 64),
        )


def one(ports: list[int], rounds: int, seconds: int) -> None:
    """One is asked; the same when its answer is kept."""
    compare(
        "one call, 64 connections",
        [
            bench.Side("Skitai, plain handler", skitai(ports), "/one/fast"),
            bench.Side("Skitai, kept", skitai(ports), "/cached"),
            bench.Side("Starlette + aiohttp", STARLETTE, "/one/fast"),
            bench.Side("Flask + requests", gunicorn(16), "/one/fast"),
        ],
        (rounds, seconds, 64),
    )


def slow(ports: list[int], rounds: int, seconds: int) -> None:
    """One is asked that takes 100 ms, or 10."""
    ours = skitai(ports, "threads_max = 600")
    for milliseconds in (100, 10):
        path = f"/one/{milliseconds}"
        ceiling = WAITING * 1000 / milliseconds
        sides = [
            bench.Side("Skitai, plain handler", ours, path),
            bench.Side("Starlette + aiohttp", STARLETTE, path),
            bench.Side("granian + urllib3", granian, path),
        ]
        title = f"one call of {milliseconds} ms, {WAITING} connections"
        compare(title, sides, (rounds, seconds, WAITING))
        print(f"of the ceiling of {ceiling:.0f} req/s: {sides[0].rate / ceiling:.2f}")


def wide(ports: list[int], rounds: int, seconds: int) -> None:
    """What one member of a map costs, of 10 and of 100."""
    sides = {
        count: bench.Side(f"Skitai, {count} members", skitai(ports), f"/fan/{count}")
        for count in (10, 100)
    }
    compare("map, 16 connections", list(sides.values()), (rounds, seconds, 16))
    costs = {count: side.cost / count for count, side in sides.items()}
    print(f"us per member: {costs[10]:.1f} of 10, {costs[100]:.1f} of 100")


def slots(ports: list[int], rounds: int, seconds: int) -> None:
    """More run slots than are needed, and as many as are."""
    four, lone = skitai(ports, "threads = 4"), skitai(ports, "threads = 1")
    sides = [
        bench.Side("Skitai, hello, threads = 4", four, "/hello"),
        bench.Side("Skitai, hello, threads = 1", lone, "/hello"),
    ]
    compare("hello, 64 connections", sides, (rounds, seconds, 64))
    blocking = [bench.Side("Skitai, 10 ms asleep, threads = 4", four, "/block")]
    compare("handlers that block, 64 connections", blocking, (rounds, seconds, 64))
    print(f"of 4 x 100 per second: {blocking[0].rate / 400:.2f}")


def parked(ports: list[int], rounds: int, seconds: int) -> None:
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
    print(f"\nparked: {(most - before) / 1024 / grown:.0f} KiB for each of {grown} handlers")


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


PARTS = {"fan": fan, "one": one, "slow": slow, "map": wide, "slots": slots, "parked": parked}

if __name__ == "__main__":
    main()
