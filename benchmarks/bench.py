"""What the benchmarks share: servers pinned to one core, load from another, ratios at the end.

Every side is measured in the same run, in rounds that take turns, and the median of the rounds
counts: machines differ and have moods, ratios within one run hold better. Nothing here is a
promise, and no test looks at it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

APPS = Path(__file__).parent / "apps"
SERVER_CORE, LOAD_CORE = 0, 1


@dataclass
class Side:
    """One server under one load. command: its argument list, given a free port."""

    name: str
    command: Callable[[int], Sequence[str]]
    path: str
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Microseconds of CPU per request, all processes of the server together, the median.

        It holds on a busy machine too, where the rate does not.
        """
        return statistics.median(self.costs)

    @property
    def rate(self) -> float:
        """Requests per second, the median of the rounds."""
        return statistics.median(self.rates)


def python(*arguments: str) -> list[str]:
    """A command of this very interpreter."""
    return [sys.executable, *arguments]


def uvicorn(app: str) -> Callable[[int], list[str]]:
    """`app` of benchmarks/apps under uvicorn, one process, no access log."""

    def command(port: int) -> list[str]:
        options = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
        return python("-m", "uvicorn", f"{app}:app", "--app-dir", str(APPS), *options)

    return command


def skitai(app: str, server: str = "") -> Callable[[int], list[str]]:
    """`app` of benchmarks/apps under `skitaid serve`. server: further lines of [server]."""

    def command(port: int) -> list[str]:
        directory = tempfile.mkdtemp(prefix="skitai-bench-")
        conf = Path(directory, "bench.conf")
        quiet = "" if "access_log" in server else "access_log = no\n"  # nor have the others one
        lines = f"ip = 127.0.0.1\nport = {port}\n{quiet}{server}"
        conf.write_text(f"[server]\n{lines}\n[routes:line]\n/ = {APPS / app}\n")
        return python("-m", "skitaid", "--var", directory, "serve", str(conf))

    return command


def measure(sides: Sequence[Side], rounds: int, seconds: float, connections: int) -> None:
    """Fill in the rates, `rounds` times round the table."""
    for turn in range(rounds):
        for side in sides:
            print(f"round {turn + 1} of {rounds}: {side.name:<40}", end="\r", flush=True)
            with running(side) as port:
                load(port, side.path, 0.5, connections)  # warm
                before = _cpu_seconds()
                rate = load(port, side.path, seconds, connections)
                side.rates.append(rate)
                side.costs.append((_cpu_seconds() - before) / (rate * seconds) * 1e6)
    print(" " * 60, end="\r")


@contextmanager
def upstream(count: int = 100) -> Iterator[list[int]]:
    """The servers that are asked, each a port of one process on the load's core."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(count)]
    numbers = [each.fileno() for each in listeners]
    process = subprocess.Popen(
        python(str(APPS / "upstream.py"), *map(str, numbers)),
        pass_fds=numbers,
        preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
    )
    try:
        yield [each.getsockname()[1] for each in listeners]
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def running(side: Side) -> Iterator[int]:
    """The server, pinned to its core, for the time of the block; gives its port."""
    port = free_port()
    server = subprocess.Popen(
        side.command(port), preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE})
    )
    try:
        wait_until_listening(server, port)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _cpu_seconds() -> float:
    """What the servers that we have started have used so far."""
    used = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
            if process.cpu_affinity() == [SERVER_CORE]:
                used += times.user + times.system
        except psutil.NoSuchProcess:  # a database's, which come and go
            continue
    return used


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def wait_until_listening(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"{server.args} ended with {server.returncode} instead of serving")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"{server.args} did not listen within 15 s")


def load(port: int, path: str, seconds: float, connections: int) -> float:
    """Requests per second that wrk gets out of the server. Errors end the benchmark."""
    wrk = shutil.which("wrk") or sys.exit("the load comes from wrk; on Debian: apt install wrk")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    command.append(f"http://127.0.0.1:{port}{path}")
    if seconds < 1:
        command[3] = "-d1s"  # wrk counts in whole seconds
    done = subprocess.run(
        command,
        preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"{' '.join(command)} saw errors:\n{done.stdout}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def show(sides: Sequence[Side], against: Sequence[Side]) -> None:
    """A table of ratios: each side to each of `against`."""
    width = max(len(side.name) for side in sides)
    heads = [f"x {side.name}" for side in against]
    print(f"{'':{width}}  {'req/s':>8}  spread  " + "  ".join(heads))
    for side in sides:
        spread = (max(side.rates) - min(side.rates)) / side.rate
        ratios = [
            f"{side.rate / other.rate:>{len(head)}.2f}"
            for other, head in zip(against, heads, strict=True)
        ]
        print(f"{side.name:{width}}  {side.rate:8.0f}  {spread:6.0%}  " + "  ".join(ratios))
    print("\nReq/s are of this machine in this minute; only the ratios travel.")
