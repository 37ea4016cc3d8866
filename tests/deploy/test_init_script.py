"""The init script of Debian, really run: from /etc/init.d, as root, by its exit codes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from operator_session import CHECKOUT, Home, Ran
from served import Client

DEPLOY = CHECKOUT / "deploy" / "debian"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="installing in /etc/init.d wants root"),
    pytest.mark.skipif(not os.path.exists("/etc/debian_version"), reason="this is not Debian"),
]

DAEMON = """\
#!/bin/sh
PYTHONPATH={checkout} exec {python} -m skitaid "$@"
"""


class Service:
    """A service of a name of its own, installed for one test, with the servers of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.name = f"skitaid-test-{os.getpid()}"
        self.script = Path("/etc/init.d") / self.name
        self.default = Path("/etc/default") / self.name
        home.write_app("webapp.py")
        self.web = Client(home.write_conf("web"))
        daemon = home.root / "skitaid"
        daemon.write_text(DAEMON.format(checkout=CHECKOUT, python=sys.executable))
        daemon.chmod(0o755)
        shutil.copy(DEPLOY / "skitaid.init", self.script)
        self.set(DAEMON=str(daemon), ETC=str(home.etc), VAR=str(home.var))

    def set(self, **variables: str) -> None:
        """Edit /etc/default/NAME as it is shipped: put values to names."""
        lines = (DEPLOY / "skitaid.default").read_text().splitlines()
        for name, value in variables.items():
            index = next(i for i, line in enumerate(lines) if line.startswith(f"#{name}="))
            lines[index] = f"{name}={value}"
        self.default.write_text("\n".join(lines) + "\n")

    def run(self, verb: str) -> Ran:
        return self.home.run_command([str(self.script), verb])

    def code(self, verb: str) -> int:
        return self.run(verb).code

    def remove(self) -> None:
        self.script.unlink()
        self.default.unlink()


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    # Where systemd runs, the functions of LSB would hand over to systemctl.
    home.env["SYSTEMCTL_SKIP_REDIRECT"] = "1"
    made = Service(home)
    try:
        yield made
    finally:
        made.remove()


# What goes wrong


def test_a_program_that_is_not_installed(service: Service) -> None:
    """The package is gone, its script is left: 5, but a stop has nothing to do."""
    service.set(DAEMON="/no/such/program")
    ran = service.run("start")
    assert ran.code == 5
    assert "there is no program /no/such/program" in ran.out + ran.err
    assert [service.code(verb) for verb in ("reload", "stop", "status")] == [5, 0, 4]


def test_confs_with_mistakes(service: Service, home: Home) -> None:
    """Not configured is 6; the complaints are shown."""
    home.write_conf("web", more="threadss = 4")
    ran = service.run("start")
    assert ran.code == 6
    assert "web.conf:6: threadss: unknown key" in ran.err
    assert service.code("status") == 3


def test_one_broken_server_is_no_failure_of_the_service(service: Service, home: Home) -> None:
    """Or the others would be taken down with it; that all fail is one."""
    home.write_app("broken.py", "import no_such_module_anywhere\n")
    home.write_conf("broken", routes="/ = {app}/broken")
    ran = service.run("start")
    assert ran.code == 0
    assert "not all servers are up" in ran.out + ran.err
    assert service.web.get("/hello").text == "hello"
    assert service.code("stop") == 0
    (home.etc / "servers-enabled" / "web.conf").unlink()
    assert service.code("start") == 1


def test_what_does_not_run_is_not_reloaded_but_stopped(service: Service) -> None:
    """7; stop and try-restart have nothing to do."""
    codes = [service.code(verb) for verb in ("status", "reload", "stop", "try-restart", "status")]
    assert codes == [3, 7, 0, 0, 3]


def test_a_fleet_that_died_has_left_its_pid_file(service: Service, home: Home) -> None:
    """1 tells it from one that was stopped; it can be started again."""
    service.run("start")
    pid_file = home.var / "lock" / "pid"
    os.kill(int(pid_file.read_text()), 9)
    home.assert_nothing_runs()
    assert service.code("status") == 1
    assert service.code("start") == 0
    assert service.code("status") == 0


def test_an_unknown_verb(service: Service) -> None:
    """2, and the verbs there are."""
    ran = service.run("dance")
    assert ran.code == 2
    assert "{start|stop|restart|try-restart|reload|force-reload|status}" in ran.err


# What goes well


def test_a_day_of_the_service(service: Service, home: Home) -> None:
    """Each verb does what it says, twice is once."""
    assert service.code("start") == 0
    assert service.code("start") == 0
    pid = (home.var / "lock" / "pid").read_text()
    assert service.web.get("/hello").text == "hello"
    assert "web" in service.run("status").out
    assert service.code("restart") == 0
    assert service.code("reload") == 0
    assert service.code("force-reload") == 0
    assert service.code("try-restart") == 0
    assert service.web.get("/hello").text == "hello"
    assert (home.var / "lock" / "pid").read_text() == pid
    assert service.code("stop") == 0
    assert service.code("stop") == 0
    assert service.code("status") == 3
    assert service.code("restart") == 0
    assert service.code("stop") == 0
    home.assert_nothing_runs()


@pytest.mark.skipif(shutil.which("service") is None, reason="there is no service command")
def test_by_the_service_command(service: Service, home: Home) -> None:
    """With the bare environment that it gives to scripts."""
    line = " && ".join(
        f"service {service.name} {verb}" for verb in ("start", "status", "restart", "stop")
    )
    ran = home.run_command(["/bin/sh", "-c", line])
    assert ran.code == 0, ran.out + ran.err
    home.assert_nothing_runs()
