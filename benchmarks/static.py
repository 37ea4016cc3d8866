"""Static files: one that is kept in memory, and one that is streamed, beside what nginx does.

    python benchmarks/static.py [--rounds 3] [--seconds 3] [--connections 64]

Server on core 0, wrk on core 1. Needs wrk, and nginx to compare with, both from Debian. nginx is
set up as for a busy site: one worker, sendfile, and its cache of open files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import bench

SIZES = {"4k.bin": 4 * 1024, "1m.bin": 1024 * 1024}

NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=1000;
    keepalive_requests 1000000000;
    types {{ application/octet-stream bin; }}
    server {{
        listen 127.0.0.1:{port};
        root {files};
        add_header Cache-Control max-age=300;
    }}
}}
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--connections", type=int, default=64)
    given = options.parse_args()

    with tempfile.TemporaryDirectory(prefix="skitai-bench-") as base:
        files = Path(base, "files")
        _make(files)

        def nginx(port: int) -> Sequence[str]:
            directory = tempfile.mkdtemp(dir=base)
            conf = Path(directory, "nginx.conf")
            conf.write_text(NGINX.format(directory=directory, port=port, files=files))
            return ["nginx", "-e", "stderr", "-p", directory, "-c", str(conf)]

        def skitai(port: int) -> Sequence[str]:
            directory = tempfile.mkdtemp(dir=base)
            conf = Path(directory, "bench.conf")
            server = f"ip = 127.0.0.1\nport = {port}\naccess_log = no"
            app = bench.APPS / "skitai_hello"
            conf.write_text(f"[server]\n{server}\n[routes:line]\n/ = {files}\n/ = {app}\n")
            return bench.python("-m", "skitaid", "--var", directory, "serve", str(conf))

        hello = bench.Side("Skitai, async def hello", skitai, "/async")
        ours = [bench.Side(f"Skitai, {name}", skitai, f"/{name}") for name in SIZES]
        theirs = [bench.Side(f"nginx, {name}", nginx, f"/{name}") for name in SIZES]
        others = theirs if shutil.which("nginx") else []
        bench.measure([hello, *ours, *others], given.rounds, given.seconds, given.connections)
        bench.show([hello, *ours, *others], [hello, *others])


def _make(directory: Path) -> None:
    """Files of bytes by chance, old enough to be kept in memory."""
    directory.mkdir()
    directory.parent.chmod(0o755)  # nginx's worker is another user
    for name, size in SIZES.items():
        (directory / name).write_bytes(os.urandom(size))
    time.sleep(2)


if __name__ == "__main__":
    main()
