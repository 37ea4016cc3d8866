"""The client alone: CPU time of a keep-alive GET, without handlers, threads or a server of ours.

    python benchmarks/client.py [--rounds 5] [--requests 20000]

16 requests are out at any time, to 16 servers. Beside us: a client of nothing but httptools, which
is as cheap as it gets in Python, and aiohttp. The CPU time is this process's own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp
import bench
import httptools
import uvloop

from skitai import asks
from skitai.engine import Call, Members, Reach
from skitaid.workers.clients.fanout import Fanout
from skitaid.workers.settings import HttpCluster, Member

OUT = 16

Client = Callable[[list[int], int], Awaitable[float]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--requests", type=int, default=20000)
    given = options.parse_args()
    with bench.upstream(OUT) as ports:
        costs = measure(ports, given.rounds, given.requests)
    show(costs)


def measure(ports: list[int], rounds: int, requests: int) -> dict[str, float]:
    """Microseconds of CPU per GET, the median of the rounds, by the name of the client."""
    costs: dict[str, list[float]] = {name: [] for name in CLIENTS}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {bench.SERVER_CORE})
    try:
        for _ in range(rounds):
            for name, client in CLIENTS.items():
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    used = runner.run(client(ports[:OUT], requests))  # type: ignore[arg-type]
                costs[name].append(used / requests * 1e6)
    finally:
        os.sched_setaffinity(0, cores)
    return {name: statistics.median(each) for name, each in costs.items()}


def show(costs: dict[str, float]) -> None:
    """A table, with ratios to ours."""
    print(f"{'the client alone':40} {'':>8} {'us/GET':>8} {'':>15} {'x us':>9}")
    for name, cost in costs.items():
        print(f"{name:40} {'':>8} {cost:8.1f} {'':>15} {cost / costs['Skitai']:>9.2f}")


async def skitai(ports: list[int], requests: int) -> float:
    """Calls to all members of a cluster, one after the other."""
    loop = asyncio.get_running_loop()
    members = tuple(Member("127.0.0.1", port) for port in ports)
    cluster = HttpCluster("all", members, tls=False, balance="p2c", where="")
    ended = asyncio.Event()
    left = requests // OUT

    def landed(call: Call) -> None:
        nonlocal left
        if call.is_complete:
            left -= 1
            if left:
                ask()
            else:
                ended.set()

    def ask() -> None:
        call = Call(Members("all", Reach.ALL), get, 30.0)
        call.nodes = fanout.nodes(call.target)
        fanout.start(call)

    get = asks.get(b"/fast")
    fanout = Fanout(loop, {"all": cluster}, landed)
    began = time.process_time()
    ask()
    await ended.wait()
    used = time.process_time() - began
    fanout.close()
    return used


class Bare(asyncio.Protocol):
    """Asks again as soon as it is answered."""

    def __init__(self, port: int, requests: int, ended: Callable[[], None]) -> None:
        self.request = b"GET /fast HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port
        self.left = requests
        self.ended = ended
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def ask(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.left -= 1
        if self.left:
            self.ask()
        else:
            self.transport.close()
            self.ended()


async def bare(ports: list[int], requests: int) -> float:
    """One connection to each server."""
    loop = asyncio.get_running_loop()
    began = time.process_time()
    ends = []
    for port in ports:
        end = loop.create_future()
        ends.append(end)
        count = requests // OUT
        await loop.create_connection(
            lambda port=port, end=end, count=count: Bare(port, count, lambda: end.set_result(None)),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
    await asyncio.gather(*ends)
    return time.process_time() - began


async def with_aiohttp(ports: list[int], requests: int) -> float:
    """A session, and a task for each server."""

    async def ask(port: int) -> None:
        for _ in range(requests // OUT):
            async with session.get(f"http://127.0.0.1:{port}/fast") as response:
                await response.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began = time.process_time()
        await asyncio.gather(*[ask(port) for port in ports])
        return time.process_time() - began


CLIENTS: dict[str, Client] = {"Skitai": skitai, "bare httptools": bare, "aiohttp": with_aiohttp}

if __name__ == "__main__":
    main()
