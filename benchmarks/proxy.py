"""The reverse proxy beside nginx and a proxy of aiohttp: small answers, large ones, and its memory.

    python benchmarks/proxy.py [--rounds 3] [--seconds 3] [--connections 64] [--gib 1]

Proxy on core 0; on core 1 wrk and the upstream, an nginx. Each side asks the same upstream, over
kept connections. Needs wrk and nginx, both from Debian. Memory: bytes go through the proxy each
way, once to a reader that reads as it can and once to one a hundred times slower than the writer.
More than 16 MiB of growth is a mistake. The slow readers take some minutes; --gib 0.1 is shorter.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import bench
import psutil

Command = Callable[[int], Sequence[str]]

MIB = 1024 * 1024
SLOW = 100  # times slower than it is sent
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
        server 127.0.0.1:{upstream};
        keepalive 128;
        keepalive_requests 1000000000;
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
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # aiohttp tells of each client that leaves
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
                _memory(sides["Skitai"], int(given.gib * 1024))


def _sides(base: Path, upstream: int) -> dict[str, Command]:
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


# --- memory ---


class Member:
    """Takes and gives bodies of any size; pauses say how slow it reads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pause = 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            sock, _ = self.listener.accept()
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        head, _, rest = head.partition(b"\r\n\r\n")
        if head.startswith(b"GET"):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (self.size * MIB))
            _send(sock, self.size)
        else:
            _receive(sock, self.size * MIB - len(rest), self.pause)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.close()


def _send(sock: socket.socket, size: int) -> None:
    piece = os.urandom(MIB)
    for _ in range(size):
        sock.sendall(piece)


def _receive(sock: socket.socket, size: int, pause: float) -> None:
    """pause: seconds between two reads of 64 KiB."""
    while size > 0:
        data = sock.recv(65536)
        assert data, f"the other side has closed {size} bytes too early"
        size -= len(data)
        if pause:
            time.sleep(pause)


def _memory(command: Callable[[int], Sequence[str]], size: int) -> None:
    """Growth of the worker while so many MiB go through, each way, to a fast and a slow reader."""
    member = Member(size)

    def proxy(port: int) -> Sequence[str]:
        arguments = list(command(port))
        conf = Path(arguments[-1])
        text = conf.read_text()
        members = f"members = 127.0.0.1:{member.port}"
        conf.write_text(
            "\n".join(members if x.startswith("members") else x for x in text.split("\n"))
        )
        return arguments

    with bench.running(bench.Side("memory", proxy, "/")) as port:
        os.sched_setaffinity(0, {bench.LOAD_CORE})
        worker = _worker(port)
        for way in (_download, _upload):  # what the first one needs once is no growth
            member.size = 8
            way(member, port, 0.0)
        fast = {}
        for name, way in (("down", _download), ("up", _upload)):
            member.size = size
            fast[name] = _measured(worker, f"{size} MiB {name}", lambda: way(member, port, 0.0))  # noqa: B023
            pause = SLOW * fast[name] / (size * 16)  # for each 64 KiB
            slow = f"{size} MiB {name}, reader {SLOW} times slower"
            _measured(worker, slow, lambda: way(member, port, pause))  # noqa: B023


def _download(member: Member, port: int, pause: float) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        rest = head.partition(b"\r\n\r\n")[2]
        _receive(sock, member.size * MIB - len(rest), pause)


def _upload(member: Member, port: int, pause: float) -> None:
    member.pause = pause
    with socket.create_connection(("127.0.0.1", port)) as sock:
        length = member.size * MIB
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
        _send(sock, member.size)
        answer = sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    member.pause = 0.0


def _measured(worker: psutil.Process, name: str, action: Callable[[], None]) -> float:
    """Show the growth of resident memory, its peak by the kernel; the seconds it took."""
    with open(f"/proc/{worker.pid}/clear_refs", "w") as peak:
        peak.write("5")
    before = worker.memory_info().rss
    began = time.monotonic()
    action()
    seconds = time.monotonic() - began
    with open(f"/proc/{worker.pid}/status") as status:
        (top,) = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
    print(f"{name}: {seconds:.1f} s, growth {(top - before) / MIB:.1f} MiB")
    return seconds


def _worker(port: int) -> psutil.Process:
    """Master and worker hold the same listening socket; one of them is told."""
    listening = [each for each in psutil.net_connections("tcp") if each.status == "LISTEN"]
    (holder,) = [psutil.Process(each.pid) for each in listening if each.laddr.port == port]
    return (holder.children() or [holder])[0]


if __name__ == "__main__":
    main()
