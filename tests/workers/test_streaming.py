"""Streamed responses of a running server: what only its worker, its log and its end can show."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path

import pytest
from operator_session import Home
from served import Server
from waits import Gate, wait_until

MANUAL = Path(__file__).parents[2] / "docs" / "streaming.md"

APP = """
import asyncio

from skitai.errors import ClientGone
from skitai.server import ssgi

app = ssgi.Application (__name__)


def note (what):
    with open ("{directory}/noted", "a") as notes:
        notes.write (what + "\\n")


def ask (was, path):
    return was.wget ("http://127.0.0.1:%d%s" % (was.httpserver.port, path))


@app.route ("/hello")
def hello (was):
    return "hello"


@app.route ("/never")
async def never (was):
    await asyncio.Event ().wait ()


@app.route ("/asking")
def asking (was):
    def pages ():
        for _ in range (3):
            yield ask (was, "/hello").getwait (timeout = 30).data
    return pages ()


@app.route ("/async-asking")
async def async_asking (was):
    async def pages ():
        for _ in range (3):
            yield (await ask (was, "/hello")).data
    return pages ()


@app.route ("/watching")
def watching (was):
    def events ():
        yield "data: begins\\n\\n"
        while not was.request.gone:
            try:
                ask (was, "/never").getwait (timeout = 0.02)
            except ClientGone:
                pass
        note ("gone")
    return events ()


@app.route ("/gated")
def gated (was):
    def pieces ():
        yield "before"
        open ("{directory}/gate/came", "w").close ()
        with open ("{directory}/gate/go") as go:
            go.read ()
        yield "after"
    return pieces ()


@app.route ("/endless")
def endless (was):
    class Endless:
        def more (self):
            return b"x" * 65536
        def abort (self):
            note ("aborted")
        def close (self):
            note ("closed")
    return Endless ()


@app.route ("/events")
def events (was):
    async def forever ():
        try:
            yield "data: begins\\n\\n"
            await asyncio.Event ().wait ()
        finally:
            note ("aborted")
    was.response ["Content-Type"] = "text/event-stream"
    return forever ()


@app.route ("/broken")
def broken (was):
    def numbers ():
        yield "row"
        raise LookupError ("the table is gone")
    return numbers ()
"""


def serve(home: Home, **values: object) -> Server:
    app = APP.replace("{directory}", str(home.app))
    return home.serve("web", apps={"webapp.py": app}, **values)


def noted(home: Home) -> list[str]:
    path: Path = home.app / "noted"
    return path.read_text().split() if path.exists() else []


def test_a_stream_that_raises_is_told_and_the_worker_lives(home: Home) -> None:
    """The log has the request, the handler and the traceback, and what was sent."""
    server = serve(home)
    worker = server.workers()
    with server.raw() as client:
        client.sendall(b"GET /broken HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while client.recv(65536):
                pass
    log = server.wait_log("GET /broken HTTP/1.1 200 ")
    assert "GET /broken: webapp.broken raised LookupError in the middle of its stream" in log
    assert "the table is gone" in log
    assert server.get("/hello").text == "hello"
    assert server.workers() == worker


@pytest.mark.parametrize("path", ["/asking", "/async-asking"])
def test_a_stream_asks_other_servers_between_its_pieces(home: Home, path: str) -> None:
    """With one thread, which is not held while it waits for them."""
    server = serve(home, threads=1)
    assert server.get(path).text == "hello" * 3
    log = server.wait_log(f"GET {path} HTTP/1.1 200 ")
    size = log.partition(f"GET {path} HTTP/1.1 200 ")[2].split()[0]
    assert int(size) > len("hello" * 3)


def test_a_stream_can_ask_whether_its_client_is_gone(home: Home) -> None:
    """One that waits by itself would not come to its end otherwise."""
    server = serve(home)
    with server.raw() as client:
        client.sendall(b"GET /watching HTTP/1.1\r\nHost: a\r\n\r\n")
        came = b""
        while b"data: begins" not in came:
            came += client.recv(65536)
    wait_until(lambda: noted(home) == ["gone"], "the generator has noticed")


def test_an_event_stream_is_ended_when_its_worker_retires(home: Home) -> None:
    """It looks whole, so a browser connects again, to the new worker; no timeout is waited for."""
    server = serve(home, more="drain_timeout = 600")
    with closing(server.connect()) as connection:
        connection.request("GET", "/events")
        response = connection.getresponse()
        assert response.read(14) == b"data: begins\n\n"
        server.send(signal.SIGHUP)
        assert response.read() == b""
        server.wait_log("the reload is complete")
    assert noted(home) == ["aborted"]


def test_an_endless_stream_ends_with_drain_timeout(home: Home) -> None:
    """A worker that retires waits so long and no longer; the app is told, once."""
    server = serve(home, more="drain_timeout = 1")
    with closing(server.connect()) as connection:
        connection.request("GET", "/endless")
        assert connection.getresponse().read(1)
        server.send(signal.SIGHUP)
        server.wait_log("the reload is complete")
    assert noted(home) == ["aborted"]
    assert "1 requests are cut off" in server.log()
    assert server.get("/hello").text == "hello"


def test_a_worker_that_retires_finishes_a_stream(home: Home) -> None:
    """The new one answers others meanwhile."""
    gate = Gate(home.app / "gate")
    server = serve(home)
    with closing(server.connect()) as connection:
        connection.request("GET", "/gated")
        response = connection.getresponse()
        assert response.read(6) == b"before"
        gate.wait_came()
        server.send(signal.SIGHUP)
        server.wait_log("finishes 1 requests and leaves")
        assert server.get("/hello").text == "hello"
        gate.open()
        assert response.read() == b"after"
    server.wait_log("the reload is complete")
    gate.close()


def test_the_example_of_the_manual(home: Home) -> None:
    """The page names the event stream, and that gives an event at once."""
    app = MANUAL.read_text().partition("```python\n")[2].partition("```")[0]
    server = home.serve("web", apps={"webapp.py": app})
    assert 'new EventSource ("events")' in server.get("/").text
    with closing(server.connect()) as connection:
        connection.request("GET", "/events")
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.readline().startswith(b"data: ")
        assert response.readline() == b"\n"
