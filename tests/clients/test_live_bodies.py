"""Bodies that are sent while an iterator makes them, in chunks."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asking import Ground, asking, in_thread, on_uvloop, result_of
from fault_server import PATIENCE, FaultServer
from operator_session import Home

from skitai import asks
from skitai.calls import HttpHandle
from skitai.engine import Members, Reach
from skitai.errors import WrongUse
from skitai.results import Status

CHUNKED = asks.given({"Transfer-Encoding": "chunked"}, None)


async def put(
    ground: Ground, pieces: Iterator[object], reach: Reach = Reach.ONE, path: bytes = b"/echo"
) -> HttpHandle:
    """A handle, made on a handler's thread, where the iterator runs."""
    ask = asks.http(path, "PUT", pieces, given=CHUNKED)
    return await asyncio.to_thread(HttpHandle, ground.engine, Members("all", reach), ask, None)


@on_uvloop
async def test_a_body_is_on_its_way_while_it_is_made() -> None:
    """The second piece is made when the first one is there; the end when the second one is."""
    came = [threading.Event(), threading.Event()]

    def pieces() -> Iterator[bytes]:
        yield b"first"
        assert came[0].wait(PATIENCE)
        yield b"second"
        assert came[1].wait(PATIENCE)

    def serve(listener: socket.socket) -> bytes:
        sock, _ = listener.accept()
        data = b""
        with sock:
            while not data.endswith(b"\r\n0\r\n\r\n"):
                data += sock.recv(65536)
                for event, piece in zip(came, (b"\r\nfirst\r\n", b"\r\nsecond\r\n"), strict=True):
                    if piece in data:
                        event.set()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return data.partition(b"\r\n\r\n")[2]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(serve, listener))
        with asking(listener.getsockname()[1]) as ground:
            result = await result_of(await put(ground, pieces()))
            assert (result.status, result.data) == (Status.NORMAL, b"ok")
        assert await serving == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"


@on_uvloop
async def test_the_connection_can_be_used_again(faults: FaultServer) -> None:
    """A body of many pieces, and one of none."""
    with asking(faults) as ground:
        for pieces in ([b"x" * 100_000] * 30, []):
            result = await result_of(await put(ground, iter(pieces)))
            assert result.status is Status.NORMAL
        assert [seen.body for seen in faults.seen] == [b"x" * 3_000_000, b""]
        assert faults.board.accepted == 1
        assert faults.seen[0].fields["transfer-encoding"] == "chunked"


@on_uvloop
async def test_all_members_get_all_of_it(faults: FaultServer) -> None:
    """Each as fast as it reads."""
    with FaultServer() as other, asking(faults, other) as ground:
        handle = await put(ground, (b"%d" % number for number in range(1000)), Reach.ALL)
        results: Any = await handle.wait(PATIENCE)
        assert results.ok
        whole = b"".join(b"%d" % number for number in range(1000))
        assert faults.seen[0].body == other.seen[0].body == whole


@on_uvloop
async def test_it_is_sent_again_to_another_member(faults: FaultServer) -> None:
    """A PUT may be; what was made is still there."""
    with FaultServer() as other, asking(faults, other) as ground:
        handle = await put(ground, iter([b"a", b"b"]), path=b"/close")
        result = await result_of(handle)
        assert (result.status, result.retries) == (Status.FAILED, 1)
        assert faults.seen[0].body == other.seen[0].body == b"ab"


@on_uvloop
async def test_an_iterator_that_raises_ends_the_call(faults: FaultServer) -> None:
    """The handler gets what it raises; the server sees a body that is not whole."""

    def pieces() -> Iterator[object]:
        yield b"first"
        raise ValueError("no more")

    with asking(faults) as ground:
        with pytest.raises(ValueError, match="no more"):
            await put(ground, pieces())
        assert await ground.at_rest() == [(0, 0)]
        with pytest.raises(WrongUse, match="gave a int"):
            await put(ground, iter([b"a", 5]))
        assert await ground.at_rest() == [(0, 0)]
        await in_thread(faults.wait_talks, 0)
    assert not faults.seen


APP = """
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/take", methods=["PUT"])
def take(was):
    return [len(was.request.body), was.request.get_header("transfer-encoding")]


@app.route("/give")
def give(was, port):
    pieces = (b"x" * 1000 for _ in range(1000))
    chunked = {"Transfer-Encoding": "chunked"}
    url = "http://127.0.0.1:" + port + "/take"
    return was.wget(url, pieces, method="PUT", headers=chunked, timeout=30).getwait().json()
"""


def test_a_server_of_ours_takes_it(home: Home) -> None:
    """From a handler to a handler."""
    server = home.serve("web", apps={"webapp.py": APP})
    assert server.get(f"/give?port={server.port}").json() == [1_000_000, "chunked"]
    assert server.stop() == 0
