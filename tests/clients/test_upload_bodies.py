"""Bodies that are not held in memory: sent as fast as the server reads, and what ends them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from asking import in_thread, on_uvloop, until
from fault_server import (
    PATIENCE,
    Board,
    FaultServer,
    Seen,
    Talk,
    reset,
    response,
)
from fetching import Ground, fetching, one

from skitai.engine import Ask, Call, Reply
from skitai.results import Status
from skitaid.workers.settings import ClientLimits, HttpCluster, Member

PIECE = b"0123456789abcdef" * 4096  # 64 KiB
MANY = 512  # pieces: 32 MiB, more than all buffers on the way can hold


class Pieces:
    """An upload that counts how often and where it is read."""

    def __init__(self, count: int, error: OSError | None = None, length: int | None = None) -> None:
        self.length = count * len(PIECE) if length is None else length
        self.read = 0
        self.threads: set[int] = set()
        self._count = count
        self._error = error

    def pieces(self) -> Iterator[bytes]:
        for _ in range(self._count):
            self.threads.add(threading.get_ident())
            self.read += 1
            yield PIECE
        if self._error is not None:
            raise self._error


def put(path: str, body: Pieces) -> Ask:
    fields = b"Content-Length: %d\r\n" % body.length
    return Ask(f"PUT {path} HTTP/1.1\r\n".encode(), fields, body, idempotent=True)


def size(board: Board, talk: Talk, request: Seen) -> bool:
    """How many bytes came, and whether they are the right ones."""
    pieces, rest = divmod(len(request.body), len(PIECE))
    right = rest == 0 and request.body == PIECE * pieces
    talk.send(response(f"{len(request.body)} {right}".encode()))
    return True


class Deaf(FaultServer):
    """Answers as soon as it has the header of a request, and reads nothing of its body."""

    def __init__(self, answer: bytes) -> None:
        self._answer_to_header = answer
        super().__init__()

    def _converse(self, talk: Talk) -> None:
        try:
            talk.sock.recv(1024)
            with self.board.changed:
                self.board.gates.add("header")
                self.board.changed.notify_all()
            if self._answer_to_header:
                talk.send(self._answer_to_header)
            self.board.wait_for(lambda: "end" in self.board.gates, "the end")
        except OSError:
            pass
        finally:
            talk.sock.close()
            with self.board.changed:
                del self.board.talks[talk.number]
                self.board.changed.notify_all()

    def wait_header(self) -> None:
        self.board.wait_for(lambda: "header" in self.board.gates, "a header")


# --- what goes wrong ---


@on_uvloop
async def test_a_body_that_cannot_be_read_is_status_2(faults: FaultServer) -> None:
    """The sentence says what is wrong with the file; the server is not to blame."""
    cluster = cluster_of(faults)
    with fetching(cluster) as ground:
        for _ in range(4):
            body = Pieces(4, OSError("/a/file has become shorter"))
            body.length += 1
            reply = await ground.fetch(one("c"), put("/size", body))
            assert reply.status is Status.FAILED
            said = "could not be asked: the body could not be read: /a/file has become shorter"
            assert reply.msg.startswith(f"{faults.node} {said}, ")
        assert await ground.at_rest(one("c")) == [(0, 0)]
        assert ground.member(one("c")).health.failures == 0


@pytest.mark.parametrize("length", [2 * len(PIECE) - 1, 2 * len(PIECE) + 1])
@on_uvloop
async def test_a_body_of_another_length_is_status_2(faults: FaultServer, length: int) -> None:
    """Shorter or longer than what was announced: neither may pass for a request."""
    with fetching() as ground:
        reply = await ground.fetch(faults, put("/size", Pieces(2, length=length)))
        assert reply.status is Status.FAILED
        assert f"could not be asked: the body is not of {length} bytes" in reply.msg
        assert await ground.at_rest(faults) == [(0, 0)]
    assert faults.seen == []


@on_uvloop
async def test_a_server_that_does_not_read_is_not_sent_more() -> None:
    """What is on the way is bounded, and cancelling the call ends it."""
    body = Pieces(MANY)
    with Deaf(b"") as server, fetching() as ground:
        call = ground.start(server, put("/size", body))
        await in_thread(server.wait_header)
        await until(lambda: paused(ground, server))
        read = body.read
        assert read < MANY
        ground.fanout.cancel(call)
        assert await ground.at_rest(server) == [(0, 0)]
        server.open("end")
        await in_thread(server.wait_talks, 0)
        assert body.read <= read + 4
        assert call.replies == []


def paused(ground: Ground, server: FaultServer) -> bool:
    return any(each._drain is not None for each in ground.member(server).keeper.pool.busy)


@on_uvloop
async def test_a_server_may_answer_before_it_has_read_all() -> None:
    """Its answer counts, as 413 does; the connection cannot be used again."""
    answer = response(b"too large", status="413 Content Too Large")
    with Deaf(answer) as server, fetching() as ground:
        reply = await ground.fetch(server, put("/size", Pieces(MANY)))
        assert (reply.status, reply.code, reply.body) == (3, 413, b"too large")
        assert await ground.at_rest(server) == [(0, 0)]
        server.open("end")


@on_uvloop
async def test_a_server_that_leaves_in_the_middle_is_status_2() -> None:
    """As with any other request."""
    with FaultServer({"/size": reset}) as server, fetching() as ground:
        reply = await ground.fetch(server, put("/size", Pieces(2)))
        assert reply.status is Status.FAILED
        assert reply.msg.startswith(f"{server.node} closed the connection before it answered")
        assert await ground.at_rest(server) == [(0, 0)]


@on_uvloop
async def test_a_server_that_does_not_read_is_silent() -> None:
    """read_timeout holds for what it takes as for what it says."""
    with Deaf(b"") as server:
        cluster = cluster_of(server, ClientLimits(read_timeout=0.1))
        with fetching(cluster) as ground:
            reply = await ground.fetch(one("c"), put("/size", Pieces(MANY)))
            assert reply.status is Status.TIMEOUT
            assert reply.msg.startswith(f"{server.node} was silent for 0.1 s, ")
            server.open("end")


# --- what goes right ---


@on_uvloop
async def test_a_body_arrives_as_it_is() -> None:
    """Of many pieces, of one, of none; read on another thread, and the connection stays."""
    with FaultServer({"/size": size}) as server, fetching() as ground:
        for count in (40, 1, 0):
            body = Pieces(count)
            reply = await ground.fetch(server, put("/size", body))
            assert reply.body == f"{count * len(PIECE)} True".encode()
            assert threading.get_ident() not in body.threads
        assert await ground.at_rest(server) == [(1, 1)]
        assert server.board.accepted == 1


@on_uvloop
async def test_several_bodies_are_on_their_way_at_once() -> None:
    """They do not wait for each other."""
    with FaultServer({"/size": size}) as server, fetching() as ground:
        started = [ground.start(server, put("/size", Pieces(8))) for _ in range(8)]
        replies = [await landed(ground, call) for call in started]
        assert {reply.body for reply in replies} == {f"{8 * len(PIECE)} True".encode()}


async def landed(ground: Ground, call: Call) -> Reply:
    async with asyncio.timeout(PATIENCE):
        await ground.landed(call)
    return call.replies[0]


@on_uvloop
async def test_a_body_is_sent_again_on_a_fresh_connection() -> None:
    """The server had closed the old one; the body starts anew, with all that it has."""

    def once_then_size(board: Board, talk: Talk, request: Seen) -> bool:
        return request.turn == 1 and size(board, talk, request)

    with FaultServer({"/size": once_then_size}) as server, fetching() as ground:
        for _ in range(2):
            reply = await ground.fetch(server, put("/size", Pieces(2)))
            assert reply.body == f"{2 * len(PIECE)} True".encode()


def cluster_of(server: FaultServer, limits: ClientLimits = ClientLimits()) -> HttpCluster:  # noqa: B008
    members = (Member("127.0.0.1", server.port),)
    return HttpCluster("c", members, False, "p2c", "test.conf:1", limits=limits)
