"""deploy/squid: a real Squid with both sites, before the servers of a real fleet."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
from around import DEPLOY, TELLS, Program, control, failures_while_rolled, sample
from operator_session import Home, free_port
from served import Client, Reply
from waits import wait_until

pytestmark = pytest.mark.skipif(shutil.which("squid") is None, reason="there is no squid")

MIB = 1024 * 1024
JEANS, CARSALES = {"Host": "www.jeans.com"}, {"Host": "www.carsales.com"}

# Squid gives up root's rights and then could write nowhere, so nothing is written.
NOWHERE = """
pid_filename none
access_log none
cache_log /dev/null
coredump_dir none
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname test.example
max_filedescriptors 1024
"""


class Sites:
    """A home with the two servers of the sample, and Squid before them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.write_app("webapp.py", TELLS)
        home.write_app("static/style.css", "body {}")
        routes = "/ = {app}/static\n/ = {app}/webapp"
        jeans = home.write_conf("jeans", processes=2, routes=routes)
        carsales = home.write_conf("carsales", routes=routes)
        self.port = free_port()
        self.client = Client(self.port)
        changes = {
            "dstdomain www.jeans.com": "dstdomain www.jeans.com 127.0.0.1",  # for the load
            "http_port 80 ": f"http_port {self.port} ",
            "192.168.1.100 parent 5000": f"127.0.0.1 parent {jeans}",
            "192.168.1.100 parent 5001": f"127.0.0.1 parent {carsales}",
        }
        conf = home.root / "squid.conf"
        conf.write_text(sample("squid/squid.conf", changes) + NOWHERE)
        control(self.home, "start")
        command = ["squid", "-N", "-d", "1", "-f", str(conf)]
        self.squid = Program(command, "Accepting reverse-proxy HTTP Socket connections")
        wait_until(self._listens, "Squid does what it has said")

    def _listens(self) -> bool:
        try:
            self.client.raw().close()
        except ConnectionRefusedError:
            return False
        return True

    def get(self, path: str, headers: dict[str, str]) -> Reply:
        return self.client.get(path, headers)

    def requests(self, name: str) -> list[str]:
        """What a server was asked; it must have stopped."""
        log = self.home.var / "servers" / name / "logs" / "request.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [" ".join(line.split()[3:5]) for line in lines]


@pytest.fixture
def sites(home: Home) -> Iterator[Sites]:
    made = Sites(home)
    try:
        yield made
    finally:
        made.squid.stop(signal.SIGTERM)


# What goes wrong


def test_a_site_that_is_down_does_not_touch_the_other(sites: Sites) -> None:
    """503; it is there again with its server."""
    control(sites.home, "stop", "jeans")
    assert sites.get("/hello", JEANS).status == 503
    assert sites.get("/hello", CARSALES).text == "hello"
    control(sites.home, "start", "jeans")
    assert sites.get("/hello", JEANS).text == "hello"


def test_other_sites_are_not_fetched(sites: Sites) -> None:
    """Nor are the servers asked for them, or for anything by Squid itself."""
    name = f"127.0.0.1:{sites.port}"
    assert sites.get("/hello", {"Host": "www.example.com"}).status == 403
    assert sites.get("http://www.example.com/hello", {"Host": name}).status == 403
    assert sites.get("/hello", JEANS).text == "hello"
    control(sites.home, "stop", "--graceful")
    assert sites.requests("jeans") == ["GET /hello"]
    assert sites.requests("carsales") == []


def test_a_body_is_as_long_as_skitai_takes_it(sites: Sites) -> None:
    """A byte more is refused by Squid already."""
    taken = sites.client.post("/sum", b"a" * (5 * MIB), JEANS)
    assert taken.text.split()[1] == str(5 * MIB)
    with sites.client.raw() as client:
        length = 5 * MIB + 1
        client.sendall(b"POST /sum HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % length)
        assert client.makefile("rb").readline().split()[1] == b"413"
    control(sites.home, "stop", "--graceful")
    assert sites.requests("jeans") == ["POST /sum"]
    assert sites.requests("carsales") == []


def test_what_clients_say_of_themselves_is_not_passed_on(sites: Sites) -> None:
    """Whose address it is, Squid says; it does not speak of https."""
    forged = {"X-Forwarded-For": "10.1.1.1", "X-Forwarded-Proto": "https"}
    for site in (JEANS, CARSALES):
        told = sites.get("/who", site | forged).json()
        assert told["Host"] == site["Host"]
        assert told["X-Forwarded-For"] == "127.0.0.1"
        assert told["X-Forwarded-Proto"] is None


# What goes well


def test_squid_has_nothing_to_say_against_its_file() -> None:
    """As it is shipped."""
    command = ["squid", "-k", "parse", "-f", str(DEPLOY / "squid" / "squid.conf")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [word for word in ("WARNING", "ERROR", "FATAL") if word in ran.stderr] == []


def test_who_names_no_site_gets_the_default_one(sites: Sites) -> None:
    """A client of HTTP/1.0."""
    with sites.client.raw() as client:
        client.sendall(b"GET /who HTTP/1.0\r\n\r\n")
        assert b'"www.carsales.com"' in client.makefile("rb").read()


def test_static_files_are_fetched_once(sites: Sites) -> None:
    """They may be kept for static_max_age; what apps answer is asked for each time."""
    for _ in range(3):
        assert sites.get("/style.css", JEANS).text == "body {}"
        assert sites.get("/hello", JEANS).text == "hello"
    control(sites.home, "stop", "--graceful")
    assert sites.requests("jeans").count("GET /style.css") == 1
    assert sites.requests("jeans").count("GET /hello") == 3


def test_restart_and_reload_lose_no_request(sites: Sites) -> None:
    """Not even those that Squid sends on a connection that it has kept."""
    assert failures_while_rolled(sites.home, sites.port) == {}
