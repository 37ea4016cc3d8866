"""The scripts of old, run as the README runs them: `python server.py -f NAME -c`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from operator_session import CHECKOUT, Home, Ran
from served import Client
from waits import PATIENCE, wait_until

BIN = CHECKOUT / "skitaid" / "bin"


class Scripts:
    """A home with one server, and the scripts."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.env |= {"SKITAID_ETC": str(home.etc), "SKITAID_VAR": str(home.var)}
        home.write_app("webapp.py")
        self.web = Client(home.write_conf("web"))

    def run(self, script: str, *arguments: str) -> Ran:
        return self.home.run_command(self.command(script, *arguments))

    def popen(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """In the background, from the scripts' own directory."""
        return subprocess.Popen(
            self.command(script, *arguments),
            cwd=BIN,
            env=self.home.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def command(script: str, *arguments: str) -> list[str]:
        return [sys.executable, "-W", "error", str(BIN / script), *arguments]

    def log(self, path: str) -> Path:
        return self.home.var / path


@pytest.fixture
def scripts(home: Home) -> Scripts:
    return Scripts(home)


def wait_says(path: Path, text: str) -> None:
    wait_until(lambda: path.exists() and text in path.read_text(), f"{path} says {text!r}")


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Exit code and stderr of a process that is told to end."""
    process.send_signal(number)
    _, log = process.communicate(timeout=PATIENCE)
    return process.returncode, log


def test_server_without_a_name_or_with_a_wrong_one(scripts: Scripts) -> None:
    """A message, and exit code 2 as for `skitaid serve`."""
    assert "required: -f/--conf" in scripts.run("server.py").err
    ran = scripts.run("server.py", "-f", "wbe", "-c")
    assert ran.code == 2
    assert "did you mean web?" in ran.err


def test_server_on_the_console_ends_with_ctrl_c(scripts: Scripts) -> None:
    """The log is on the screen."""
    process = scripts.popen("server.py", "-f", "web", "-c")
    assert process.stderr
    while "all workers are ready" not in process.stderr.readline():
        assert process.poll() is None
    assert scripts.web.get("/hello").text == "hello"
    code, rest = end(process, signal.SIGINT)
    assert code == 0
    assert "SIGINT: stopping now" in rest


def test_server_without_a_console_logs_to_its_file(scripts: Scripts) -> None:
    """It does not detach; what keeps it from starting is told on the screen all the same."""
    process = scripts.popen("server.py", "--conf=web")
    wait_says(scripts.log("servers/web/logs/server.log"), "all workers are ready")
    ran = scripts.run("server.py", "-f", "web")
    assert (ran.code, ran.err) == (1, f"server web is already running (pid {process.pid})\n")
    assert end(process, signal.SIGTERM) == (0, "")


def test_server_checks_a_conf(scripts: Scripts, home: Home) -> None:
    """-t starts nothing."""
    ran = scripts.run("server.py", "-t", "-f", "web")
    assert (ran.code, ran.out.startswith("web.conf: ok: ")) == (0, True)
    home.write_conf("web", more="threadss = 4")
    ran = scripts.run("server.py", "--test", "-f", "web")
    assert ran.code == 2
    assert "web.conf:6: threadss: unknown key" in ran.err


def test_skitaid_runs_as_a_service_and_is_commanded(scripts: Scripts) -> None:
    """Started, one server restarted and terminated, stopped."""
    assert scripts.run("skitaid.py", "stop").code == 1
    process = scripts.popen("skitaid.py")
    wait_says(scripts.log("logs/skitaid.log"), "web is ready")
    assert scripts.web.get("/hello").text == "hello"
    assert "already running" in scripts.run("skitaid.py").err
    assert "web is ready at" in scripts.run("skitaid.py", "-n", "web", "-k", "restart").out
    assert scripts.run("skitaid.py", "-k", "shutdown").code == 1
    assert scripts.run("skitaid.py", "-k", "terminate-all").out.endswith("web is stopped\n")
    assert scripts.run("skitaid.py", "stop").code == 0
    assert process.wait(PATIENCE) == 0
    process.communicate()


def test_skitaid_on_the_console_ends_with_ctrl_c(scripts: Scripts) -> None:
    """The log is on the screen."""
    process = scripts.popen("skitaid.py", "--consol")
    assert process.stderr
    while "web is ready" not in process.stderr.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
