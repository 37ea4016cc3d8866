"""deploy/logrotate, run by a real logrotate against a real fleet."""

from __future__ import annotations

import gzip
import os
import pwd
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from around import DAEMON, control, install, sample, uncommented
from operator_session import Home, Ran
from served import Client
from waits import wait_until

pytestmark = [
    pytest.mark.skipif(shutil.which("logrotate") is None, reason="there is no logrotate"),
    pytest.mark.skipif(os.geteuid() != 0, reason="logrotate wants its confs to be root's"),
]

NUMBER = re.compile(r" number-(\d+) ")
NOBODY = pwd.getpwnam("nobody")


class Machine:
    """A home with one server, and logrotate with the sample."""

    def __init__(self, home: Home, more: str = "") -> None:
        self.home = home
        home.write_app("webapp.py")
        self.web = Client(home.write_conf("web", processes=2, more=f"log_rotate = no\n{more}"))
        self.logs = home.var / "servers" / "web" / "logs"
        self.conf = home.root / "logrotate"
        changes = {"/var/local/skitaid": str(home.var), DAEMON: str(install(home))}
        self.conf.write_text(sample("logrotate/skitaid", changes))

    def rotate(self) -> Ran:
        """As on each day."""
        state = str(self.home.root / "state")
        return self.home.run_command(["logrotate", "-f", "-s", state, str(self.conf)])

    def rotate_well(self) -> None:
        ran = self.rotate()
        assert (ran.code, ran.out, ran.err) == (0, "", "")

    def wait_requests(self, count: int) -> None:
        """Wait until request.log has so many."""
        log = self.logs / "request.log"
        wait_until(lambda: log.exists() and len(_lines(log)) >= count, f"{count} requests logged")

    def names(self) -> list[str]:
        return sorted(path.name for path in self.logs.glob("*.log*"))

    def lines(self, name: str) -> list[str]:
        """Of a log and all that it was before."""
        return [line for path in self.logs.glob(f"{name}.log*") for line in _lines(path)]


@pytest.fixture
def machine(home: Home) -> Machine:
    return Machine(home)


@pytest.fixture
def open_home() -> Iterator[Home]:
    """A home that everybody may enter; a test's own directory is for root alone."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    home = Home(root)
    try:
        yield home
    finally:
        home.close()
        shutil.rmtree(root)


# What goes wrong


def test_without_a_fleet_logs_are_rotated_all_the_same(machine: Machine) -> None:
    """There is nobody to tell, and nothing to complain of."""
    control(machine.home, "start")
    control(machine.home, "stop")
    before = machine.lines("server")
    machine.rotate_well()
    assert "server.log.1" in machine.names()
    assert "server.log" not in machine.names()
    assert machine.lines("server") == before


def test_an_installation_that_has_gone_is_no_complaint(machine: Machine) -> None:
    """Each day; its logs are still there."""
    control(machine.home, "start")
    control(machine.home, "stop")
    (machine.home.root / "skitaid").unlink()
    machine.rotate_well()
    assert "server.log.1" in machine.names()


def test_a_fleet_that_cannot_be_told_is_a_complaint(machine: Machine) -> None:
    """logrotate passes it on, as exit code and by mail from cron."""
    control(machine.home, "start")
    daemon = machine.home.root / "skitaid"
    fails = '#!/bin/sh\n[ "$1" = rotate ] && exit 1\n'
    daemon.write_text(daemon.read_text().replace("#!/bin/sh\n", fails))
    assert machine.rotate().code == 1


def test_what_skitai_has_rotated_itself_is_left_alone(machine: Machine) -> None:
    """Its files have a date before .log."""
    control(machine.home, "start")
    (machine.logs / "request-20200101.log").write_text("old\n")
    machine.rotate_well()
    machine.rotate_well()
    assert [name for name in machine.names() if "-" in name] == ["request-20200101.log"]


# What goes well


def test_nothing_is_lost_while_requests_come(machine: Machine) -> None:
    """Each request has its one line, before and after; the files before the last are packed."""
    control(machine.home, "start")
    over = threading.Event()
    asked: list[int] = []
    asker = threading.Thread(target=_ask, args=(machine.web, over, asked))
    asker.start()
    try:
        for _ in range(3):
            machine.wait_requests(20)
            machine.rotate_well()
        machine.wait_requests(20)
    finally:
        over.set()
        asker.join()
    control(machine.home, "stop", "--graceful")
    logged = [int(found[1]) for line in machine.lines("request") if (found := NUMBER.search(line))]
    assert sorted(logged) == asked
    packed = ["request.log", "request.log.1", "request.log.2.gz", "request.log.3.gz"]
    assert [name for name in machine.names() if "request" in name] == packed
    assert "logs are reopened" in "\n".join(machine.lines("server"))
    fleet = machine.home.var / "logs"
    assert {"skitaid.log", "skitaid.log.1", "skitaid.log.2.gz"} <= {p.name for p in fleet.iterdir()}


def test_rotated_files_are_whose_they_were(machine: Machine) -> None:
    """Nobody else reads the targets of requests."""
    control(machine.home, "start")
    for _ in range(3):
        machine.web.get("/hello")
        machine.wait_requests(1)
        machine.rotate_well()
    modes = {path.name: path.stat().st_mode & 0o777 for path in machine.logs.glob("request.log*")}
    assert len(modes) == 4
    assert set(modes.values()) == {0o640}


def test_logs_of_another_user_are_rotated_by_that_user(open_home: Home) -> None:
    """With the block that the sample has for it, and all others by root."""
    machine = Machine(open_home, more="user = nobody")
    text = uncommented(machine.conf.read_text(), str(machine.logs / "server.log"), "}")
    machine.conf.write_text(text.replace("su www-data www-data", "su nobody nogroup"))
    control(open_home, "start")
    machine.logs.chmod(0o775)  # which logrotate does not touch as root
    for _ in range(3):
        machine.web.get("/hello")
        machine.wait_requests(1)
        machine.rotate_well()
    files = [path.stat() for path in machine.logs.glob("*.log*")]
    assert {status.st_uid for status in files} == {NOBODY.pw_uid}
    assert {status.st_mode & 0o777 for status in files} == {0o640}
    assert "request.log.2.gz" in machine.names()
    assert len(machine.lines("request")) == 3
    assert (open_home.var / "logs" / "skitaid.log.1").stat().st_uid == 0


def _ask(client: Client, over: threading.Event, asked: list[int]) -> None:
    """In a thread: one request after the other, each with its number."""
    with closing(client.connect()) as connection:
        while not over.is_set():
            headers = {"X-Request-ID": f"number-{len(asked)}"}
            connection.request("GET", "/hello", headers=headers)
            assert connection.getresponse().read() == b"hello"
            asked.append(len(asked))


def _lines(path: Path) -> list[str]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
