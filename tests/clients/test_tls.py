"""TLS to members: whose certificate is believed, and what is said when it is not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

import pytest
import trustme
from asking import asking, exchange, on_uvloop, until
from fault_server import FaultServer

from skitai import calls
from skitai.engine import Origin
from skitai.results import Result, Status
from skitaid.workers.clients.keeper import Address, ConnectionKeeper


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[FaultServer]:
    """A fault server behind TLS, with a certificate for localhost and 127.0.0.1."""
    with FaultServer(tls=server_context(authority, "localhost", "127.0.0.1")) as server:
        yield server


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@on_uvloop
async def test_an_unknown_authority_is_refused_with_a_sentence(secure: FaultServer) -> None:
    """wget of https: status 0, and msg says that it is the certificate."""
    with asking() as ground:
        origin = Origin("localhost", secure.port, tls=True)
        handle = calls.HttpHandle(ground.engine, origin, calls.get(b"/text"), None)
        result = await handle.wait(30)
        assert isinstance(result, Result)
        assert result.status is Status.NOT_CONNECTED
        start = f"no connection to localhost:{secure.port}: its certificate is refused: "
        assert result.msg.startswith(start)
        assert "issuer certificate" in result.msg


@on_uvloop
async def test_a_trusted_member_serves_as_any_other(
    secure: FaultServer, authority: trustme.CA
) -> None:
    """By address too, and with one connection for several requests."""
    loop = asyncio.get_running_loop()
    address = Address("127.0.0.1", secure.port, tls=trusting(authority))
    keeper = ConnectionKeeper(loop, address, 4)
    for _ in range(3):
        outcome = await exchange(keeper, calls.get(b"/text"))
        assert (outcome.status, outcome.body) == (Status.NORMAL, "Käse".encode("latin-1"))
    assert len(keeper.pool.idle) == keeper.pool.size == 1
    keeper.close()
    await until(lambda: keeper.pool.size == 0)


@on_uvloop
async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA) -> None:
    """Trust in the authority is not enough; the sentence names the member."""
    loop = asyncio.get_running_loop()
    with FaultServer(tls=server_context(authority, "elsewhere.example")) as other:
        keeper = ConnectionKeeper(
            loop, Address("localhost", other.port, tls=trusting(authority)), 1
        )
        outcome = await exchange(keeper, calls.get(b"/text"))
        assert outcome.status is Status.NOT_CONNECTED
        start = f"no connection to localhost:{other.port}: its certificate is refused: "
        assert outcome.msg.startswith(start)
        assert keeper.pool.size == 0


@on_uvloop
async def test_a_server_without_tls_is_not_connected(authority: trustme.CA) -> None:
    """It answers the handshake with plain HTTP."""
    loop = asyncio.get_running_loop()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        keeper = ConnectionKeeper(loop, Address("127.0.0.1", port, tls=trusting(authority)), 1)
        outcome = await exchange(keeper, calls.get(b"/text"))
        assert outcome.status is Status.NOT_CONNECTED
        assert outcome.msg.startswith(f"no connection to 127.0.0.1:{port}: ")
        assert keeper.pool.size == 0


@on_uvloop
async def test_a_fault_behind_tls_is_told_as_without(
    secure: FaultServer, authority: trustme.CA
) -> None:
    """The end of a TLS connection is the end of an answer only where that is its framing."""
    loop = asyncio.get_running_loop()
    address = Address("127.0.0.1", secure.port, tls=trusting(authority))
    keeper = ConnectionKeeper(loop, address, 4)
    outcome = await exchange(keeper, calls.get(b"/close-in-body"))
    assert outcome.status is Status.FAILED
    assert outcome.msg.startswith(f"{secure.node} closed the connection in the middle")
    await until(lambda: keeper.pool.size == 0)
