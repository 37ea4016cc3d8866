"""`skitaid status --watch`: at a terminal, and the figures it shows."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess

import pytest
from operator_session import Home
from served import Client
from waits import PATIENCE

from skitaid.status import FleetView, ServerView
from skitaid.status_watch import Rates
from skitaid.supervisor.control_records import WorkerStatus


def look(**requests: dict[int, int]) -> FleetView:
    """A view of servers whose workers, by pid, have answered so many requests."""
    servers = [
        ServerView(
            name=name,
            state="running",
            pid=1,
            address="",
            since=0.0,
            processes=len(counts),
            workers=[
                WorkerStatus(0, pid, "ready", 1.0, 1, requests=n) for pid, n in counts.items()
            ],
            failures=0,
            again_at=None,
            last_error="",
            last_error_at=None,
        )
        for name, counts in requests.items()
    ]
    return FleetView(running=True, pid=1, started=0.0, servers=servers)


def test_a_rate_is_what_came_between_two_looks() -> None:
    """Of all workers together; a worker that was replaced takes nothing away."""
    rates = Rates()
    assert rates.of(look(web={1: 100, 2: 50}, api={3: 7}), now=10.0) == {"web": 0.0, "api": 0.0}
    later = rates.of(look(web={1: 120, 4: 30}, api={3: 7}), now=12.0)
    assert later == {"web": 25.0, "api": 0.0}


@pytest.mark.parametrize("columns", [80, 130])
def test_it_draws_again_and_leaves_with_ctrl_c(home: Home, columns: int) -> None:
    """With exit code 0, and the cursor is back."""
    home.write_app("webapp.py")
    web = Client(home.write_conf("web"))
    assert home.run("start").code == 0
    assert web.get("/hello").text == "hello"
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [*home.skitaid, "status", "--watch"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**home.environment, "TERM": "xterm", "COLUMNS": str(columns)},
    )
    os.close(terminal)
    drawn = read_until(screen, "running", times=3)
    assert ("http://127.0.0.1" in drawn) == (columns > 120)
    process.send_signal(signal.SIGINT)
    assert "\x1b[?25h" in read_until(screen, "\x1b[?25h")
    assert process.wait(PATIENCE) == 0
    os.close(screen)


def read_until(screen: int, text: str, times: int = 1) -> str:
    """What a terminal is sent until `text` was in it so often."""
    said = ""
    while said.count(text) < times:
        came, _, _ = select.select([screen], [], [], PATIENCE)
        assert came, f"no {text!r} in {said!r}"
        said += os.read(screen, 65536).decode()
    return said
