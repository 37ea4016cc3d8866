"""Masters and fleets that stand still (SIGSTOP) or are gone (SIGKILL) while others go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest
from operator_session import Home
from served import Client
from survivors import wait_gone
from waits import PATIENCE, Gate, wait_until

from skitaid import masters
from skitaid.errors import SkitaidError
from skitaid.fleet import command
from skitaid.paths import Paths
from skitaid.pidfile import holder
from skitaid.status import ServerView, view


class Operator:
    """Commands in this process, with little patience."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.paths = Paths.find(str(home.etc), str(home.var))

    def fleet(self, app: str | None = None) -> tuple[int, Client]:
        """The pid of a fleet that runs web, and its port."""
        if app:
            self.home.write_app("webapp.py", app)
        else:
            self.home.write_app("webapp.py")
        client = Client(self.home.write_conf("web"))
        ran = self.home.run("start")
        assert ran.code == 0, ran.err
        return int((self.home.var / "lock" / "pid").read_text()), client

    def web(self) -> ServerView:
        """What `skitaid status` knows of the server."""
        (server,) = view(self.paths).servers
        return server

    def log(self) -> str:
        return (self.home.var / "servers" / "web" / "logs" / "server.log").read_text()


@pytest.fixture
def operator(home: Home, monkeypatch: pytest.MonkeyPatch) -> Operator:
    monkeypatch.setattr(masters, "PATIENCE", 0.2)
    return Operator(home)


def refused(do: Callable[[], object]) -> str:
    """What a command says that cannot do it."""
    with pytest.raises(SkitaidError) as caught:
        do()
    return str(caught.value)


# A master


def test_a_stopped_master_is_told_from_one_that_does_not_run(operator: Operator) -> None:
    """Its workers serve on; commands say what is the matter, and what to do."""
    server = operator.home.serve("web", processes=2)
    server.send(signal.SIGSTOP)
    for do in (
        lambda: masters.reload(operator.paths, ["web"], print),
        lambda: masters.restart(operator.paths, ["web"], print),
    ):
        said = refused(do)
        assert said.startswith(f"web (pid {server.pid}) runs but does not answer: ")
        assert said.endswith(
            f" gave no answer within 0.2 s; it is stopped, kill -CONT {server.pid} lets it go on"
        )
    shown = operator.web()
    assert (shown.state, shown.pid) == ("alone", server.pid)
    assert "gives no answer; it is stopped" in shown.last_error
    assert server.get("/hello").text == "hello"
    server.send(signal.SIGCONT)
    assert operator.home.run("reload", "web").code == 0
    assert server.stop() == 0


def test_what_a_stopped_master_has_missed_is_made_up_for(operator: Operator) -> None:
    """A worker that died, and a signal."""
    server = operator.home.serve("web", processes=2)
    lost, _ = server.workers()
    server.send(signal.SIGSTOP)
    server.send(signal.SIGHUP)
    os.kill(lost, signal.SIGKILL)
    assert server.get("/hello").text == "hello"
    server.send(signal.SIGCONT)
    server.wait_log(f"(pid {lost}) was killed by SIGKILL; another takes its place now")
    server.wait_log("the reload is complete")
    wait_until(lambda: len(server.workers()) == 2, "nobody is too many")
    assert server.stop() == 0


def test_a_killed_masters_port_is_free_while_its_worker_still_answers(operator: Operator) -> None:
    """The next master serves there before the last answer of the one before it is out."""
    gate = Gate(operator.home.root / "gate")
    _, client = operator.fleet(gate.app())
    before = operator.web()
    with client.raw() as waiting:
        waiting.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        os.kill(before.pid, signal.SIGKILL)
        wait_until(lambda: "the master is gone" in operator.log(), "the worker has noticed")
        command.start_servers(operator.paths, ["web"])
        after = operator.web()
        assert (after.state, after.pid == before.pid) == ("running", False)
        assert client.get("/nothing").status == 404
        gate.open()
        assert waiting.makefile("rb").read().endswith(b"through")
    gate.close()
    assert operator.home.run("stop").code == 0


# The fleet


def test_a_stopped_fleet_is_told_from_one_that_does_not_run(operator: Operator) -> None:
    """Its servers serve on, and may be reloaded; commands of the fleet say what is the matter."""
    pid, client = operator.fleet()
    os.kill(pid, signal.SIGSTOP)
    for do in (
        lambda: command.status(operator.paths),
        lambda: command.start_servers(operator.paths, ["web"]),
        lambda: command.stop_servers(operator.paths, ["web"], graceful=False),
        lambda: command.restart(operator.paths, [], print),
    ):
        said = refused(do)
        assert said.startswith(f"skitaid (pid {pid}) runs but does not answer: ")
        assert said.endswith(f"it is stopped, kill -CONT {pid} lets it go on")
    assert refused(lambda: command.start(operator.paths)) == (
        f"skitaid is already running (pid {pid})"
    )
    assert masters.reload(operator.paths, ["web"], print) == ["web"]
    assert client.get("/hello").text == "hello"
    os.kill(pid, signal.SIGCONT)
    assert operator.web().state == "running"
    assert operator.home.run("stop").code == 0


@pytest.mark.parametrize("graceful", [True, False])
def test_a_stop_ends_also_who_is_stopped(operator: Operator, graceful: bool) -> None:
    """Fleet and master are continued, or they would never hear of it."""
    pid, _ = operator.fleet()
    os.kill(operator.web().pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGSTOP)
    assert command.stop(operator.paths, graceful) == pid
    operator.home.assert_nothing_runs()


def test_a_fleet_that_is_killed_leaves_servers_that_finish(operator: Operator) -> None:
    """Until then they are shown; then a new fleet starts."""
    gate = Gate(operator.home.root / "gate")
    pid, client = operator.fleet(gate.app())
    master = operator.web().pid
    with client.raw() as waiting:
        waiting.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        fleet = psutil.Process(pid)
        fleet.kill()
        assert wait_gone([fleet], PATIENCE) == []
        wait_until(lambda: "finishes 1 requests and leaves" in operator.log(), "it drains")
        shown = operator.web()
        assert (shown.state, shown.pid) == ("alone", master)
        assert [worker.state for worker in shown.workers] == ["retiring"]
        assert operator.home.run("stop").out == "skitaid is not running\n"
        gate.open()
        assert waiting.makefile("rb").read().endswith(b"through")
    gate.close()
    wait_until(lambda: holder(operator.paths.run_dir("web") / "lock" / "pid") is None, "it is gone")
    assert operator.home.run("start").code == 0
    assert operator.home.run("stop").code == 0
