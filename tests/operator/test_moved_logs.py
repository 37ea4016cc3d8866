"""Logs that are moved away: USR1 makes new ones."""

from __future__ import annotations

import json
import os
import signal

from operator_session import Home
from waits import wait_until


def test_the_masters_log_is_written_anew(home: Home) -> None:
    """What comes after the signal is in the new file, the old one is complete."""
    home.write_app("webapp.py")
    home.write_conf("web")
    assert home.run("start").code == 0
    (server,) = json.loads(home.run("status", "--json").out)["servers"]
    log = home.var / "servers" / "web" / "logs" / "server.log"
    old = log.rename(log.with_suffix(".old"))
    os.kill(server["pid"], signal.SIGUSR1)
    wait_until(lambda: log.exists() and "logs are reopened" in log.read_text(), "a new log")
    assert "logs are reopened" not in old.read_text()
    os.kill(server["workers"][0]["pid"], signal.SIGKILL)
    wait_until(lambda: "was killed by SIGKILL" in log.read_text(), "news of the server")


def test_a_log_that_is_not_ours_is_left_alone(home: Home) -> None:
    """A terminal or a pipe cannot be reopened, and the server goes on."""
    server = home.serve("web")
    server.send(signal.SIGUSR1)
    server.wait_log("SIGUSR1: logs are reopened")
    assert server.get("/hello").text == "hello"
