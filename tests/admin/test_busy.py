"""The server's own pages when it has too much to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from looks import CONF, look, status
from operator_session import Home
from waits import Gate, wait_until


@pytest.fixture
def gate(home: Home) -> Iterator[Gate]:
    gate = Gate(home.app / "gate")
    yield gate
    gate.close()


def test_they_answer_when_the_queue_is_full(home: Home, gate: Gate) -> None:
    """They need no handler thread, and no place in the queue."""
    more = f"{CONF}\nmax_queue = 1\nthreads_max = 1"
    server = home.serve("web", apps={"webapp.py": gate.app()}, threads=1, more=more)
    with ExitStack() as requests:
        held = [requests.enter_context(server.raw()) for _ in range(2)]
        held[0].sendall(b"GET /gate HTTP/1.0\r\nX-Request-ID: first\r\n\r\n")
        gate.wait_came()
        held[1].sendall(b"GET /gate HTTP/1.0\r\nX-Request-ID: second\r\n\r\n")
        wait_until(lambda: status(server)["workers"][0]["queued"] == 1, "the queue is not full")
        assert server.get("/gate").status == 503

        assert server.get("/skitai/health").status == 200
        (worker,) = status(server)["workers"]
        assert (worker["running"], worker["queued"], worker["answers"]) == (1, 1, True)
        assert look(server, "metrics").status == 200
        _check_top(home)

        gate.open()
        assert held[0].makefile("rb").read().endswith(b"through")
        gate.wait_came()
        gate.open()
        assert held[1].makefile("rb").read().endswith(b"through")


def _check_top(home: Home) -> None:
    """The oldest is first, and each with what it is doing."""
    requests: list[Any] = json.loads(home.run("top", "web", "--json").out)["requests"]
    assert [(each["id"], each["state"]) for each in requests] == [
        ("first", "running"),
        ("second", "queued"),
    ]
    assert requests[0]["handler"] == "webapp.gate"
    assert "webapp.py:" in requests[0]["doing"]
    assert requests[0]["age"] >= requests[1]["age"] > 0
    shown = home.run("top").out
    assert "waits for a handler thread" in shown
    assert shown.index("first") < shown.index("second")
