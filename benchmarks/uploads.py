"""What a large upload costs: the worker's memory, and the latency of other requests meanwhile.

    python benchmarks/uploads.py [--size 1024] [--directory /var/tmp]

One worker on core 0; client on core 1. Memory is resident memory; its peak is the kernel's
(VmHWM). More than 16 MiB of growth is a mistake.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import bench
import psutil

MIB = 1024 * 1024
BOUNDARY = "benchmark"
START = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
)
END = f"\r\n--{BOUNDARY}--\r\n".encode()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=1024, help="of the file, in MiB")
    options.add_argument("--directory", default="/var/tmp", help="upload_dir")
    given = options.parse_args()

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    conf = f"upload_dir = {given.directory}\nmax_upload_size = {given.size + 1}m\n"
    conf += f"max_upload_file_size = {given.size + 1}m\n"
    side = bench.Side("uploads", bench.skitai("skitai_uploads", conf), "/up")
    with bench.running(side) as port:
        os.sched_setaffinity(0, {bench.LOAD_CORE})
        worker = the_worker(port)
        upload(port, 2)  # what the first one needs once is no growth
        quiet = latencies(port, lambda: time.sleep(3))
        with open(f"/proc/{worker.pid}/clear_refs", "w") as peak:
            peak.write("5")
        before = worker.memory_info().rss
        seconds: list[float] = []
        busy = latencies(port, lambda: seconds.append(upload(port, given.size)))
        show(given.size, seconds[0], before, worker)
    show_latencies("without it", quiet)
    show_latencies("during it", busy)


def upload(port: int, size: int) -> float:
    """Send a file of so many MiB; the seconds it took until it was answered."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    length = len(START) + size * MIB + len(END)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    headers = {"Content-Type": kind, "Content-Length": str(length)}
    connection.request("POST", "/up", pieces(size), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()
    return time.monotonic() - began


def pieces(size: int) -> Iterator[bytes]:
    yield START
    piece = os.urandom(MIB)
    for _ in range(size):
        yield piece
    yield END


def latencies(port: int, action: Callable[[], object]) -> list[float]:
    """Of requests one after the other while `action()` runs, in milliseconds."""
    thread = threading.Thread(target=action)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    found = []
    thread.start()
    while thread.is_alive():
        began = time.monotonic()
        connection.request("GET", "/hello")
        connection.getresponse().read()
        found.append((time.monotonic() - began) * 1000)
        time.sleep(0.002)
    connection.close()
    return found


def the_worker(port: int) -> psutil.Process:
    """Master and worker hold the same listening socket; one of them is told."""
    listening = [each for each in psutil.net_connections("tcp") if each.status == "LISTEN"]
    (holder,) = [psutil.Process(each.pid) for each in listening if each.laddr.port == port]
    return (holder.children() or [holder])[0]


def show(size: int, seconds: float, before: int, worker: psutil.Process) -> None:
    with open(f"/proc/{worker.pid}/status") as status:
        (peak,) = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
    after = worker.memory_info().rss
    print(f"{size} MiB in {seconds:.1f} s: {size / seconds:.0f} MiB/s")
    print(f"worker: before {before / MIB:.1f} MiB, peak {peak / MIB:.1f}, after {after / MIB:.1f}")
    print(f"growth: {(peak - before) / MIB:.1f} MiB")


def show_latencies(when: str, found: list[float]) -> None:
    found.sort()
    middle, late = statistics.median(found), found[int(len(found) * 0.99)]
    print(f"hello {when}: median {middle:.2f} ms, 99 % {late:.2f} ms, {len(found)} requests")


if __name__ == "__main__":
    main()
