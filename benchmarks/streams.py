"""What a large streamed download costs: the worker's memory, the time, and others' latency.

    python benchmarks/streams.py [--size 1024]

Each way of streaming has a server of its own: one worker on core 0; client on core 1. Memory is
resident memory; its peak is the kernel's (VmHWM). More than 16 MiB of growth is a mistake.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time

import bench
from uploads import MIB, latencies, the_worker

WAYS = ("/file", "/generator", "/more", "/async")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=1024, help="of the download, in MiB")
    given = options.parse_args()

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # servers in the foreground log there too
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        for _ in range(given.size):
            file.write(bytes(MIB))
        file.flush()
        os.environ |= {"FILE": file.name, "SIZE": str(given.size * MIB)}
        print(f"{given.size} MiB    before   peak  grown  MiB/s  hello meanwhile: median  99 %")
        for way in WAYS:
            measure(way, given.size)


def measure(way: str, size: int) -> None:
    """One line of the table."""
    with bench.running(bench.Side(way, bench.skitai("skitai_streams"), way)) as port:
        os.sched_setaffinity(0, {bench.LOAD_CORE})
        worker = the_worker(port)
        download(port, "/warm", 0)  # what the first one needs once is no growth
        with open(f"/proc/{worker.pid}/clear_refs", "w") as peak:
            peak.write("5")
        before = worker.memory_info().rss / MIB
        seconds: list[float] = []
        waits = latencies(port, lambda: seconds.append(download(port, way, size)))
        with open(f"/proc/{worker.pid}/status") as status:
            (most,) = [int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")]
    waits.sort()
    middle, late = statistics.median(waits), waits[int(len(waits) * 0.99)]
    rate = size / seconds[0]
    print(
        f"{way:12} {before:6.1f} {most:6.1f} {most - before:6.1f} {rate:6.0f}"
        f"  {middle:23.2f} ms {late:5.2f} ms"
    )


def download(port: int, way: str, size: int) -> float:
    """Read all of it and throw it away; the seconds that it took. size: MiB at least."""
    began = time.monotonic()
    received, buffer = 0, bytearray(MIB)
    with socket.create_connection(("127.0.0.1", port), timeout=600) as sock:
        sock.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % way.encode())
        while more := sock.recv_into(buffer):
            received += more
    assert received >= size * MIB, f"only {received} bytes of {way} came"
    return time.monotonic() - began


if __name__ == "__main__":
    main()
