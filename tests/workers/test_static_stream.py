"""Large files: read and sent as the client takes them, through real sockets and a real loop."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from skitaid.workers.doors import Doors
from skitaid.workers.settings import Settings, StaticRoute
from skitaid.workers.site import WebSite
from skitaid.workers.web import compression, file_cache
from skitaid.workers.web.connection import WRITE_HIGH, ClientConnection
from skitaid.workers.web.file_stream import CHUNK

SIZE = 24 * 1024 * 1024  # more than what the kernel may hold for both ends
PATIENCE = 30.0
GET = b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n"


class Served:
    """A directory that is served on this loop, and a client with a small receive buffer."""

    def __init__(self, site: WebSite, file: Path, client: socket.socket) -> None:
        self.site = site
        self.file = file
        self.client = client
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.client, data)

    async def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end."""
        pieces = []
        while size and (piece := await self._loop.sock_recv(self.client, min(size, 1 << 20))):
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    async def read_head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await self._loop.sock_recv(self.client, 1)
        return head

    @property
    def connection(self) -> ClientConnection:
        """The server's side of the only connection."""
        (connection,) = self.site._connections._open
        assert isinstance(connection, ClientConnection)
        return connection

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  # no event tells of what happens in there
                await asyncio.sleep(0)

    def descriptors(self) -> list[int]:
        """Those that hold the file open."""
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{name}") == str(self.file):
                    found.append(int(name))
            except OSError:
                pass  # closed since it was listed
        return found

    def is_over(self) -> bool:
        """Nothing runs and nothing is open on behalf of a client."""
        return not self.site._dispatcher._tasks and not self.descriptors()


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Served]:
    loop = asyncio.get_running_loop()
    file = directory / "large.bin"
    with file.open("wb") as large:
        for number in range(SIZE // CHUNK):
            large.write(number.to_bytes(4, "big") * (CHUNK // 4))
    route = StaticRoute("/", str(directory), "web.conf:1")
    site = WebSite(loop, Settings("test", (route,)), {})
    listener = socket.create_server(("127.0.0.1", 0))
    site.open(Doors(listener), lambda record: None)
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    await loop.sock_connect(client, listener.getsockname())
    try:
        yield Served(site, file, client)
    finally:
        client.close()
        site.close()
        await asyncio.sleep(0)


def run(test: Any) -> None:
    async def within_patience() -> None:
        async with asyncio.timeout(PATIENCE):
            await test

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(within_patience())


def test_slow_reader_costs_a_few_pieces(tmp_path: Path) -> None:
    """Its file is read on only when it has read; the whole arrives, and the connection stays."""

    async def test() -> None:
        async with served(tmp_path) as some:
            await some.send(GET)
            head = await some.read_head()
            assert b"\r\nContent-Length: %d\r\n" % SIZE in head

            await some.until(lambda: some.connection._is_write_paused)
            transport = some.connection._transport
            assert transport is not None
            assert transport.get_write_buffer_size() <= WRITE_HIGH + CHUNK

            assert await some.read(SIZE) == some.file.read_bytes()
            await some.until(some.is_over)
            await some.send(b"HEAD" + GET[3:])
            assert (await some.read_head()).split(b"\r\n")[0] == b"HTTP/1.1 200 OK"

    run(test())


def test_client_that_goes_away(tmp_path: Path) -> None:
    """The file is closed, nothing is left."""

    async def test() -> None:
        async with served(tmp_path) as some:
            await some.send(GET)
            await some.until(lambda: len(some.site._connections) and some.descriptors())
            await some.until(lambda: some.connection._is_write_paused)
            some.client.close()
            await some.until(some.is_over)

            assert len(some.site._connections) == 0

    run(test())


def test_file_that_shrinks_while_it_is_sent(tmp_path: Path) -> None:
    """What is not whole must not look whole: the connection breaks."""

    async def test() -> None:
        async with served(tmp_path) as some:
            await some.send(GET)
            await some.read_head()
            await some.until(lambda: some.connection._is_write_paused)
            os.truncate(some.file, CHUNK)
            try:
                got = len(await some.read(SIZE))
            except ConnectionResetError:
                got = 0
            assert got < SIZE
            await some.until(some.is_over)

    run(test())


def test_worker_that_leaves_while_it_is_sent(tmp_path: Path) -> None:
    """At the end everything is cut off, and nothing stays open."""

    async def test() -> None:
        async with served(tmp_path) as some:
            await some.send(GET)
            await some.until(lambda: some.descriptors())
            await some.until(lambda: some.connection._is_write_paused)
            some.site.close()
            await some.until(some.is_over)

    run(test())


def test_a_compressed_file_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compressed once, on a thread, for all who take it."""
    monkeypatch.setattr(file_cache, "SETTLED", 0.0)
    ask = b"GET /a.css HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
    text = b"a { color: green }\n" * 10_000

    async def test() -> None:
        async with served(tmp_path) as some:
            (tmp_path / "a.css").write_bytes(text)
            await some.send(ask)
            head = await some.read_head()
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            assert gzip.decompress(await some.read(size)) == text

            monkeypatch.delitem(compression.CODERS, "gzip")
            await some.send(ask)
            assert b"\r\nContent-Encoding: gzip\r\n" in await some.read_head()
            assert gzip.decompress(await some.read(size)) == text

    run(test())
