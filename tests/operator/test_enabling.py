"""`skitaid enable` and `disable`, and what the fleet does about confs that come, change and go."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from operator_session import HELLO, Home, free_port
from served import Client
from waits import wait_until

CONF = """\
[server]
processes = 1
ip = 127.0.0.1
port = {port}
{more}

[routes:line]
/ = {app}/webapp
"""


class Site:
    """A home whose confs are in servers-available; base runs, web is to be enabled."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.write_app("webapp.py")
        home.write_conf("base")
        self.web = Client(self.write("web"))
        self.link = home.etc / "servers-enabled" / "web.conf"
        self.conf = home.etc / "servers-available" / "web.conf"

    def write(self, name: str, port: int = 0, more: str = "") -> int:
        """NAME.conf in servers-available, as a deployment writes it: aside, then renamed."""
        port = port or free_port()
        conf = self.home.etc / "servers-available" / f"{name}.conf"
        text = CONF.format(port=port, app=self.home.app, more=more)
        conf.with_suffix(".new").write_text(text)
        conf.with_suffix(".new").rename(conf)
        return port

    def start(self) -> int:
        """The pid of the fleet."""
        ran = self.home.run("start")
        assert ran.code == 0, ran.err
        return int((self.home.var / "lock" / "pid").read_text())

    def wait_log(self, text: str) -> None:
        """Until the fleet says it."""
        log = self.home.var / "logs" / "skitaid.log"
        wait_until(lambda: text in log.read_text(), f"skitaid.log says {text!r}")

    def server_log(self, name: str) -> Path:
        return self.home.var / "servers" / name / "logs" / "server.log"


@pytest.fixture
def site(home: Home) -> Site:
    return Site(home)


# What goes wrong


def test_a_name_that_is_not_available(site: Site, home: Home) -> None:
    """The nearest one is suggested, nothing is linked."""
    ran = home.run("enable", "wbe")
    assert ran.code == 2
    assert f"there is no wbe.conf in {home.etc}/servers-available; did you mean web?" in ran.err
    assert os.listdir(home.etc / "servers-enabled") == ["base.conf"]


def test_enabled_is_not_enabled_twice(site: Site, home: Home) -> None:
    """Neither as a link nor as a conf that stands there itself; a link elsewhere is named."""
    home.run("enable", "web")
    assert home.run("enable", "web").err == "web is already enabled\n"
    site.write("base")
    assert "base is already enabled: " in home.run("enable", "base").err
    site.link.unlink()
    site.link.symlink_to("/no/where")
    ran = home.run("enable", "web")
    assert ran.code == 1
    assert "is a link to /no/where; skitaid disable web removes it" in ran.err


def test_a_conf_with_a_mistake_is_not_enabled(site: Site, home: Home) -> None:
    """The complaints are those of `skitaid check`."""
    site.write("web", more="threadss = 4")
    ran = home.run("enable", "web")
    assert ran.code == 2
    assert "web.conf:5: threadss: unknown key" in ran.err
    assert not site.link.is_symlink()


def test_a_conf_itself_is_not_removed(site: Site, home: Home) -> None:
    """It may be the only copy; who is not enabled is told so."""
    ran = home.run("disable", "base")
    assert ran.code == 1
    assert "base.conf is not a link but the conf itself" in ran.err
    assert (home.etc / "servers-enabled" / "base.conf").exists()
    assert "did you mean base?" in home.run("disable", "bas").err


def test_a_conf_that_becomes_wrong_changes_nothing(site: Site, home: Home) -> None:
    """The fleet logs the complaints, the server goes on; mended, it is reloaded."""
    home.run("enable", "web")
    site.start()
    site.write("web", port=site.web.port, more="threadss = 4")
    site.wait_log("web: it goes on as it is, as its conf has mistakes\nweb.conf:5: threadss:")
    assert site.web.get("/hello").text == "hello"
    assert "web.conf:5: threadss: unknown key" in home.run("status").out
    home.write_app("webapp.py", HELLO.replace('return "hello"', 'return "mended"'))
    site.write("web", port=site.web.port, more="threads = 3")
    wait_until(lambda: site.web.get("/hello").text == "mended", "web is reloaded")
    assert "threadss" not in home.run("status").out


def test_a_new_conf_with_a_mistake_starts_when_it_is_mended(site: Site, home: Home) -> None:
    """Until then it is only told about."""
    site.start()
    site.write("web", more="threadss = 4")
    site.link.symlink_to("../servers-available/web.conf")
    site.wait_log("web: it is not started, as its conf has mistakes")
    port = site.write("web")
    site.wait_log("web is ready")
    assert Client(port).get("/hello").text == "hello"


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU])
def test_a_signal_for_masters_does_not_harm_the_fleet(
    site: Site, home: Home, number: signal.Signals
) -> None:
    """It was meant for another pid, and the fleet says so."""
    os.kill(site.start(), number)
    site.wait_log(f"{number.name} is for a master, not for the fleet")
    assert home.run("status").code == 0


# What goes well


def test_enable_and_disable_without_a_fleet(site: Site, home: Home) -> None:
    """A relative link comes and goes; the conf stays."""
    ran = home.run("enable", "a/web.conf")
    assert ran.code == 0
    assert os.readlink(site.link) == "../servers-available/web.conf"
    assert "skitaid is not running; skitaid start starts" in ran.out
    assert home.run("disable", "web").code == 0
    assert not site.link.is_symlink()
    assert site.conf.exists()


def test_a_running_fleet_starts_what_is_enabled_and_stops_what_is_not(
    site: Site, home: Home
) -> None:
    """The commands come back when it is done."""
    site.start()
    ran = home.run("enable", "web")
    assert ran.code == 0
    assert f"web is ready at http://127.0.0.1:{site.web.port}" in ran.out
    assert site.web.get("/hello").text == "hello"
    said = home.run("disable", "web").out.splitlines()
    assert (said[0], said[-1]) == ("web is disabled", "web is stopped")
    with pytest.raises(ConnectionRefusedError):
        site.web.get("/hello")
    assert '"web"' not in home.run("status", "--json").out


def test_links_and_files_may_come_and_go_without_the_command(site: Site, home: Home) -> None:
    """The fleet notices by itself."""
    site.start()
    site.link.symlink_to("../servers-available/web.conf")
    site.wait_log("web is ready")
    site.link.unlink()
    site.wait_log("web: its conf is gone; it is stopped when all is answered")
    site.wait_log("web is stopped (master left with exit code 0)")


def test_what_an_operator_has_stopped_is_not_started_by_its_conf(site: Site, home: Home) -> None:
    """Only when it goes and comes back."""
    home.run("enable", "web")
    site.start()
    home.run("stop", "web")
    site.write("web", port=site.web.port, more="threads = 3")
    other = Client(site.write("other"))
    home.run("enable", "other")  # a look that has seen web, too
    assert other.get("/hello").text == "hello"
    with pytest.raises(ConnectionRefusedError):
        site.web.get("/hello")
    home.run("disable", "web")
    assert home.run("enable", "web").code == 0
    assert site.web.get("/hello").text == "hello"


def test_hup_reads_skitaid_conf_and_the_confs_again(site: Site, home: Home) -> None:
    """Mistakes in skitaid.conf change nothing."""
    pid = site.start()
    (home.etc / "skitaid.conf").write_text("[global]\npython = /no/such/python\n")
    os.kill(pid, signal.SIGHUP)
    site.wait_log("skitaid.conf has mistakes, so nothing of it has changed")
    (home.etc / "skitaid.conf").unlink()
    assert home.run("restart", "base").code == 0


def test_twenty_servers_start_and_stop(site: Site, home: Home) -> None:
    """A few at a time, all come up."""
    ports = [site.write(f"s{number:02}") for number in range(20)]
    for number in range(20):
        name = f"s{number:02}.conf"
        (home.etc / "servers-enabled" / name).symlink_to(f"../servers-available/{name}")
    site.start()
    assert {Client(port).get("/hello").text for port in ports} == {"hello"}
