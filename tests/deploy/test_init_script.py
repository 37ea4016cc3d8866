"""The init script of Debian, really run: from /etc/init.d, as root, by its exit codes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from around import DEPLOY, install
from operator_session import Home, Ran
from served import Client

DEBIAN = DEPLOY / "debian"
SCRIPT = Path("/etc/init.d/skitaid")
DEFAULT = Path("/etc/default/skitaid")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="installing in /etc/init.d wants root"),
    pytest.mark.skipif(not os.path.exists("/etc/debian_version"), reason="this is not Debian"),
]


class Service:
    """The service, installed for one test under some name, with the servers of a home."""

    def __init__(self, home: Home, name: str) -> None:
        self.home = home
        self.name = name
        self.script = SCRIPT.with_name(name)
        self.default = DEFAULT.with_name(name)
        home.write_app("webapp.py")
        self.web = Client(home.write_conf("web"))
        shutil.copy(DEBIAN / "skitaid.init", self.script)
        self.set(DAEMON=str(install(home)), ETC=str(home.etc), VAR=str(home.var))

    def set(self, **variables: str) -> None:
        """Edit /etc/default/NAME as it is shipped: put values to names."""
        lines = (DEBIAN / "skitaid.default").read_text().splitlines()
        for name, value in variables.items():
            index = next(i for i, line in enumerate(lines) if line.startswith(f"#{name}="))
            lines[index] = f"{name}={value}"
        self.default.write_text("\n".join(lines) + "\n")

    def run(self, verb: str) -> Ran:
        return self.home.run_command([str(self.script), verb])

    def run_service(self, *verbs: str) -> Ran:
        """By the service command, verb after verb while they succeed."""
        line = " && ".join(f"service {self.name} {verb}" for verb in verbs)
        return self.home.run_command(["/bin/sh", "-c", line])

    def code(self, verb: str) -> int:
        return self.run(verb).code

    def remove(self) -> None:
        self.script.unlink()
        self.default.unlink()


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    # Where systemd runs, the functions of LSB would hand over to systemctl.
    home.env["SYSTEMCTL_SKIP_REDIRECT"] = "1"
    made = Service(home, f"skitaid-test-{os.getpid()}")
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def skitaid(home: Home) -> Iterator[Service]:
    """Under its own name, where nothing is installed under that."""
    if DEFAULT.exists() or not _is_new(SCRIPT):
        pytest.skip(f"there is {SCRIPT} or {DEFAULT} already")
    made = Service(home, SCRIPT.name)
    try:
        yield made
    finally:
        made.remove()


def _is_new(path: Path) -> bool:
    """Make it; two runs of this test at once share a machine."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


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


# By the service command, which gives a bare environment to scripts


@pytest.mark.skipif(shutil.which("service") is None, reason="there is no service command")
@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="service asks systemd here")
def test_service_skitaid(skitaid: Service, home: Home) -> None:
    """Each verb succeeds; status is 3 when it has stopped, 1 when it has left its pid file."""
    ran = skitaid.run_service("start", "status", "restart", "stop")
    assert ran.code == 0, ran.out + ran.err
    home.assert_nothing_runs()
    assert skitaid.run_service("status").code == 3
    ran = skitaid.run_service("start", "reload", "force-reload")
    assert ran.code == 0, ran.out + ran.err
    assert skitaid.web.get("/hello").text == "hello"
    os.kill(int((home.var / "lock" / "pid").read_text()), 9)
    home.assert_nothing_runs()
    assert skitaid.run_service("status").code == 1
