"""A worker that hangs is told as such, and delays nobody for long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from looks import CONF, look, status
from operator_session import Home
from served import Server
from waits import Gate, wait_until

APP = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hang")
async def hang(was):
    with open("{directory}/came", "w"):
        pass
    with open("{directory}/go") as go:
        go.read()
    return "through"


@app.route("/hello")
def hello(was):
    return "hello"
"""


@pytest.fixture(scope="module")
def gate(shared_home: Home) -> Iterator[Gate]:
    gate = Gate(shared_home.app / "gate")
    yield gate
    gate.close()


@pytest.fixture(scope="module")
def server(shared_home: Home, gate: Gate) -> Iterator[Server]:
    """Of its two workers one hangs, and nobody replaces it."""
    app = APP.format(directory=Path(shared_home.app / "gate"))
    server = shared_home.serve(
        "web", apps={"webapp.py": app}, processes=2, more=f"{CONF}\nworker_timeout = 0"
    )
    with server.raw() as request:
        request.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\nX-Request-ID: hanging\r\n\r\n")
        gate.wait_came()
        yield server
        gate.open()
        assert request.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_the_status_says_who_does_not_answer(server: Server) -> None:
    """What is in shared memory is told of it all the same."""
    assert server.get("/hello").text == "hello"

    workers = status(server)["workers"]

    assert sorted(each["answers"] for each in workers) == [False, True]
    (hung,) = [each for each in workers if not each["answers"]]
    assert hung["state"] == "ready"
    assert hung["in_flight"] == 1
    assert hung["rss"] > 0


def test_the_metrics_count_it(server: Server) -> None:
    """For an alarm."""
    assert "\nskitai_workers_silent 1.0\n" in look(server, "metrics").text


def test_top_names_it(server: Server, shared_home: Home) -> None:
    """Its requests are not known, but how to find out."""
    ran = shared_home.run("top", "web")
    assert ran.code == 0, ran.err
    assert "gives no answer, its event loop hangs; skitaid stacks web tells where" in ran.out

    told = json.loads(shared_home.run("top", "--json").out)

    assert [each["server"] for each in told["silent"]] == ["web"]


def test_stacks_are_told_while_it_hangs(server: Server, shared_home: Home) -> None:
    """By its watchdog: the request, the handler's line, and the other threads."""
    ran = shared_home.run("stacks", "web")

    assert ran.code == 0, ran.err
    assert ran.out.count("=== worker ") == 2
    assert "GET /hang, " in ran.out
    assert "webapp.hang: is on the loop at " in ran.out
    assert "in hang\n" in ran.out
    assert "MainThread:\n" in ran.out
    assert "watchdog:\n" in ran.out
    wait_until(lambda: "webapp.hang: is on the loop at" in server.log(), "the log has it not")
