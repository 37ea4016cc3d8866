"""Streamed responses over real sockets: who gets what, who waits for whom, and who is told.

All of a worker but its process: sockets, connections, handler threads, dispatcher and app.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from skitai.app import Application
from skitai.caller import Caller
from skitai.request import Request
from skitai.stream import of
from skitai.was import WAS
from skitaid.workers import in_hand
from skitaid.workers.doors import Doors
from skitaid.workers.overdue import Overdue
from skitaid.workers.settings import AppRoute, Settings
from skitaid.workers.site import WebSite
from skitaid.workers.web.connection import WRITE_HIGH, ClientConnection
from skitaid.workers.web.job_source import BATCH
from skitaid.workers.web.pump import pump

PATIENCE = 30.0
LARGE = 24 * 1024 * 1024  # bytes, more than the kernel may hold for both ends
LAST_CHUNK = b"0\r\n\r\n"


class Parcel:
    """What a piece waits for, as a handler waits for replies."""

    def __init__(self) -> None:
        self.replies: list[object] = []
        self.wanted = 0
        self.waiter: Any = None
        self.bundle = None
        self.is_given_up = False

    @property
    def landed(self) -> int:
        return len(self.replies)


class Site:
    """A worker's site: `/stream` answers with what the test has put there, `/hello` with a page."""

    def __init__(self, threads: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.stream: Callable[[], object] = tuple
        self.status = 200
        self.clients: list[Client] = []
        app = Application(__name__)

        @app.route("/stream")
        def events(was: WAS) -> object:
            was.response.status = self.status
            was.response["Content-Type"] = "text/plain"
            return self.stream()

        @app.route("/async")
        async def async_events(was: WAS) -> object:
            return self.stream()

        @app.route("/hello")
        def hello(was: WAS) -> str:
            return "hello"

        route = AppRoute("/", "app.py", "web.conf:1")
        settings = Settings("test", (route,), threads=threads)
        self._site = WebSite(self.loop, settings, {"app.py": app})
        self.handoff = self._site._handoff
        self.threads = self._site._threads
        self.connections = self._site._connections
        self.tasks = self._site._dispatcher.tasks

    async def connect(self, receive_buffer: int = 0) -> Client:
        client = socket.socket()
        client.setblocking(False)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await self.loop.sock_connect(client, self._address)
        self.clients.append(Client(self.loop, client))
        return self.clients[-1]

    async def ask(
        self,
        stream: Callable[[], object],
        method: str = "GET",
        path: str = "/stream",
        receive_buffer: int = 0,
    ) -> Client:
        """A client that has asked for this stream; of an `async def` handler at `/async`."""
        self.stream = stream
        client = await self.connect(receive_buffer)
        await client.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return client

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():  # noqa: ASYNC110  # no event tells of what happens in there
            await asyncio.sleep(0)

    async def until_over(self) -> None:
        """Nothing runs and nobody waits."""
        await self.until(lambda: not self.tasks and self.is_idle())

    def is_idle(self) -> bool:
        """No job runs, waits or is queued."""
        counts = self.threads.counts()
        return (counts.running, counts.parked, counts.queued) == (0, 0, 0)

    @property
    def connection(self) -> ClientConnection:
        """The server's side of the only connection."""
        (connection,) = self.connections._open
        assert isinstance(connection, ClientConnection)
        return connection

    async def until_slow(self) -> None:
        """The client reads nothing, and all buffers are full."""
        await self.until(lambda: self.connections._open and self.connection._is_write_paused)

    def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._address: tuple[str, int] = listener.getsockname()
        self._site.open(Doors(listener), lambda record: None)

    async def close(self) -> None:
        """When all clients have left everything must be at rest."""
        for client in self.clients:
            client.leave()
        await self.until(lambda: not self.connections._open)
        await self.until_over()
        self._site.close()


class Client:
    """A bare connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self.socket = sock
        self.rest = b""  # what was received and not read yet

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.socket, data)

    async def read_until(self, end: bytes) -> bytes:
        while end not in self.rest:
            piece = await self._loop.sock_recv(self.socket, 1 << 20)
            assert piece, f"the connection has ended after {self.rest!r}"
            self.rest += piece
        found, _, self.rest = self.rest.partition(end)
        return found + end

    async def read_head(self) -> bytes:
        return await self.read_until(b"\r\n\r\n")

    async def read_chunk(self) -> bytes:
        size = int(await self.read_until(b"\r\n"), 16)
        while len(self.rest) < size + 2:
            piece = await self._loop.sock_recv(self.socket, 1 << 20)
            assert piece, "the connection has ended in a chunk"
            self.rest += piece
        chunk, end, self.rest = self.rest[:size], self.rest[size : size + 2], self.rest[size + 2 :]
        assert end == b"\r\n"
        return chunk

    async def read_chunks(self) -> bytes:
        """To the last one."""
        found = []
        while chunk := await self.read_chunk():
            found.append(chunk)
        return b"".join(found)

    async def read_to_end(self) -> bytes:
        """All that comes before the server closes, or breaks off."""
        found = [self.rest]
        self.rest = b""
        try:
            while piece := await self._loop.sock_recv(self.socket, 1 << 20):
                found.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(found)

    def leave(self) -> None:
        self.socket.close()


def no_body(*_: Any) -> Any:
    raise AssertionError("nobody sends a body here")


@asynccontextmanager
async def site_of(threads: int = 2) -> AsyncIterator[Site]:
    site = Site(threads)
    site.open()
    try:
        yield site
    finally:
        await site.close()


def run(test: Any) -> None:
    async def within_patience() -> None:
        async with asyncio.timeout(PATIENCE):
            await test

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(within_patience())


class Producer:
    """The specification's object; notes what is called, and on which threads."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = list(pieces)
        self.calls: list[str] = []
        self.threads: set[str] = set()

    def more(self) -> Any:
        self.threads.add(threading.current_thread().name)
        return self.pieces.pop(0) if self.pieces else ""

    def close(self) -> None:
        self._note("close")

    def abort(self) -> None:
        self._note("abort")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)


class Endless(Producer):
    """One that has always more; counts what it has made."""

    made = 0

    def more(self) -> bytes:
        self.made += 1000
        return b"x" * 1000


class Quiet(Producer):
    """Gives one piece, and waits for the test before it gives the next."""

    def __init__(self, *pieces: Any) -> None:
        super().__init__(*pieces)
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()

    def more(self) -> Any:
        if len(self.pieces) == 1:
            self.is_asked.set()
            assert self.may_go_on.wait(PATIENCE)
        return super().more()


# Streams that go wrong


def test_a_client_that_leaves_ends_an_endless_generator() -> None:
    """Its `finally` runs, once."""
    ended = []

    def rows() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            ended.append(True)

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(rows)
            await client.read_head()
            await client.read_chunk()  # one that was never begun has no finally to run
            client.leave()
            await site.until_over()
            assert ended == [True]

    run(test())


def test_a_client_that_leaves_is_told_to_an_object_once() -> None:
    """By abort alone, and on a handler thread."""
    producer = Endless()

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            await client.read_head()
            await site.until_slow()
            client.leave()
            await site.until_over()
            assert producer.calls == ["abort"]
            assert all(name.startswith("handler-") for name in producer.threads)

    run(test())


def test_a_client_that_leaves_a_quiet_stream_is_noticed() -> None:
    """Nothing need be sent to find out; the job that waits is not disturbed, the rest is over."""
    producer = Quiet("first", "second")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            await client.read_head()
            assert await client.read_chunk() == b"first"
            client.leave()
            await site.until(lambda: not site.connections._open)
            assert producer.calls == []
            producer.may_go_on.set()
            await site.until_over()
            assert producer.calls == ["abort"]

    run(test())


def test_a_client_that_leaves_a_quiet_async_generator_ends_it_at_once() -> None:
    """It is cancelled where it waits, and may still await while it cleans up."""
    seen = []

    async def events() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(events)
            await client.read_head()
            assert await client.read_chunk() == b"first"
            client.leave()
            await site.until_over()
            assert seen == ["cancelled", "closed"]

    run(test())


def test_an_async_generator_that_ignores_its_cancellation_is_closed_all_the_same() -> None:
    """What it gives after that goes nowhere."""
    seen = []

    async def events() -> AsyncIterator[str]:
        while True:
            try:
                yield "event"
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
            except GeneratorExit:
                seen.append("closed")
                raise

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(events)
            await client.read_head()
            assert await client.read_chunk() == b"event"
            client.leave()
            await site.until_over()
            assert seen == ["cancelled", "closed"]

    run(test())


@pytest.mark.parametrize("kind", ["generator", "async generator", "object"])
def test_a_stream_that_raises_does_not_look_whole(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection breaks without a last chunk; the log names request and handler."""

    class Breaking(Producer):
        def more(self) -> Any:
            if not self.pieces:
                raise LookupError("the table is gone")
            return super().more()

    def rows() -> Iterator[str]:
        yield "row"
        raise LookupError("the table is gone")

    async def events() -> AsyncIterator[str]:
        yield "row"
        raise LookupError("the table is gone")

    producer = Breaking("row")
    kinds: dict[str, Callable[[], object]] = {
        "generator": rows,
        "async generator": events,
        "object": lambda: producer,
    }

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(kinds[kind])
            await client.read_head()
            got = await client.read_to_end()
            assert got in (b"3\r\nrow\r\n", b"")
            await site.until_over()

    with caplog.at_level(logging.ERROR):
        run(test())
    (record,) = caplog.records
    assert "GET /stream: " in record.getMessage()
    assert ".events raised LookupError in the middle" in record.getMessage()
    assert "the table is gone" in caplog.text
    assert producer.calls == (["abort"] if kind == "object" else [])


def test_a_broken_stream_does_not_look_whole_to_http_1_0_either() -> None:
    """The end of the connection is all that it knows, so that must not be a good one."""

    def rows() -> Iterator[str]:
        yield "row"
        raise LookupError("the table is gone")

    async def test() -> None:
        async with site_of() as site:
            site.stream = rows
            client = await site.connect()
            await client.send(b"GET /stream HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                while await site.loop.sock_recv(client.socket, 1 << 20):
                    pass

    run(test())


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt()])
def test_nothing_that_a_stream_raises_ends_the_server(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither on a thread nor on the loop."""

    def rows() -> Iterator[str]:
        yield "row"
        raise error

    async def events() -> AsyncIterator[str]:
        yield "row"
        raise error

    async def test() -> None:
        async with site_of(threads=1) as site:
            for stream in (rows, events):
                client = await site.ask(stream)
                assert LAST_CHUNK not in await client.read_to_end()
                client.leave()
            assert await hello(site)

    run(test())
    assert caplog.text.count(f"events raised {type(error).__name__} in the middle") == 2


def test_a_piece_of_a_wrong_type_is_named_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is nothing to trace."""

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: iter(["row", 7]))
            assert LAST_CHUNK not in await client.read_to_end()

    run(test())
    (record,) = caplog.records
    assert record.getMessage().endswith("events gave a piece of type int; the pieces of a stream are str or bytes")  # fmt: skip  # noqa: E501
    assert not record.exc_info


def test_an_abort_that_raises_is_logged_and_called_once(caplog: pytest.LogCaptureFixture) -> None:
    """And the thread lives on."""

    class Broken(Endless):
        def abort(self) -> None:
            super().abort()
            raise OSError("cannot abort")

    producer = Broken()

    async def test() -> None:
        async with site_of(threads=1) as site:
            client = await site.ask(lambda: producer)
            await client.read_head()
            client.leave()
            await site.until_over()
            assert await hello(site)

    run(test())
    assert producer.calls == ["abort"]
    assert "events failed to let go of its stream" in caplog.text
    assert "cannot abort" in caplog.text


def test_a_close_that_raises_spoils_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """All was made by then."""

    class Broken(Producer):
        def close(self) -> None:
            super().close()
            raise OSError("cannot close")

    producer = Broken("row")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            await client.read_head()
            assert await client.read_chunks() == b"row"

    run(test())
    assert producer.calls == ["close"]
    assert "cannot close" in caplog.text


def test_a_file_that_shrinks_breaks_the_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its length was promised."""
    path = tmp_path / "file"
    path.write_bytes(bytes(LARGE))

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: path.open("rb"), receive_buffer=8192)
            await client.read_head()
            await site.until_slow()
            os.truncate(path, 10)
            assert len(await client.read_to_end()) < LARGE

    run(test())
    assert f"events returned a file of {LARGE} bytes that gave " in caplog.text


def test_a_client_that_has_gone_before_the_first_piece_is_told_to_the_app() -> None:
    """No thread was free for it."""
    producer = Endless()

    async def test() -> None:
        async with site_of(threads=1) as site:
            gate = threading.Event()
            site.threads.submit(Blocker(gate))
            client = await site.ask(lambda: producer, path="/async")
            await client.read_head()
            client.leave()
            await site.until(lambda: not site.connections._open)
            gate.set()
            await site.until_over()

    run(test())
    assert (producer.calls, producer.made) == (["abort"], 0)


class Blocker:
    """A job that holds its slot until the test lets it go."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate

    def run(self) -> None:
        assert self._gate.wait(PATIENCE)


def test_a_request_that_was_given_up_gets_no_stream() -> None:
    """It was answered 503 meanwhile: not a byte may follow that."""
    producer = Producer("row")

    async def test() -> None:
        async with site_of() as site:
            client = await site.connect()
            await client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.read_until(b"hello")
            request = Request("GET", b"/", [], b"", "1.1", Caller(""))
            stream = of(producer)
            assert stream is not None
            await pump(site.connection, request, "", stream, site.threads, site.handoff, "events")
            await site.until_over()
            assert await hello(site, client)

    run(test())
    assert producer.calls == ["abort"]


def test_the_end_of_the_worker_is_told_to_all_streams() -> None:
    """To those whose client is slow, and to those that wait."""
    producer = Endless()
    seen = []

    async def events() -> AsyncIterator[str]:
        try:
            yield "event"
            await asyncio.Event().wait()
        finally:
            seen.append("closed")

    async def test() -> None:
        async with site_of() as site:
            slow = await site.ask(lambda: producer)
            await site.until_slow()
            quiet = await site.ask(events)
            await quiet.read_until(b"event")
            for task in site.tasks:
                task.cancel()
            await asyncio.sleep(0)
            assert producer.calls == ["abort"]
            assert seen == ["closed"]
            await site.until(lambda: not site.connections._open)
            slow.leave()
            quiet.leave()

    run(test())


# Streams that go right


async def hello(site: Site, client: Client | None = None) -> bool:
    """Whether a whole page is answered."""
    client = client or await site.connect()
    await client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_until(b"hello")
    return True


def test_an_object_of_the_specification() -> None:
    """Its pieces are chunks, it is closed once after the last one, and the connection stays."""
    producer = Producer("a", b"b", "\u20ac")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            head = await client.read_head()
            assert b"\r\nTransfer-Encoding: chunked\r\n" in head
            assert b"\r\nContent-Type: text/plain\r\n" in head
            assert b"Content-Length" not in head
            assert await client.read_chunks() == "ab\u20ac".encode()
            assert await hello(site, client)

    run(test())
    assert producer.calls == ["close"]
    assert all(name.startswith("handler-") for name in producer.threads)


def test_each_event_is_sent_at_once() -> None:
    """One that is there does not wait for one that is not."""
    producer = Quiet("first", "second")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            await client.read_head()
            assert await client.read_chunk() == b"first"
            await site.until(producer.is_asked.is_set)
            producer.may_go_on.set()
            assert await client.read_chunks() == b"second"

    run(test())


def test_the_header_does_not_wait_for_the_first_piece() -> None:
    """An EventSource is open when it has that."""
    producer = Quiet("only")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
            producer.may_go_on.set()
            assert await client.read_chunks() == b"only"

    run(test())


def test_quick_pieces_are_sent_together() -> None:
    """A chunk and a wake for each would be a waste."""
    rows = [b"%d\n" % number for number in range(20_000)]

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: iter(rows))
            await client.read_head()
            chunks = []
            while chunk := await client.read_chunk():
                chunks.append(chunk)
            assert b"".join(chunks) == b"".join(rows)
            assert len(chunks) < len(rows) / 4

    run(test())


def test_an_async_generator() -> None:
    """Each of its pieces is a chunk."""

    async def events() -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(0)
            yield f"event {number}\n"

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(events)
            await client.read_head()
            assert await client.read_chunk() == b"event 0\n"
            assert await client.read_chunks() == b"event 1\nevent 2\n"
            assert await hello(site, client)

    run(test())


def test_a_timeout_may_span_the_pieces_of_an_async_generator() -> None:
    """It is one task that awaits them all."""

    async def events() -> AsyncIterator[str]:
        async with asyncio.timeout(PATIENCE):
            yield "a"
            await asyncio.sleep(0)
            yield "b"

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(events)
            await client.read_head()
            assert await client.read_chunks() == b"ab"

    run(test())


def test_an_async_generator_that_never_waits_leaves_the_loop_to_others() -> None:
    """Although its client reads as fast as it gives."""

    async def zeros() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100)

    async def test() -> None:
        async with site_of() as site:
            greedy = await site.ask(zeros)

            async def devour() -> None:
                await greedy.read_to_end()

            task = asyncio.create_task(devour())
            assert await hello(site)
            task.cancel()
            greedy.leave()

    run(test())


def test_a_client_of_http_1_0_gets_it_plain_and_the_end_of_the_connection() -> None:
    """It knows no chunks."""

    async def test() -> None:
        async with site_of() as site:
            site.stream = lambda: iter(["a", "b"])
            client = await site.connect()
            await client.send(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head = await client.read_head()
            assert b"\r\nConnection: close\r\n" in head
            assert b"Transfer-Encoding" not in head
            assert await client.read_to_end() == b"ab"

    run(test())


def test_a_client_that_wants_to_close_gets_chunks_before_that() -> None:
    """Only so does it know that it has all."""

    async def test() -> None:
        async with site_of() as site:
            site.stream = lambda: iter(["a"])
            client = await site.connect()
            await client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b"\r\nConnection: close\r\n" in await client.read_head()
            assert await client.read_to_end() == b"1\r\na\r\n" + LAST_CHUNK

    run(test())


def test_a_known_length_is_sent_plain(tmp_path: Path) -> None:
    """A file has one; HTTP/1.0 can keep its connection then."""
    (tmp_path / "file").write_bytes(b"content")

    async def test() -> None:
        async with site_of() as site:
            client = await site.connect()
            site.stream = lambda: (tmp_path / "file").open("rb")
            await client.send(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head = await client.read_head()
            assert b"\r\nContent-Length: 7\r\n" in head
            assert b"\r\nConnection: keep-alive\r\n" in head
            await client.read_until(b"content")
            assert await hello(site, client)

    run(test())


@pytest.mark.parametrize("kind", ["object", "async generator"])
def test_head_asks_for_nothing_and_lets_go(kind: str) -> None:
    """It gets the header of the GET."""
    producer = Producer("a")
    seen = []

    async def events() -> AsyncIterator[str]:
        seen.append("asked")
        yield "a"

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask((lambda: producer) if kind == "object" else events, "HEAD")
            assert b"\r\nTransfer-Encoding: chunked\r\n" in await client.read_head()
            assert await hello(site, client)
            await site.until_over()

    run(test())
    assert producer.pieces == ["a"]
    assert producer.calls == (["abort"] if kind == "object" else [])
    assert seen == []


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_has_none(status: int) -> None:
    """Whatever the handler returns."""
    producer = Producer("a")

    async def test() -> None:
        async with site_of() as site:
            site.status = status
            client = await site.ask(lambda: producer)
            head = await client.read_head()
            assert b"Transfer-Encoding" not in head
            assert await hello(site, client)
            await site.until_over()

    run(test())
    assert producer.calls == ["abort"]


def test_a_pipelined_request_is_answered_behind_a_stream() -> None:
    """Not before its end."""
    producer = Quiet("first", "second")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            await client.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.read_head()
            assert await client.read_chunk() == b"first"
            producer.may_go_on.set()
            assert await client.read_chunks() == b"second"
            await client.read_until(b"hello")

    run(test())


def test_half_a_close_is_a_leaving_if_nobody_knows_where_the_stream_ends() -> None:
    """A client that closes says no more than this until it is sent something."""
    producer = Quiet("first", "second")

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer)
            await client.read_until(b"first")
            client.socket.shutdown(socket.SHUT_WR)
            await site.until(lambda: not site.connections._open)
            producer.may_go_on.set()
            await site.until_over()
            assert producer.calls == ["abort"]

    run(test())


def test_half_a_close_is_none_if_the_length_is_known(tmp_path: Path) -> None:
    """The client waits for the rest."""
    (tmp_path / "file").write_bytes(bytes(LARGE))

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: (tmp_path / "file").open("rb"), receive_buffer=8192)
            await client.read_head()
            client.socket.shutdown(socket.SHUT_WR)
            await site.until(lambda: site.connection._is_ending)
            assert len(await client.read_to_end()) == LARGE

    run(test())


# Who waits for whom


def test_a_slow_client_stops_a_fast_producer() -> None:
    """What is made and not read is no more than the buffers and a batch."""
    producer = Endless()

    async def test() -> None:
        async with site_of() as site:
            client = await site.ask(lambda: producer, receive_buffer=8192)
            await site.until_slow()
            await site.until(site.is_idle)
            transport = site.connection._transport
            assert transport is not None
            assert transport.get_write_buffer_size() <= WRITE_HIGH + 2 * BATCH

            made = producer.made
            assert made < LARGE
            assert await hello(site)
            assert producer.made == made

            read = 0
            while read < 4 * LARGE:
                read += len(await site.loop.sock_recv(client.socket, 1 << 20))
            assert read < producer.made + producer.made // 100  # with the sizes of the chunks
            assert producer.made - read < LARGE

    run(test())


def test_two_hundred_quiet_streams_cost_no_thread() -> None:
    """A page is answered beside them, with four threads and with one."""
    open_now = 0

    async def events() -> AsyncIterator[str]:
        nonlocal open_now
        open_now += 1
        try:
            yield "data: hello\n\n"
            await asyncio.Event().wait()
        finally:
            open_now -= 1

    async def test() -> None:
        async with site_of(threads=4) as site:
            clients = [await site.ask(events) for _ in range(200)]
            for client in clients:
                await client.read_until(b"data: hello\n\n")
            counts = site.threads.counts()
            assert (counts.running, counts.parked, counts.idle) == (0, 0, counts.threads)
            assert await hello(site)
            assert open_now == 200
            for client in clients:
                client.leave()
            await site.until_over()
            assert open_now == 0

    run(test())


def test_two_hundred_plain_streams_that_wait_hold_no_slot() -> None:
    """They park like handlers that wait for other servers."""
    parcels: list[Parcel] = []

    async def test() -> None:
        async with site_of(threads=4) as site:

            def events() -> Iterator[str]:
                yield "data: hello\n\n"
                parcel = Parcel()
                parcels.append(parcel)
                site.threads.park(parcel, 1, None)
                yield "data: and good bye\n\n"

            clients = [await site.ask(events) for _ in range(200)]
            for client in clients:
                await client.read_until(b"data: hello\n\n")
            await site.until(lambda: site.threads.counts().parked == 200)
            assert await hello(site)
            assert "GET /stream" in in_hand.listing(site.connections.in_hand(), site.tasks)
            for parcel in parcels:
                parcel.replies.append("news")
                site.threads.landed(parcel)
            for client in clients:
                await client.read_until(b"data: and good bye\n\n\r\n" + LAST_CHUNK)
                client.leave()

    run(test())


def test_two_hundred_slow_clients_of_plain_streams_hold_no_thread() -> None:
    """No job runs for a client that does not read."""

    async def test() -> None:
        async with site_of(threads=2) as site:
            producers = [Endless() for _ in range(200)]
            clients = []
            for producer in producers:
                clients.append(await site.ask(lambda producer=producer: producer))
                await clients[-1].read_head()
            await site.until(lambda: all(each._is_write_paused for each in site.connections._open))
            await site.until(site.is_idle)
            assert await hello(site)
            for client in clients:
                client.leave()
            await site.until_over()
            assert all(producer.calls == ["abort"] for producer in producers)

    run(test())


def test_an_endless_stream_is_not_overdue() -> None:
    """request_timeout is for what has not begun to answer."""
    told: list[str] = []

    async def events() -> AsyncIterator[str]:
        yield "first"
        await asyncio.Event().wait()

    async def test() -> None:
        async with site_of() as site:
            overdue = Overdue(site.loop, 0.001, lambda: 0.001, 2, site.connections, site.tasks)
            client = await site.ask(events)
            await client.read_until(b"first")
            overdue.watch(told.append)
            for _ in range(5):
                overdue.stop()
                overdue._look()
            overdue.stop()
            assert await hello(site)
            assert site.tasks
            client.leave()

    run(test())
    assert told == []


def test_the_listing_says_what_a_stream_is_doing() -> None:
    """While a thread makes a piece, and while the client is slow."""
    quiet = Quiet("only")

    async def test() -> None:
        async with site_of() as site:

            def listing() -> str:
                return in_hand.listing(site.connections.in_hand(), site.tasks)

            client = await site.ask(lambda: quiet)
            await client.read_head()
            await site.until(quiet.is_asked.is_set)
            assert "events: runs at " in listing()
            quiet.may_go_on.set()
            await client.read_chunks()
            client.leave()
            await site.until_over()

            slow = await site.ask(Endless)
            await site.until(lambda: len(site.connections._open) == 1)
            await site.until_slow()
            await site.until(site.is_idle)
            assert "events: is on the loop at " in listing()
            assert "in send" in listing()
            slow.leave()

    run(test())


def test_a_large_file_arrives_byte_for_byte(tmp_path: Path) -> None:
    """64 MiB, and the process grows by no more than a few pieces; it is closed."""
    path = tmp_path / "file"
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(64):
            file.write(number.to_bytes(4, "big") + block[4:])
    opened: list[Any] = []

    def open_file() -> object:
        opened.append(path.open("rb"))
        return opened[-1]

    async def test() -> None:
        async with site_of() as site:
            before = resident()
            client = await site.ask(open_file)
            head = await client.read_head()
            assert b"\r\nContent-Length: %d\r\n" % (64 << 20) in head
            peak = 0
            buffer = bytearray(1 << 20)
            for number in range(64):
                view = memoryview(buffer)
                filled = len(client.rest)
                view[:filled] = client.rest
                client.rest = b""
                while filled < len(buffer):
                    filled += await site.loop.sock_recv_into(client.socket, view[filled:])
                assert buffer[:4] == number.to_bytes(4, "big")
                assert buffer[4:] == block[4:]
                peak = max(peak, resident())
            assert peak - before < 16 << 20
            assert await hello(site, client)
            await site.until_over()
            assert opened[0].closed

    run(test())


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
