"""deploy/haproxy: a real HAProxy with both sites, before the servers of a real fleet."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import trustme
from around import DEPLOY, TELLS, Program, control, failures_while_rolled, sample, uncommented
from operator_session import Home, free_port
from served import Client, Reply
from waits import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy")

CLIENT_ADDRESS = "127.0.0.2"  # of one that is no proxy
JEANS = {"Host": "www.jeans.com"}
CLIENT = """

@app.route("/client")
def client(was):
    request = was.request
    return [request.remote_addr, request.scheme, request.host, request.url]
"""


class Sites:
    """A home with the two servers of the sample, and HAProxy before them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.authority = trustme.CA()
        home.write_app("webapp.py", TELLS + CLIENT)
        issued = self.authority.issue_cert("www.carsales.com")
        issued.private_key_and_cert_chain_pem.write_to_path(str(home.etc / "cert/carsales.pem"))
        trusted = "trusted_proxies = 127.0.0.1"
        self.jeans = home.write_conf("jeans", processes=2, more=trusted)
        self.carsales = home.write_conf(
            "carsales",
            more=f"{trusted}\nproxy_protocol = yes\nssl = yes",
            sections="[certification]\ncertfile = carsales.pem",
        )
        self.port, self.tls_port = free_port(), free_port()
        self.client = Client(self.port)
        changes = {
            "bind :80": f"bind 127.0.0.1:{self.port}",
            "bind :443": f"bind 127.0.0.1:{self.tls_port}",
            "127.0.0.1:5000": f"127.0.0.1:{self.jeans}",
            "127.0.0.1:5001": f"127.0.0.1:{self.carsales}",
            "acl jeans hdr(host),field(1,:) -i www.jeans.com": "acl jeans hdr(host),field(1,:) -i"
            " www.jeans.com 127.0.0.1",  # for the load
            "inter 2s": "inter 100ms",
            "hard-stop-after 30s": "hard-stop-after 100ms",
        }
        self.conf = home.root / "haproxy.cfg"
        self.conf.write_text(sample("haproxy/haproxy.cfg", changes))
        self.program: Program | None = None

    def start(self) -> None:
        control(self.home, "start")
        self.program = Program(["haproxy", "-W", "-db", "-f", str(self.conf)], "Loading success")
        wait_until(lambda: self._status() == 200, "HAProxy has found the servers")

    def _status(self) -> int:
        try:
            return self.get("/hello", JEANS).status
        except ConnectionError:
            return 0

    def get(self, path: str, headers: dict[str, str]) -> Reply:
        return self.client.get(path, headers)

    def get_tls(self, port: int, path: str, headers: dict[str, str] | None = None) -> Any:
        """What www.carsales.com answers there."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=PATIENCE, source_address=(CLIENT_ADDRESS, 0)
        )
        with closing(connection):
            connection.connect()
            connection.sock = context.wrap_socket(
                connection.sock, server_hostname="www.carsales.com"
            )
            connection.request("GET", path, headers={"Host": "www.carsales.com", **(headers or {})})
            return json.loads(connection.getresponse().read())


@pytest.fixture
def sites(home: Home) -> Iterator[Sites]:
    made = Sites(home)
    try:
        yield made
    finally:
        if made.program is not None:
            made.program.stop(signal.SIGUSR1)


# What goes wrong


def test_other_sites_are_not_there(sites: Sites) -> None:
    """HAProxy says so; no server is asked."""
    sites.start()
    assert sites.get("/hello", {"Host": "www.example.com"}).status == 404


def test_what_clients_say_of_themselves_is_not_believed(sites: Sites) -> None:
    """Neither by HTTP, where HAProxy says who it is, nor by TLS, where it cannot see it."""
    sites.start()
    forged = {
        "X-Forwarded-For": "10.1.1.1",
        "X-Forwarded-Proto": "ftp",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=10.1.1.1",
    }
    told = sites.get("/client", JEANS | forged).json()
    assert told == ["127.0.0.1", "http", "www.jeans.com", "http://www.jeans.com/client"]


def test_a_proxy_that_does_not_say_for_whom_it_asks_is_not_heard(sites: Sites) -> None:
    """With proxy_protocol = yes its connection ends, and the log tells why."""
    sites.start()
    with Client(sites.carsales).raw() as stream:
        stream.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        with suppress(ConnectionResetError):  # as it has not read all of it
            assert stream.recv(1) == b""
    log = sites.home.var / "servers/carsales/logs/server.log"
    said = "127.0.0.1 is to begin with a PROXY header: it begins with no signature"
    wait_until(lambda: said in log.read_text(), "the line that says so")


def test_a_machine_that_is_down_is_not_noticed(sites: Sites) -> None:
    """The other machine of the sample answers."""
    other = sites.home.write_conf("other", more="trusted_proxies = 127.0.0.1")
    text = uncommented(sites.conf.read_text(), "server two", "60s")
    sites.conf.write_text(text.replace("192.0.2.2:5000", f"127.0.0.1:{other}"))
    sites.start()
    for down in ("other", "jeans"):
        control(sites.home, "stop", down)
        assert [sites.get("/hello", JEANS).status for _ in range(8)] == [200] * 8
        control(sites.home, "start", down)
        wait_until(lambda: sites.get("/hello", JEANS).status == 200, "it is back")


# What goes well


def test_haproxy_has_nothing_to_say_against_its_file() -> None:
    """As it is shipped."""
    command = ["haproxy", "-c", "-f", str(DEPLOY / "haproxy" / "haproxy.cfg")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, "ALERT" in ran.stdout + ran.stderr) == (0, False), ran.stderr


def test_tls_is_passed_on_with_the_address_of_the_client(sites: Sites) -> None:
    """Certificate and handshake are Skitai's, behind a header that it reads first."""
    sites.start()
    wait_until(lambda: _answers(sites), "HAProxy has found carsales")
    url = "https://www.carsales.com/client"
    told = [CLIENT_ADDRESS, "https", "www.carsales.com", url]
    assert sites.get_tls(sites.tls_port, "/client") == told
    # what the client says of itself counts for as much as from anybody else
    assert sites.get_tls(sites.tls_port, "/client", {"X-Forwarded-Host": "evil"}) == told


def _answers(sites: Sites) -> bool:
    try:
        return bool(sites.get_tls(sites.tls_port, "/client"))
    except (OSError, http.client.HTTPException):
        return False


def test_restart_and_reload_lose_no_request(sites: Sites) -> None:
    """Not even those that HAProxy sends on a connection that it has kept."""
    sites.start()
    assert failures_while_rolled(sites.home, sites.port) == {}
