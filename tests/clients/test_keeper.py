"""Connections that are kept: how they are named, when they are too old, and their end."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from asking import Ground, asking, exchange, in_thread, on_uvloop, result_of, until
from fault_server import FaultServer, refusing_port, response

from skitai import asks, calls
from skitai.engine import Origin, Reach
from skitai.results import Status
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.keeper import IDLE_SECONDS, ConnectionKeeper
from skitaid.workers.clients.servers import ORIGINS_MAX

TLS = ssl.create_default_context()


@pytest.mark.parametrize(
    ("address", "node", "host"),
    [
        (Address("example.com", 80), "example.com:80", "example.com"),
        (Address("example.com", 8080), "example.com:8080", "example.com:8080"),
        (Address("example.com", 443, tls=TLS), "example.com:443", "example.com"),
        (Address("example.com", 80, tls=TLS), "example.com:80", "example.com:80"),
        (Address("::1", 80), "[::1]:80", "[::1]"),
        (Address("::1", 8080), "[::1]:8080", "[::1]:8080"),
        (Address("", 0, "/run/app.sock"), "unix:/run/app.sock", "localhost"),
    ],
)
def test_a_member_is_named_in_results_and_in_the_host_line(
    address: Address, node: str, host: str
) -> None:
    """The Host line leaves out the port that its scheme has by default."""
    assert address.node == node
    assert address.host_field == f"Host: {host}\r\n".encode()


@on_uvloop
async def test_a_member_may_be_a_unix_socket(tmp_path: Path) -> None:
    """It is asked as any other."""
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"localhost" if b"Host: localhost\r\n" in head else head))
        await reader.read()
        writer.close()
        closed.set()

    path = str(tmp_path / "app.sock")
    async with await asyncio.start_unix_server(answer, path):
        keeper = ConnectionKeeper(asyncio.get_running_loop(), Address("", 0, path), 1)
        outcome = await exchange(keeper, asks.get(b"/"))
        assert (outcome.status, outcome.body) == (Status.NORMAL, b"localhost")
        keeper.close()
        await until(lambda: keeper.pool.size == 0)
        await closed.wait()


@on_uvloop
async def test_a_connection_that_has_rested_too_long_is_not_used(faults: FaultServer) -> None:
    """Servers and balancers close such ones, perhaps at this very moment."""
    with asking(faults) as ground:
        await ground.get("/path")
        (resting,) = ground.keeper.pool.idle
        resting.good_until -= IDLE_SECONDS
        await ground.get("/path")
        assert [each.talk for each in faults.seen] == [1, 2]
        assert await ground.at_rest() == [(1, 1)]


@on_uvloop
async def test_the_surplus_of_a_burst_is_closed_when_it_is_old(faults: FaultServer) -> None:
    """What has been used since stays."""
    with asking(faults) as ground:
        await asyncio.gather(*(ground.get("/meet/3") for _ in range(3)))
        assert await ground.at_rest() == [(3, 3)]
        for connection in ground.keeper.pool.idle:
            connection.good_until -= IDLE_SECONDS - 1
        youngest = next(reversed(ground.keeper.pool.idle))
        assert (await ground.get("/path")).status is Status.NORMAL
        for connection in ground.keeper.pool.idle:
            connection.good_until -= 1
        ground.keeper._sweep_idle()
        await in_thread(faults.wait_talks, 1)
        assert await ground.at_rest() == [(1, 1)]
        assert list(ground.keeper.pool.idle) == [youngest]


@on_uvloop
async def test_the_end_of_a_worker_is_the_end_of_all_connections(faults: FaultServer) -> None:
    """Idle ones, busy ones and those being opened; nothing lands any more."""
    with asking(faults) as ground:
        await ground.get("/path")
        out = [ground.call(asks.get(path)) for path in (b"/mute", b"/gate/a", b"/hang-in-body")]
        await in_thread(faults.wait_seen, 4)
        out.append(ground.call(asks.get(b"/path"), Reach.ALL))
        ground.fanout.close()
        faults.open("a")
        await in_thread(faults.wait_talks, 0)
        assert [len(call.replies) for call in out] == [0, 0, 0, 0]


async def wget(ground: Ground, host: str, port: int, path: str = "/path") -> Status:
    """As `was.wget` asks: a server that no cluster has."""
    origin = Origin(host, port, tls=False)
    handle = calls.HttpHandle(ground.engine, origin, asks.get(path.encode()), None)
    return (await result_of(handle)).status


@on_uvloop
async def test_servers_of_wget_are_forgotten_when_they_are_too_many(faults: FaultServer) -> None:
    """Their idle connections are closed; whoever is being asked is not forgotten."""
    with asking() as ground, FaultServer() as busy, refusing_port() as sock:
        assert await wget(ground, "127.0.0.1", faults.port) is Status.NORMAL
        waiting = asyncio.create_task(wget(ground, "127.0.0.1", busy.port, "/gate/a"))
        await in_thread(busy.wait_seen, 1)
        port = sock.getsockname()[1]
        for number in range(ORIGINS_MAX):
            host = f"127.0.{1 + number // 250}.{1 + number % 250}"
            assert await wget(ground, host, port) is Status.NOT_CONNECTED
        await in_thread(faults.wait_talks, 0)
        busy.open("a")
        assert await waiting is Status.NORMAL
        assert await wget(ground, "127.0.0.1", faults.port) is Status.NORMAL
