"""A worker that hangs says where, and a worker that lives shows it."""

from __future__ import annotations

import os
import signal

from operator_session import Home
from served import Server
from waits import Gate, wait_until

BUSY_LOOP = """\
import time
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hang")
async def hang(was):
    with open("{directory}/came", "w"):
        pass
    with open("{directory}/go") as go:
        go.read()
    return "through"
"""

ASKING = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/ask")
def ask(was):
    s = was.wget("http://127.0.0.1:{port}/gate")
    return s.getwait(timeout=30).data
"""


def dump(server: Server, said: str) -> str:
    """The log, when the worker has said that of itself."""
    os.kill(server.workers()[0], signal.SIGUSR2)
    return server.wait_log(said)


def test_a_hung_loop_still_tells_where_and_with_what(home: Home) -> None:
    """The stacks of all threads, and the request that is on the loop."""
    gate = Gate(home.app / "gate")
    app = BUSY_LOOP.format(directory=home.app / "gate")
    server = home.serve("web", apps={"webapp.py": app})
    with server.raw() as request:
        request.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
        gate.wait_came()
        log = dump(server, " s old, webapp.hang: is on the loop at ")
        gate.open()
        assert request.makefile("rb").read().endswith(b"through")
    gate.close()
    assert "in hang\n" in log
    assert "most recent call first" in log
    assert "[warning] web/0: 1 request is in hand\n" in log


def test_a_hung_worker_of_a_killed_master_lets_the_port_go(home: Home) -> None:
    """After drain_timeout and a second, with its stacks in the log."""
    gate = Gate(home.app / "gate")
    app = BUSY_LOOP.format(directory=home.app / "gate")
    server = home.serve("web", apps={"webapp.py": app}, more="drain_timeout = 0.1s")
    with server.raw() as request:
        request.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
        gate.wait_came()
        server.stop(signal.SIGKILL)
    gate.close()
    assert "Timeout (0:00:01.1" in server.log()
    assert "in hang\n" in server.log()
    home.assert_nothing_runs()


def test_requests_are_listed_with_what_they_wait_for(home: Home) -> None:
    """One runs, one waits for another server, one for a thread."""
    gate = Gate(home.app / "gate")
    inner = home.serve("inner", apps={"inner.py": gate.app()}, routes="/ = {app}/inner")
    asking = {"webapp.py": ASKING.format(port=inner.port)}
    server = home.serve("web", apps=asking, threads=1)
    with server.raw() as request:
        request.sendall(b"GET /ask HTTP/1.0\r\n\r\n")
        gate.wait_came()
        dump(server, f" s old, webapp.ask: waits for 127.0.0.1:{inner.port} (0 answered)")
        dump(inner, " s old, inner.gate: runs at ")
        gate.open()
        assert request.makefile("rb").read().endswith(b"through")
    gate.close()


def test_a_request_without_a_thread_is_listed_as_waiting(home: Home) -> None:
    """There is one thread, and another request has it."""
    gate = Gate(home.app / "gate")
    apps = {"webapp.py": gate.app()}
    server = home.serve("web", apps=apps, threads=1, more="threads_max = 1")
    with server.raw() as first, server.raw() as second:
        first.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        second.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        waiting = " s old: waits for a handler thread"
        wait_until(lambda: waiting in dump(server, "in hand"), "the second is listed")
        gate.open()
        assert first.makefile("rb").read().endswith(b"through")
        gate.wait_came()
        gate.open()
        assert second.makefile("rb").read().endswith(b"through")
    gate.close()


def test_a_dump_disturbs_nobody(home: Home) -> None:
    """The worker serves on, as the same process."""
    server = home.serve("web")
    workers = server.workers()
    dump(server, "0 requests are in hand")
    assert server.get("/hello").text == "hello"
    assert server.workers() == workers
