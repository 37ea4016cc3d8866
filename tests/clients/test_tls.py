"""TLS to members: whose certificate is believed, and what is said when it is not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from asking import asking, exchange, on_uvloop, until
from fault_server import FaultServer
from fetching import fetching, one

from skitai import asks, calls
from skitai.engine import Origin
from skitai.results import Result, Status
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.settings import ClientTls, HttpCluster, Member


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
        handle = calls.HttpHandle(ground.engine, origin, asks.get(b"/text"), None)
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
        outcome = await exchange(keeper, asks.get(b"/text"))
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
        outcome = await exchange(keeper, asks.get(b"/text"))
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
        outcome = await exchange(keeper, asks.get(b"/text"))
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
    outcome = await exchange(keeper, asks.get(b"/close-in-body"))
    assert outcome.status is Status.FAILED
    assert outcome.msg.startswith(f"{secure.node} closed the connection in the middle")
    await until(lambda: keeper.pool.size == 0)


# --- clusters: what a conf says ---


def cluster_of(server: FaultServer, trust: ClientTls, host: str = "localhost") -> HttpCluster:
    member = Member(host, server.port)
    return HttpCluster("c", (member,), tls=True, balance="p2c", where="test.conf:1", trust=trust)


def pem(directory: Path, name: str, *blobs: trustme.Blob) -> str:
    """A file of these."""
    path = directory / name
    path.write_bytes(b"".join(blob.bytes() for blob in blobs))
    return str(path)


@on_uvloop
async def test_a_cluster_may_have_an_authority_of_its_own(
    secure: FaultServer, authority: trustme.CA, tmp_path: Path
) -> None:
    """cafile: it is believed, and no other; names are looked at as ever."""
    ours = pem(tmp_path, "ours.pem", authority.cert_pem)
    others = pem(tmp_path, "others.pem", trustme.CA().cert_pem)
    for cafile, status in ((ours, 3), (others, 0)):
        with fetching(cluster_of(secure, ClientTls(cafile=cafile))) as ground:
            assert (await ground.fetch(one("c"), "/text")).status == status


@on_uvloop
async def test_verification_can_be_turned_off_for_a_cluster() -> None:
    """verify = no: neither authority nor name are looked at, there and nowhere else."""
    context = server_context(trustme.CA(), "elsewhere.example")
    with (
        FaultServer(tls=context) as server,
        fetching(cluster_of(server, ClientTls(verify=False))) as ground,
    ):
        assert (await ground.fetch(one("c"), "/path")).status == 3
        url = Origin("localhost", server.port, tls=True)
        assert (await ground.fetch(url, "/path")).status == 0


@on_uvloop
async def test_a_member_may_want_to_know_who_asks(authority: trustme.CA, tmp_path: Path) -> None:
    """certfile is shown; without one the member refuses, and the sentence says that it did."""
    context = server_context(authority, "localhost")
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    cafile = pem(tmp_path, "ca.pem", authority.cert_pem)
    me = authority.issue_cert("me@example.com").private_key_and_cert_chain_pem
    with FaultServer(tls=context) as server:
        trust = ClientTls(cafile, certfile=pem(tmp_path, "me.pem", me))
        with fetching(cluster_of(server, trust)) as ground:
            assert (await ground.fetch(one("c"), "/path")).status == 3
        with fetching(cluster_of(server, ClientTls(cafile))) as ground:
            reply = await ground.fetch(one("c"), "/path")
            assert reply.status != 3
            assert reply.msg.startswith((reply.node, f"no connection to {reply.node}"))
            assert await ground.at_rest(one("c")) == [(0, 0)]
