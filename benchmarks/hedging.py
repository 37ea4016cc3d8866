"""What hedging does to the slowest calls when one of three members hiccups.

    python benchmarks/hedging.py [--calls 6000] [--rate 300]

Each member answers in 5 ms, the third one takes 1 s for 5 in 100 of its calls. The same load, at
a steady rate, is sent by `lb` without a hedge, with one after a fixed time, and with one after
the time that 19 of 20 calls take. All members are in one process, which counts what they are
asked: more than there were calls is the price. The exit code says whether the aim is met:

    p99 of hedged calls <= 2 x their p50 + the hedge's delay, and at most a tenth more requests
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import socket
import sys
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Literal, cast

import bench
import uvloop

from skitai.asks import get
from skitai.engine import Call, Members, Reach
from skitai.results import Status
from skitaid.workers.clients.fanout import Fanout
from skitaid.workers.settings import HttpCluster, Member

USUAL, HICCUP, SHARE = 0.005, 1.0, 0.05
FIXED = 0.02  # seconds: the hedge of the second side
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
WARM = 300  # calls, not counted


@dataclass
class Side:
    """One way to hedge, and what came of it."""

    name: str
    hedge: float | Literal["p95"] | None
    times: list[float] = field(default_factory=list)
    delay: float = 0.0
    extra: float = 0.0  # of all calls

    def quantile(self, share: float) -> float:
        return sorted(self.times)[int(share * len(self.times))]

    @property
    def is_good(self) -> bool:
        bound = 2 * self.quantile(0.5) + self.delay
        return self.quantile(0.99) <= bound and self.extra <= 0.1


# --- the members ---


class Answering(asyncio.Protocol):
    """Waits, then answers. share: of requests, those that meet a hiccup."""

    asked = 0

    def __init__(self, dice: random.Random, share: float) -> None:
        self._dice = dice
        self._share = share

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not one by descent

    def data_received(self, data: bytes) -> None:
        Answering.asked += 1
        pause = HICCUP if self._dice.random() < self._share else USUAL
        asyncio.get_running_loop().call_later(pause, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():  # by a caller that has its answer from another
            self._transport.write(ANSWER)


def serve(sockets: list[socket.socket], pipe: Connection) -> None:
    """All members, on the load's core; tells how often they were asked when it is asked."""
    os.sched_setaffinity(0, {bench.LOAD_CORE})
    uvloop.run(_serve(sockets, pipe))


async def _serve(sockets: list[socket.socket], pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    dice = random.Random(1)
    for share, sock in zip((0.0, 0.0, SHARE), sockets, strict=True):
        await loop.create_server(lambda share=share: Answering(dice, share), sock=sock)
    ended = loop.create_future()

    def answer() -> None:
        if pipe.recv():
            pipe.send(Answering.asked)  # what hangs in a hiccup was asked too
        else:
            ended.set_result(None)

    loop.add_reader(pipe.fileno(), answer)
    await ended


# --- the callers ---


async def run(side: Side, ports: list[int], calls: int, rate: float, pipe: Connection) -> None:
    """Send the calls of one side."""
    loop = asyncio.get_running_loop()
    members = tuple(Member("127.0.0.1", port) for port in ports)
    cluster = HttpCluster("three", members, tls=False, balance="roundrobin", where="")
    landed: dict[Call, asyncio.Future[None]] = {}
    fanout = Fanout(loop, {"three": cluster}, lambda call: landed.pop(call).set_result(None))
    target = Members("three", Reach.ONE, side.hedge)

    async def call() -> float:
        one = Call(target, get(b"/"), 30)
        one.nodes = fanout.nodes(target)
        future = landed[one] = loop.create_future()
        fanout.start(one)
        await future
        (reply,) = one.replies
        assert reply.status is Status.NORMAL, reply.msg
        return reply.elapsed

    async def steadily(number: int) -> list[float]:
        start, tasks = loop.time(), []
        for index in range(number):
            await asyncio.sleep(start + index / rate - loop.time())
            tasks.append(asyncio.create_task(call()))
        return await asyncio.gather(*tasks)

    await steadily(WARM)
    pipe.send(True)
    before = pipe.recv()
    side.times = await steadily(calls)
    pipe.send(True)
    side.extra = (pipe.recv() - before) / calls - 1
    p95 = fanout.clusters["three"].latencies.p95
    side.delay = side.hedge if isinstance(side.hedge, float) else p95 or 0.0
    fanout.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Hedged calls against calls that are not.")
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=300, help="calls a second")
    options = parser.parse_args()
    os.sched_setaffinity(0, {bench.SERVER_CORE})
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(3)]
    ports = [sock.getsockname()[1] for sock in sockets]
    mine, theirs = multiprocessing.Pipe()
    members = multiprocessing.get_context("fork").Process(target=serve, args=(sockets, theirs))
    members.start()
    sides = [Side("no hedge", None), Side(f"hedge={FIXED}", FIXED), Side('hedge="p95"', "p95")]
    try:
        for side in sides:
            uvloop.run(run(side, ports, options.calls, options.rate, mine))
    finally:
        mine.send(False)
        members.join(10)
    show(sides)
    return 0 if all(side.is_good for side in sides[1:]) else 1


def show(sides: list[Side]) -> None:
    """Milliseconds, and how many requests more than calls."""
    print(f"{'':14} {'p50':>8} {'p95':>8} {'p99':>8} {'p99.9':>8} {'hedge':>8}  extra   aim")
    for side in sides:
        quantiles = " ".join(f"{side.quantile(q) * 1000:8.1f}" for q in (0.5, 0.95, 0.99, 0.999))
        aim = "" if side.hedge is None else ("met" if side.is_good else "missed")
        delay = f"{side.delay * 1000:8.1f}" if side.hedge is not None else " " * 8
        print(f"{side.name:14} {quantiles} {delay}  {side.extra:5.1%}   {aim}")


if __name__ == "__main__":
    sys.exit(main())
