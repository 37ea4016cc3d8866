"""Every kind of request through the proxy, to a member in every condition: what both sides see."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from fault_server import refusing_port
from operator_session import Home
from plain_member import HALF, WHOLE, PlainMember
from raw_client import MIB, RawClient, chunked, crc_of, pieces, raw_client, request
from served import Server

LARGE = 100 * MIB


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request. size: of its body."""

    name: str
    method: str
    size: int = 0
    is_chunked: bool = False
    is_upgrade: bool = False

    @property
    def is_repeatable(self) -> bool:
        return self.method != "POST" and self.size < LARGE

    def body(self) -> Iterator[bytes]:
        return pieces(self.size)

    def sent(self, target: str, persistence: str) -> Iterable[bytes]:
        """As it goes over the wire."""
        fields = [f"Connection: {persistence}"]
        if self.is_upgrade:
            fields = [f"Connection: Upgrade, {persistence}", "Upgrade: echo"]
        if self.is_chunked:
            fields.append("Transfer-Encoding: chunked")
        elif self.size:
            fields.append(f"Content-Length: {self.size}")
        yield request(self.method, target, *fields)
        yield from chunked(self.body()) if self.is_chunked else self.body()


KINDS = [
    Kind("get", "GET"),
    Kind("head", "HEAD"),
    Kind("post-length", "POST", 1000),
    Kind("post-chunked", "POST", 3 * MIB, is_chunked=True),
    Kind("put-100mb", "PUT", LARGE),
    Kind("delete", "DELETE"),
    Kind("options", "OPTIONS"),
    Kind("upgrade", "GET", is_upgrade=True),
]


@pytest.fixture(scope="module")
def server(shared_home: Home, shared_member: PlainMember) -> Iterator[Server]:
    with refusing_port() as refusing:
        conf = f"[@one]\nmembers = {shared_member.node}\n"
        conf += f"[@none]\nmembers = 127.0.0.1:{refusing.getsockname()[1]}\n"
        yield shared_home.serve(routes="/one = @one\n/none = @none", sections=conf)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["keep-alive", "close"])
def persistence(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with raw_client(server.port) as client:
        yield client


def check_end(client: RawClient, persistence: str, is_kept: bool = True) -> None:
    """The connection stays for another request, or it does not."""
    if persistence == "keep-alive" and is_kept:
        client.send(request("GET", "/one/fine/again"))
        assert client.whole_answer() == (200, WHOLE)
    else:
        assert client.is_closed()


def check_seen(member: PlainMember, kind: Kind, target: str, most: int = 1) -> None:
    """The member has got the request, whole and once, or at most so often."""
    seen = [each for each in member.seen if each.target == target]
    assert 1 <= len(seen) <= most
    for each in seen:
        assert (each.method, each.size) == (kind.method, kind.size)
        assert each.crc == crc_of(kind.body())


def test_member_is_fine(
    kind: Kind, persistence: str, client: RawClient, member: PlainMember
) -> None:
    """The member sees the request as it was sent, the client the answer; the connection is kept."""
    client.send_meanwhile(kind.sent("/one/fine", persistence))
    response = client.answer(kind.method)
    if kind.is_upgrade:
        assert response.status == 101
        client.send(b"ping")
        assert client.receive(4) == b"ping"
    else:
        assert response.read() == (b"" if kind.method == "HEAD" else WHOLE)
        assert (response.status, response.getheader("content-length")) == (200, str(len(WHOLE)))
        check_end(client, persistence)
    check_seen(member, kind, "/fine")


def test_member_refuses(
    kind: Kind, persistence: str, client: RawClient, member: PlainMember
) -> None:
    """What cannot be reached is a 503; a body that is still to come ends the connection."""
    client.send_meanwhile(kind.sent("/none/fine", persistence))
    status, _ = client.whole_answer(kind.method)

    assert status == 503
    assert member.seen == []
    check_end(client, persistence, is_kept=kind.size < MIB)


def test_member_dies_before_the_header(
    kind: Kind, persistence: str, client: RawClient, member: PlainMember
) -> None:
    """The client gets 502; what may be repeated is, once, on a connection that was kept."""
    client.send_meanwhile(kind.sent("/one/before", persistence))
    status, _ = client.whole_answer(kind.method)

    assert status == 502
    check_seen(member, kind, "/before", most=2 if kind.is_repeatable else 1)
    check_end(client, persistence)


def test_member_dies_in_its_body(
    kind: Kind, persistence: str, client: RawClient, member: PlainMember
) -> None:
    """The client sees that the answer is not whole; a HEAD has none that could be cut."""
    client.send_meanwhile(kind.sent("/one/middle", persistence))
    response = client.answer(kind.method)
    if kind.is_upgrade:
        client.send(b"ping")
        with pytest.raises(ConnectionResetError):
            client.receive(4)
    elif kind.method == "HEAD":
        assert response.read() == b""
        check_end(client, persistence)
    else:
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
    assert response.status == (101 if kind.is_upgrade else 200)
    check_seen(member, kind, "/middle")


def test_member_is_slow(
    kind: Kind, persistence: str, client: RawClient, member: PlainMember
) -> None:
    """What it has sent is with the client before it sends the rest."""
    client.send_meanwhile(kind.sent("/one/slow", persistence))
    member.wait_seen(1)
    has_body = not kind.is_upgrade and kind.method != "HEAD"
    if has_body:
        response = client.answer(kind.method)
        assert response.read(len(HALF)) == HALF
    member.open()
    if not has_body:
        response = client.answer(kind.method)
    if kind.is_upgrade:
        client.send(b"ping")
        assert client.receive(4) == b"ping"
    else:
        assert response.read() == (WHOLE[len(HALF) :] if has_body else b"")
        check_end(client, persistence)
    check_seen(member, kind, "/slow")
