"""Requests that end before their time: nothing is left of them, and nobody hangs."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator

import pytest
from operator_session import Home
from plain_member import WHOLE, Asked, PlainMember, Talk, header
from raw_client import MIB, RawClient, raw_client, request
from served import Server
from waits import wait_until

CONF = """\
[@one]
max_connections = 1
members = {node}
"""
RESET = struct.pack("ii", 1, 0)


def late(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """Answers when it is told to."""
    member.wait_open()
    talk.send(header() + WHOLE)
    return True


def early(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """Answers without a look at the body: some now, the rest when it is told to."""
    talk.send(header(length=64 * MIB) + b"x")
    member.wait_open()
    talk.send(bytes(64 * MIB - 1))
    return False


early.reads_first = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def shared_member() -> Iterator[PlainMember]:
    with PlainMember(late=late, early=early) as member:
        yield member


@pytest.fixture(scope="module")
def server(shared_home: Home, shared_member: PlainMember) -> Iterator[Server]:
    conf = CONF.format(node=shared_member.node)
    yield shared_home.serve(routes="/one = @one", sections=conf, more="body_timeout = 1")


@pytest.fixture
def client(server: Server, member: PlainMember) -> Iterator[RawClient]:
    with raw_client(server.port) as client:
        yield client


def connections(server: Server) -> int:
    return sum(each.connections for each in server.status().workers)


def is_writable(client: RawClient) -> bool:
    return bool(select.select([], [client.sock], [], 0.2)[1])


def test_body_that_ends_before_there_is_a_connection(
    server: Server, client: RawClient, member: PlainMember
) -> None:
    """A client that stops while its request waits for a connection gets 408, and the member sees
    nothing of it.
    """
    with raw_client(server.port) as other:
        other.send(request("GET", "/one/late"))
        member.wait_seen(1)
        client.send(request("POST", "/one/fine", "Content-Length: 100000"), b"x" * 1000)
        assert client.whole_answer()[0] == 408
        assert client.is_closed()
        member.open()
        assert other.whole_answer() == (200, WHOLE)
        other.send(request("GET", "/one/fine"))
        assert other.whole_answer() == (200, WHOLE)

    assert [each.method for each in member.seen] == ["GET", "GET"]
    assert member.broken == 0


def test_client_that_is_gone_while_its_body_is_held(server: Server, member: PlainMember) -> None:
    """Nothing is left of a client that is found to have gone when it should read the answer."""
    with raw_client(server.port) as client:
        client.send(request("POST", "/one/early", f"Content-Length: {64 * MIB}"))
        client.send_meanwhile([bytes(MIB)] * 64)
        assert client.answer().status == 200
        assert client.receive(1) == b"x"
        wait_until(lambda: not is_writable(client), "that nobody takes more of the body")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    member.open()
    wait_until(lambda: not connections(server), "that the connection is forgotten")

    assert "Traceback" not in server.log()


def test_half_close_with_requests_behind_it(
    server: Server, client: RawClient, member: PlainMember
) -> None:
    """The next request is not answered in place of the one that was given up: all ends."""
    client.send(request("GET", "/one/late") + request("GET", "/one/fine"))
    member.wait_seen(1)
    client.sock.shutdown(socket.SHUT_WR)

    assert client.is_closed()
    wait_until(lambda: not connections(server), "that the connection is forgotten")
    assert [each.target for each in member.seen] == ["/late"]
    member.open()
