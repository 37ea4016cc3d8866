"""TLS beside nginx: handshakes, and requests on connections that are kept.

    python benchmarks/tls.py [--rounds 3] [--seconds 3] [--connections 64] [--clients 4]

Server on core 0; load and upstream on core 1. Handshakes are those of `openssl s_time`, one request
on each connection, whole (a new client) and resumed (one that was there before). Kept connections
are asked by wrk. Each server passes the requests on to the same upstream, an nginx; one more line
each is for answers of its own: a constant of nginx, a handler of Skitai. The certificate is of an
EC key, TLS 1.2 and 1.3 are on everywhere. CPU is that of the server for each connection or
request: on a busy machine its ratio holds better than that of the rates.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bench
import psutil

from skitaid.cert_new import new as new_certificate

NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type text/plain;
    upstream members {{
        server 127.0.0.1:{upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port}{tls} backlog=1024;
        {certificate}
        location = /sync {{ return 200 "Hello World"; }}
        location /passed/ {{
            proxy_pass http://members/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""
CERTIFICATE = """\
ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache off;
"""
CONF = """\
[server]
ip = 127.0.0.1
port = {port}
ssl = yes
access_log = no

[certification]
certfile = {pem}

[routes:line]
/ = {apps}/skitai_hello
/passed = @members

[@members]
members = 127.0.0.1:{upstream}
"""


# Port and path: how many requests there were, in how many seconds.
Load = Callable[[int, str], tuple[int, float]]


@dataclass
class Measured:
    """One server under one load: what it did in a second, and what each cost it."""

    name: str
    server: str
    path: str
    load: Load
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def cost(self) -> float:
        """Microseconds of CPU."""
        return statistics.median(self.costs)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--connections", type=int, default=64)
    options.add_argument("--clients", type=int, default=4, help="of handshakes, at once")
    given = options.parse_args()
    for tool in ("wrk", "nginx", "openssl"):
        if shutil.which(tool) is None:
            sys.exit(f"this needs {tool}; on Debian: apt install {tool}")

    def kept(port: int, path: str) -> tuple[int, float]:
        return wrk(port, path, given.seconds, given.connections)

    def new(port: int, path: str) -> tuple[int, float]:
        return s_time(port, path, given.seconds, given.clients, "-new")

    def again(port: int, path: str) -> tuple[int, float]:
        return s_time(port, path, given.seconds, given.clients, "-reuse")

    loads = (
        ("handshakes, new", "/sync", new),
        ("handshakes, resumed", "/sync", again),
        ("kept, passed on", "/passed/sync", kept),
        ("kept, its own answer", "/sync", kept),
    )
    table = [
        Measured(name, server, path, load)
        for name, path, load in loads
        for server in ("nginx", "skitai")
    ]
    with tempfile.TemporaryDirectory(prefix="skitai-bench-") as directory:
        pem = new_certificate(Path(directory), ["localhost", "127.0.0.1"], 365).file
        place = Path(directory)
        with (
            started(nginx(place, "upstream", 0, None), bench.LOAD_CORE) as (upstream, _),
            started(nginx(place, "nginx", upstream, pem), bench.SERVER_CORE) as theirs,
            started(skitai(place, upstream, pem), bench.SERVER_CORE) as ours,
        ):
            servers = {"nginx": theirs, "skitai": ours}
            for turn in range(given.rounds):
                for each in table:
                    print(f"round {turn + 1}: {each.name}, {each.server:<20}", end="\r", flush=True)
                    measure(each, *servers[each.server])
    show(table)


def measure(each: Measured, port: int, server: psutil.Process) -> None:
    before = cpu_seconds(server)
    count, seconds = each.load(port, each.path)
    each.costs.append((cpu_seconds(server) - before) / count * 1e6)
    each.rates.append(count / seconds)


def cpu_seconds(server: psutil.Process) -> float:
    """What it and its workers have used so far. The other server is idle meanwhile."""
    times = [each.cpu_times() for each in (server, *server.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@contextmanager
def started(command: Callable[[int], list[str]], core: int) -> Iterator[tuple[int, psutil.Process]]:
    """A server pinned to a core; gives its port."""
    port = bench.free_port()
    server = subprocess.Popen(command(port), preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    try:
        bench.wait_until_listening(server, port)
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(10)


def nginx(
    directory: Path, name: str, upstream: int, pem: Path | None
) -> Callable[[int], list[str]]:
    """pem: None for plain HTTP."""

    def command(port: int) -> list[str]:
        place = directory / name
        place.mkdir(exist_ok=True)
        text = NGINX.format(
            directory=place,
            port=port,
            upstream=upstream or port,
            tls=" ssl" if pem else "",
            certificate=CERTIFICATE.format(pem=pem) if pem else "",
        )
        (place / "nginx.conf").write_text(text)
        return ["nginx", "-c", str(place / "nginx.conf"), "-p", str(place)]

    return command


def skitai(directory: Path, upstream: int, pem: Path) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        conf = directory / "bench.conf"
        conf.write_text(CONF.format(port=port, pem=pem, apps=bench.APPS, upstream=upstream))
        return bench.python("-m", "skitaid", "--var", str(directory), "serve", str(conf))

    return command


def wrk(port: int, path: str, seconds: int, connections: int) -> tuple[int, float]:
    """Requests on connections that are kept."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    done = run([*command, f"https://127.0.0.1:{port}{path}"])
    if "Non-2xx" in done or "Socket errors" in done:
        sys.exit(f"wrk saw errors:\n{done}")
    found = re.search(r"(\d+) requests in ([\d.]+)s", done)
    assert found, done
    return int(found[1]), float(found[2])


def s_time(port: int, path: str, seconds: int, clients: int, kind: str) -> tuple[int, float]:
    """Connections of several clients, each of which makes one after the other."""
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-www", path]
    command += ["-time", str(seconds), kind]
    running = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {bench.LOAD_CORE}),
        )
        for _ in range(clients)
    ]
    count = 0
    for each in running:
        out, err = each.communicate()
        found = re.findall(r"(\d+) connections in \d+ real seconds", out)
        if not found:
            sys.exit(f"{' '.join(command)} failed:\n{out}{err}")
        count += int(found[-1])
    return count, float(seconds)


def run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command,
        preexec_fn=lambda: os.sched_setaffinity(0, {bench.LOAD_CORE}),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def show(table: Sequence[Measured]) -> None:
    print(f"{'':60}\n{'':24}{'nginx':>18}{'skitai':>18}    skitai x nginx")
    print(f"{'':24}{'/s':>9}{'us CPU':>9}{'/s':>9}{'us CPU':>9}{'rate':>10}{'1/CPU':>8}")
    for theirs, ours in zip(table[::2], table[1::2], strict=True):
        print(
            f"{theirs.name:24}{theirs.rate:9.0f}{theirs.cost:9.0f}{ours.rate:9.0f}{ours.cost:9.0f}"
            f"{ours.rate / theirs.rate:10.2f}{theirs.cost / ours.cost:8.2f}"
        )
    print("\nFigures are of this machine in this minute; only the ratios travel.")


if __name__ == "__main__":
    main()
