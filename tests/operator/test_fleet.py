"""An operator's days with a fleet: `skitaid start`, `status`, `stop`, `restart`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import Any

import psutil
import pytest
from operator_session import HELLO, Home
from served import Client
from survivors import wait_gone
from waits import PATIENCE, Gate, wait_until

BROKEN = "import no_such_module_anywhere\n"
ROUTE = HELLO.split("\n\n", 2)[2]  # without what every app begins with


class Fleet:
    """A home with two servers, api and web, that is commanded and looked at."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.write_app("webapp.py")
        home.write_app("api.py", HELLO.replace('return "hello"', 'return "api"'))
        self.web = Client(home.write_conf("web"))
        self.api = Client(home.write_conf("api", routes="/ = {app}/api"))

    def start(self) -> int:
        """`skitaid start`, which must succeed; the pid of the fleet."""
        ran = self.home.run("start")
        assert ran.code == 0, ran.err
        return int((self.home.var / "lock" / "pid").read_text())

    def status(self) -> dict[str, Any]:
        """By name, what `skitaid status --json` says of the servers."""
        answer = json.loads(self.home.run("status", "--json").out)
        return {server["name"]: server for server in answer["servers"]}

    def log(self, name: str) -> str:
        """What a server has logged."""
        return (self.home.var / "servers" / name / "logs" / "server.log").read_text()

    def states(self) -> dict[str, str]:
        return {name: server["state"] for name, server in self.status().items()}


@pytest.fixture
def fleet(home: Home) -> Fleet:
    return Fleet(home)


# What goes wrong


def test_mistakes_in_any_conf_are_told_before_anything_starts(fleet: Fleet, home: Home) -> None:
    """Those of all confs at once; exit code 2, nothing runs."""
    home.write_conf("web", more="threadss = 4")
    home.write_conf("api", more="processses = 4")
    ran = home.run("start")
    assert ran.code == 2
    assert "web.conf:6: threadss: unknown key" in ran.err
    assert "api.conf:6: processses: unknown key" in ran.err
    home.assert_nothing_runs()
    assert not home.var.exists()


def test_one_broken_server_does_not_touch_the_others(fleet: Fleet, home: Home) -> None:
    """Exit code 1; the reason is told, and plainly what runs and what becomes of the rest."""
    home.write_app("api.py", BROKEN)
    ran = home.run("start")
    assert ran.code == 1
    assert f"web is ready at http://127.0.0.1:{fleet.web.port}" in ran.out
    assert "api is not up (waiting):" in ran.err
    assert "No module named 'no_such_module_anywhere'" in ran.err
    assert "api: tried again after growing pauses, until skitaid stop api" in ran.err
    assert fleet.web.get("/hello").text == "hello"
    assert "no_such_module_anywhere" in home.run("status").out


def test_status_tells_when_a_worker_that_keeps_failing_is_tried_again(
    fleet: Fleet, home: Home
) -> None:
    """Its server runs, as far as the fleet knows."""
    fleet.start()
    home.write_app("api.py", BROKEN)
    (worker,) = fleet.status()["api"]["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    wait_until(lambda: "the next try is in" in fleet.log("api"), "it fails")
    assert fleet.status()["api"]["failures"] > 0
    told = re.compile(r"api +running .* 0 of 1, try \d+ in \d+ s")
    wait_until(lambda: told.search(home.run("status").out), "its row tells so")


def test_a_mended_server_is_started_without_waiting(fleet: Fleet, home: Home) -> None:
    """`skitaid start NAME` does not wait for the back-off."""
    home.write_app("api.py", BROKEN)
    home.run("start")
    home.write_app("api.py", HELLO)
    ran = home.run("start", "api")
    assert (ran.code, ran.err) == (0, "")
    assert fleet.api.get("/hello").text == "hello"


def test_if_no_server_comes_up_nothing_stays(fleet: Fleet, home: Home) -> None:
    """Not even the fleet, and it says so."""
    home.write_app("api.py", BROKEN)
    home.write_app("webapp.py", BROKEN)
    ran = home.run("start")
    assert ran.code == 1
    assert ran.err.count("No module named 'no_such_module_anywhere'") == 2
    assert "no server came up, so skitaid does not run" in ran.err
    home.assert_nothing_runs()
    assert home.run("status").code == 3


def test_a_directory_that_cannot_be_written_is_told_of(home: Home) -> None:
    """In one sentence, by whoever was asked to start."""
    home.write_app("webapp.py")
    home.write_conf("web")
    home.var = home.root / "file" / "var"
    home.var.parent.write_text("no directory")
    ran = home.run("start")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"skitaid cannot write {home.var}")
    assert ran.err.endswith("names another directory\n")
    assert ran.err.count("\n") == 1


def test_no_conf_is_nothing_to_start(home: Home) -> None:
    """The directory is named."""
    ran = home.run("start")
    assert ran.code == 2
    assert f"there is no server to start: {home.etc}/servers-enabled has no conf" in ran.err


def test_a_second_start_is_refused(fleet: Fleet, home: Home) -> None:
    """The pid of the first is named."""
    pid = fleet.start()
    for command in (["start"], ["start", "--foreground"]):
        ran = home.run(*command)
        assert (ran.code, ran.err) == (1, f"skitaid is already running (pid {pid})\n")


def test_without_a_fleet_there_is_nothing_to_command(fleet: Fleet, home: Home) -> None:
    """Status says so with 3, as init scripts expect; stop has nothing to do."""
    assert home.run("status").code == 3
    assert home.run("stop").out == "skitaid is not running\n"
    ran = home.run("stop", "web")
    assert ran.code == 1
    assert ran.err == "skitaid is not running; skitaid start starts all enabled servers\n"


def test_a_name_that_is_no_server(fleet: Fleet, home: Home) -> None:
    """The nearest one is suggested."""
    fleet.start()
    assert "did you mean web?" in home.run("start", "wbe").err
    assert home.run("stop", "wbe").err == "skitaid runs no server wbe; it runs api, web\n"


def test_a_killed_master_comes_back(fleet: Fleet, home: Home) -> None:
    """After its workers have left, and with the reason in status until then."""
    fleet.start()
    master = psutil.Process(fleet.status()["web"]["pid"])
    workers = master.children()
    master.kill()
    assert wait_gone([master, *workers], PATIENCE) == []
    log = home.var / "logs" / "skitaid.log"
    wait_until(lambda: "web: master was killed by SIGKILL" in log.read_text(), "fleet notices")
    assert home.run("start", "web").code == 0
    assert fleet.web.get("/hello").text == "hello"
    assert fleet.status()["web"]["pid"] != master.pid


def test_a_killed_fleet_leaves_no_servers_behind(fleet: Fleet, home: Home) -> None:
    """They see their lifelines end; a new fleet can start."""
    os.kill(fleet.start(), signal.SIGKILL)
    home.assert_nothing_runs()
    fleet.start()
    assert fleet.web.get("/hello").text == "hello"


def test_a_fleet_starts_while_masters_of_a_killed_one_still_drain(fleet: Fleet, home: Home) -> None:
    """Their successors wait for them, and the command for those."""
    gate = Gate(home.app / "gate")
    home.write_app("webapp.py", gate.app() + ROUTE)
    pid = fleet.start()
    with fleet.web.raw() as connection:
        connection.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "finishes 1 requests" in fleet.log("web"), "it drains")
        start = subprocess.Popen(
            [*home.skitaid, "start"],
            env=home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_until(lambda: "web is still stopping (pid" in fleet.log("web"), "one waits")
        gate.open()
        assert connection.makefile("rb").read().endswith(b"through")
    out, _ = start.communicate(timeout=PATIENCE)
    assert (start.returncode, out.count(" is ready at ")) == (0, 2), out
    assert fleet.web.get("/hello").text == "hello"
    gate.close()


def test_an_operators_start_ends_the_wait_of_a_servers_workers(fleet: Fleet, home: Home) -> None:
    """The master runs, and its only worker could not boot again and again."""
    fleet.start()
    home.write_app("api.py", BROKEN)
    (worker,) = fleet.status()["api"]["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    wait_until(lambda: fleet.status()["api"]["failures"] >= 2, "it fails again")
    home.write_app("api.py", HELLO)
    ran = home.run("start", "api")
    assert (ran.code, ran.err) == (0, "")
    assert fleet.status()["api"]["failures"] == 0
    assert fleet.api.get("/hello").text == "hello"


# What goes well


def test_start_returns_when_all_servers_answer(fleet: Fleet, home: Home) -> None:
    """A line per server; the fleet is detached from whoever started it."""
    ran = home.run("start")
    assert (ran.code, ran.err) == (0, "")
    status = fleet.status()
    assert ran.out.splitlines() == [
        f"api is ready at http://127.0.0.1:{fleet.api.port} (pid {status['api']['pid']})",
        f"web is ready at http://127.0.0.1:{fleet.web.port} (pid {status['web']['pid']})",
    ]
    assert (fleet.api.get("/hello").text, fleet.web.get("/hello").text) == ("api", "hello")
    pid = int((home.var / "lock" / "pid").read_text())
    assert os.getsid(pid) not in (pid, os.getsid(0))
    assert psutil.Process(pid).cmdline()[0] == "skitaid"


def test_stop_returns_when_all_are_gone(fleet: Fleet, home: Home) -> None:
    """Fleet, masters and workers."""
    pid = fleet.start()
    ran = home.run("stop")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, f"skitaid (pid {pid}) is stopped")
    assert home.processes() == []
    assert not (home.var / "lock" / "pid").exists()


def test_a_graceful_stop_answers_what_was_asked(fleet: Fleet, home: Home) -> None:
    """The request in flight gets its answer, and who waits is told that there is one."""
    gate = Gate(home.app / "gate")
    home.write_app("webapp.py", gate.app())
    fleet.start()
    with fleet.web.raw() as connection:
        connection.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        stop = subprocess.Popen(
            [*home.skitaid, "stop", "--graceful"],
            env=home.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert stop.stdout
        progress = stop.stdout.readline()
        while "draining web" not in progress:
            progress = stop.stdout.readline()
            assert progress, "skitaid stop tells no progress"
        assert progress == "draining web: 0 of 1 workers retired, 1 request left\n"
        gate.open()
        assert connection.makefile("rb").read().endswith(b"through")
    assert stop.communicate(timeout=PATIENCE)[0].endswith("is stopped\n")
    assert stop.returncode == 0
    gate.close()


def test_one_server_is_stopped_and_started(fleet: Fleet, home: Home) -> None:
    """It stays down until then; the other does not notice."""
    fleet.start()
    assert home.run("stop", "web").out.endswith("web is stopped\n")
    assert fleet.states() == {"api": "running", "web": "stopped"}
    with pytest.raises(ConnectionRefusedError):
        fleet.web.get("/hello")
    assert fleet.api.get("/hello").text == "api"
    assert home.run("start", "web").code == 0
    assert fleet.web.get("/hello").text == "hello"


def test_restart_brings_new_code_and_leaves_the_fleet(fleet: Fleet, home: Home) -> None:
    """Of one server, or of all."""
    pid = fleet.start()
    home.write_app("webapp.py", HELLO.replace('return "hello"', 'return "new"'))
    assert home.run("restart", "web").code == 0
    assert fleet.web.get("/hello").text == "new"
    before = fleet.status()
    assert home.run("restart").code == 0
    after = fleet.status()
    for name in ("web", "api"):
        assert after[name]["pid"] == before[name]["pid"]  # masters restart in place
        assert after[name]["workers"][0]["pid"] != before[name]["workers"][0]["pid"]
    assert int((home.var / "lock" / "pid").read_text()) == pid


def test_restart_with_a_mistake_changes_nothing(fleet: Fleet, home: Home) -> None:
    """The old servers go on."""
    fleet.start()
    before = fleet.status()["web"]["pid"]
    home.write_conf("web", port=fleet.web.port, more="threadss = 4")
    assert home.run("restart", "web").code == 2
    assert home.run("restart").code == 2
    assert fleet.status()["web"]["pid"] == before


def test_restart_follows_the_enabled_confs(fleet: Fleet, home: Home) -> None:
    """A new one is started, a removed one is stopped and forgotten."""
    fleet.start()
    (home.etc / "servers-enabled" / "api.conf").unlink()
    new = Client(home.write_conf("new"))
    assert home.run("restart").code == 0
    assert fleet.states() == {"new": "running", "web": "running"}
    assert new.get("/hello").text == "hello"


def test_restart_without_a_fleet_starts_it(fleet: Fleet, home: Home) -> None:
    """As init scripts expect."""
    assert home.run("restart").code == 0
    assert fleet.web.get("/hello").text == "hello"


def test_status_shows_servers_and_their_workers(fleet: Fleet, home: Home) -> None:
    """For people as a table, for programs as JSON."""
    fleet.start()
    web = fleet.status()["web"]
    assert web["address"] == f"http://127.0.0.1:{fleet.web.port}"
    (worker,) = web["workers"]
    assert psutil.Process(worker["pid"]).cmdline()[0] == "skitaid: worker web/0"
    table = home.run("status")
    assert table.code == 0
    row = next(line for line in table.out.splitlines() if line.strip().startswith("web"))
    assert row.split()[:5] == [
        "web",
        "running",
        web["address"],
        str(web["pid"]),
        "1",
    ]


def test_status_shows_a_server_that_runs_by_itself(fleet: Fleet, home: Home) -> None:
    """Somebody has started it with `skitaid serve`; there is no fleet all the same."""
    server = home.serve("web")
    ran = home.run("status")
    assert ran.code == 3
    assert "skitaid is not running" in ran.out
    assert f"alone  http://127.0.0.1:{server.port}" in ran.out


def test_a_fleet_in_the_foreground_ends_with_ctrl_c(fleet: Fleet, home: Home) -> None:
    """All servers stop, the exit code is 0."""
    process = subprocess.Popen(
        [*home.skitaid, "start", "--foreground"],
        env=home.environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr
    log = ""
    while log.count("is ready") < 2:
        log += process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, rest = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "SIGINT: stopping now" in rest
    assert "SIGTERM: stopping now" in fleet.log("web")  # told by the fleet, not by the terminal
    home.assert_nothing_runs()
