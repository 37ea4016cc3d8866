"""Several addresses of one name: the first that can be connected wins, and the others leave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from asking import exchange, in_thread, on_uvloop, until
from fault_server import FaultServer, refusing_port
from fetching import get

from skitai.results import Status
from skitaid.workers.clients import dial
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.clients.names import Names, Place

SOON = 0.01  # seconds; the next joins the race
NEVER = 3600.0


@contextmanager
def full() -> Iterator[Place]:
    """Somewhere that neither takes nor refuses connections: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with filled(address):
            yield Place(socket.AF_INET, address)


@contextmanager
def filled(address: tuple[str, int]) -> Iterator[None]:
    """Connections until one is not taken any more."""
    socks: list[socket.socket] = []
    try:
        while True:
            sock = socket.socket()
            socks.append(sock)
            sock.settimeout(0.2)
            try:
                sock.connect(address)
            except TimeoutError:
                break
        yield
    finally:
        for sock in socks:
            sock.close()


def place_of(server: FaultServer) -> Place:
    return Place(socket.AF_INET, ("127.0.0.1", server.port))


def refusing(sock: socket.socket) -> Place:
    return Place(socket.AF_INET, sock.getsockname())


async def first(places: list[Place], stagger: float) -> tuple[str, int]:
    """Whom the winner is connected to."""
    with closing(await dial._first(asyncio.get_running_loop(), places, stagger)) as sock:
        host, port = sock.getpeername()
        return host, port


@on_uvloop
async def test_all_that_refuse_are_a_refusal() -> None:
    """The first one's, as if it had been alone."""
    with refusing_port() as one, refusing_port() as two, pytest.raises(ConnectionRefusedError):
        await first([refusing(one), refusing(two)], NEVER)


@on_uvloop
async def test_one_that_refuses_is_not_waited_for(faults: FaultServer) -> None:
    """The next is tried at once, not after the stagger."""
    with refusing_port() as sock:
        places = [refusing(sock), place_of(faults)]
        assert await first(places, NEVER) == ("127.0.0.1", faults.port)


@on_uvloop
async def test_one_that_hangs_delays_by_the_stagger_alone(faults: FaultServer) -> None:
    """And its socket is closed when the other has won."""
    with full() as hanging:
        assert await first([hanging, place_of(faults)], SOON) == ("127.0.0.1", faults.port)
        await until(lambda: len(asyncio.all_tasks()) == 1)


@on_uvloop
async def test_the_first_one_wins_if_it_is_there(faults: FaultServer) -> None:
    """The others are not bothered."""
    with FaultServer() as other:
        places = [place_of(faults), place_of(other)]
        assert await first(places, NEVER) == ("127.0.0.1", faults.port)
        assert other.board.accepted == 0


@on_uvloop
async def test_a_race_that_is_given_up_leaves_nobody() -> None:
    """As at the end of the time that a connection may take."""
    with full() as hanging:
        racing = asyncio.create_task(first([hanging, hanging], SOON))
        await until(lambda: len(asyncio.all_tasks()) == 4)
        racing.cancel()
        await asyncio.wait([racing])
        await until(lambda: len(asyncio.all_tasks()) == 1)


@on_uvloop
async def test_winners_of_the_same_moment_are_closed_but_one(faults: FaultServer) -> None:
    """Nobody's connection is left open."""
    for _ in range(20):
        await first([place_of(faults)] * 4, 0.0)
    await in_thread(faults.wait_talks, 0)


@on_uvloop
async def test_a_name_is_reached_by_the_address_that_answers(faults: FaultServer) -> None:
    """What getaddrinfo puts first may be out: IPv6 without a route, or a server that has gone."""
    with refusing_port() as sock:
        looked_up: list[str] = []

        async def look_up(host: str, port: int) -> list[Place]:
            looked_up.append(host)
            gone = Place(socket.AF_INET6, ("::1", sock.getsockname()[1], 0, 0))
            return [gone, refusing(sock), place_of(faults)]

        loop = asyncio.get_running_loop()
        keeper = ConnectionKeeper(loop, Address("s1.example", 80), 1, names=Names(look_up))
        outcome = await exchange(keeper, get("/echo"))
        assert (outcome.status, looked_up) == (Status.NORMAL, ["s1.example"])
        assert faults.seen[0].fields["host"] == "s1.example"
        keeper.close()
        await until(lambda: keeper.pool.size == 0)


@on_uvloop
async def test_a_name_nobody_answers_for_is_looked_up_again() -> None:
    """The next call finds out whether the server has moved."""
    looked_up: list[str] = []
    with refusing_port() as sock:

        async def look_up(host: str, port: int) -> list[Place]:
            looked_up.append(host)
            return [refusing(sock)] * 2

        loop = asyncio.get_running_loop()
        keeper = ConnectionKeeper(loop, Address("s1.example", 80), 1, names=Names(look_up))
        for _ in range(2):
            outcome = await exchange(keeper, get("/"))
            assert outcome.msg.startswith("no connection to s1.example:80: connection refused, ")
        assert len(looked_up) == 2
