"""`skitaid logs` and `skitaid rotate`."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from operator_session import CHECKOUT, Home
from waits import PATIENCE, wait_until

ROTATE = [str(CHECKOUT / "skitaid" / "bin" / "skitaid.py"), "-k"]


@pytest.fixture
def log(home: Home) -> Path:
    """The log of a server web that does not run."""
    home.write_app("webapp.py")
    home.write_conf("web")
    path = home.var / "servers" / "web" / "logs" / "server.log"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"line {number}\n" for number in range(100)))
    return path


class Following:
    """`skitaid logs -f` as it runs."""

    def __init__(self, home: Home, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*home.skitaid, "logs", "-f", *arguments],
            stdout=subprocess.PIPE,
            env=home.environment,
        )
        self.said = ""

    def wait_says(self, text: str) -> None:
        assert self.process.stdout
        while text not in self.said:
            came, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert came, f"no {text!r} in {self.said!r}"
            self.said += os.read(self.process.stdout.fileno(), 65536).decode()

    def leave(self) -> int:
        """With Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()
        return code


def test_a_server_that_nobody_knows(log: Path, home: Home) -> None:
    """The nearest is suggested."""
    ran = home.run("logs", "wbe")
    assert (ran.code, ran.err) == (1, "there is no server wbe with a log; did you mean web?\n")


def test_rotate_without_a_fleet(log: Path, home: Home) -> None:
    """There is nobody to tell; logrotate ignores it."""
    assert home.run("rotate").code == 1
    assert "skitaid is not running" in home.run("rotate").err


def test_the_last_lines(log: Path, home: Home) -> None:
    """Twenty, or as many as are wanted; of a log that is not there none."""
    assert home.run("logs", "web").out.splitlines()[0] == "line 80"
    assert home.run("logs", "web", "-n", "2").out == "line 98\nline 99\n"
    ran = home.run("logs", "web", "--log", "app")
    assert (ran.code, ran.out) == (0, "")


def test_of_several_logs_each_has_its_path_above(log: Path, home: Home) -> None:
    """As tail does."""
    ran = home.run("logs", "-n", "1")
    assert ran.out == f"==> {log} <==\nline 99\n"


def test_following_survives_rotation(log: Path, home: Home) -> None:
    """What is written to the moved file until there is a new one is shown, too."""
    following = Following(home, "web", "-n", "1")
    following.wait_says("line 99\n")
    with log.open("a") as writer:
        log.rename(log.with_suffix(".1"))
        writer.write("to the moved file\n")
        writer.flush()
        following.wait_says("to the moved file\n")
    log.write_text("to the new file\n")
    following.wait_says("to the new file\n")
    log.write_text("cut\n")
    following.wait_says("cut\n")
    assert following.leave() == 0
    assert following.said == "line 99\nto the moved file\nto the new file\ncut\n"


@pytest.mark.parametrize(
    "rotate",
    [["-m", "skitaid", "rotate"], [*ROTATE, "rotate-all"], [*ROTATE, "rotate", "-n", "web"]],
    ids=["rotate", "-k rotate-all", "-k rotate -n web"],
)
def test_after_rotate_the_server_writes_to_a_new_file(home: Home, rotate: list[str]) -> None:
    """And so does the fleet, if it is for all."""
    home.write_app("webapp.py")
    home.write_conf("web")
    home.env |= {"SKITAID_ETC": str(home.etc), "SKITAID_VAR": str(home.var)}
    home.run("start")
    log = home.var / "servers" / "web" / "logs" / "server.log"
    fleet_log = home.var / "logs" / "skitaid.log"
    for path in (log, fleet_log):
        path.rename(path.with_suffix(".1"))
    ran = home.run_command([sys.executable, *rotate])
    assert ran.code == 0, ran.err
    wait_until(log.exists, "the server has a new log")
    if "-n" not in rotate:
        wait_until(fleet_log.exists, "the fleet has a new log")
    home.run("stop")
    assert "SIGTERM: stopping now" in log.read_text()
