"""The reverse proxy beside nginx and a proxy of aiohttp: small answers, large ones, and its memory.

    python benchmarks/proxy.py [--rounds 3] [--seconds 3] [--connections 64] [--gib 1]

Proxy on core 0; on core 1 wrk and the upstream, an nginx. Each side asks the same upstream, over
kept connections. Needs wrk and nginx, both from Debian. Memory: bytes go through the proxy each
way, once to a reader that reads as it can and once to one a hundred times slower than the writer;
more than 16 MiB of growth is a mistake.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import bench

MIB = 1024 * 1024
LARGE = "1m.bin"

UPSTREAM = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    sendfile on;
    open_file_cache max=1000;
    keepalive_requests 1000000000;
    default_type text/plain;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {files};
        location = /small {{ return 200 "Hello World"; }}
    }}
}}
"""

PROXY = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    keepalive_requests 1000000000;
    upstream members {{
        server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://members;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--connections", type=int, default=64)
    options.add_argument("--gib", type=float, default=1.0, help="for the memory; 0 is without")
    given = options.parse_args()
    for program in ("nginx", "wrk"):
        shutil.which(program) or sys.exit(f"on Debian: apt install {program}")
    with tempfile.TemporaryDirectory(prefix="skitai-bench-") as base:
        os.chmod(base, 0o755)  # nginx's worker is another user
        with _upstream(Path(base)) as upstream:
            sides = _sides(Path(base), upstream)
            for path, what in (("/small", "small"), (f"/{LARGE}", "1 MiB")):
                print(f"\n{what}:")
                named = [bench.Side(name, command, path) for name, command in sides.items()]
                connections = given.connections if what == "small" else 16
                bench.measure(named, given.rounds, given.seconds, connections)
                bench.show(named, named[1:])
                print("CPU per request, us: " + ", ".join(f"{s.name} {s.cost:.1f}" for s in named))
            if given.gib:
                print()


def _sides(base: Path, upstream: int) -> dict[str, object]:
    def skitai(port: int) -> Sequence[str]:
        directory = tempfile.mkdtemp(dir=base)
        conf = Path(directory, "bench.conf")
        server = f"ip = 127.0.0.1\nport = {port}\naccess_log = no"
        cluster = f"[@up]\nmembers = 127.0.0.1:{upstream}\nmax_request_size = 100g"
        conf.write_text(f"[server]\n{server}\n[routes:line]\n/ = @up\n{cluster}\n")
        return bench.python("-m", "skitaid", "--var", directory, "serve", str(conf))

    def nginx(port: int) -> Sequence[str]:
        return _nginx(base, PROXY, port=port, upstream=upstream)

    def aiohttp(port: int) -> Sequence[str]:
        return bench.python(str(bench.APPS / "aiohttp_proxy.py"), str(port), str(upstream))

    return {"Skitai": skitai, "nginx": nginx, "aiohttp": aiohttp}


def _nginx(base: Path, conf: str, **values: object) -> Sequence[str]:
    directory = tempfile.mkdtemp(dir=base)
    path = Path(directory, "nginx.conf")
    path.write_text(conf.format(directory=directory, **values))
    return ["nginx", "-e", "stderr", "-p", directory, "-c", str(path)]


@contextlib.contextmanager
def _upstream(base: Path) -> Iterator[int]:
    files = base / "files"
    files.mkdir()
    (files / LARGE).write_bytes(os.urandom(MIB))
    port = bench.free_port()
    process = subprocess.Popen(
        _nginx(base, UPSTREAM, port=port, files=files),
        preexec_fn=lambda: os.sched_setaffinity(0, {bench.LOAD_CORE}),
    )
    try:
        bench.wait_until_listening(process, port)
        yield port
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
