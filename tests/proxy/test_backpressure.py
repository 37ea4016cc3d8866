"""One side that does not read stops the other: what is in between is little, and the same for any
size of body."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psutil
import pytest
from operator_session import Home
from plain_member import Asked, PlainMember, Talk, header
from raw_client import MIB, pieces, raw_client, request
from served import Server
from waits import wait_until

SIZE = 64 * MIB
GROWTH = 16 * MIB  # of the worker
ON_THE_WAY = 16 * MIB  # in all socket buffers and ours


class Meter:
    """How many bytes have got through."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_full = threading.Event()

    def count(self, size: int) -> None:
        self.sent += size


METER = Meter()


def gives(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """A large answer, sent as fast as it is taken."""
    talk.send(header(length=SIZE))
    for piece in pieces(SIZE, 65536):
        talk.send(piece)
        METER.count(len(piece))
    return True


def takes(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """Reads a large body when it is told to."""
    member.wait_open()
    size, _, _ = talk.body(asked.fields)
    body = b"%d" % size
    talk.send(header(length=len(body)) + body)
    return True


takes.reads_first = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def shared_member() -> Iterator[PlainMember]:
    with PlainMember(gives=gives, takes=takes) as member:
        yield member


@pytest.fixture(scope="module")
def server(shared_home: Home, shared_member: PlainMember) -> Server:
    conf = f"[@one]\nmembers = {shared_member.node}"
    return shared_home.serve(routes="/one = @one", sections=conf)


def worker(server: Server) -> psutil.Process:
    return psutil.Process(server.workers()[0])


class Standstill:
    """Tells when a number has not changed for some looks."""

    LOOKS = 30

    def __init__(self) -> None:
        self._last = -1
        self._same = 0

    def __call__(self) -> bool:
        self._same = self._same + 1 if METER.sent == self._last else 0
        self._last = METER.sent
        return METER.sent > 0 and self._same >= self.LOOKS


def test_client_that_does_not_read_stops_the_member(server: Server, member: PlainMember) -> None:
    """The member's sending stands still, and the worker has not grown; then all of it comes."""
    METER.sent = 0
    process = worker(server)
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/gives"))
        response = client.answer()
        before = process.memory_info().rss
        wait_until(Standstill(), "the member stands still")
        stood_at, growth = METER.sent, process.memory_info().rss - before
        got = sum(len(piece) for piece in iter(lambda: response.read(MIB), b""))

    assert stood_at < ON_THE_WAY
    assert growth < GROWTH
    assert got == SIZE


def test_member_that_does_not_read_stops_the_client(server: Server, member: PlainMember) -> None:
    """The client's sending stands still, and the worker has not grown; then all of it is taken."""
    METER.sent = 0
    process = worker(server)

    def body() -> Iterator[bytes]:
        for piece in pieces(SIZE, 65536):
            yield piece
            METER.count(len(piece))

    with raw_client(server.port) as client:
        client.send(request("PUT", "/one/takes", f"Content-Length: {SIZE}"))
        member.wait_begun()
        before = process.memory_info().rss
        client.send_meanwhile(body())
        wait_until(Standstill(), "the client stands still")
        stood_at, growth = METER.sent, process.memory_info().rss - before
        member.open()
        answer = client.whole_answer()

    assert stood_at < ON_THE_WAY
    assert growth < GROWTH
    assert answer == (200, b"%d" % SIZE)
