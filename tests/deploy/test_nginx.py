"""deploy/nginx: a real nginx with both sites, before the servers of a real fleet."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
from around import TELLS, Program, control, failures_while_rolled, sample, uncommented
from operator_session import Home, free_port
from served import Client, Reply
from waits import Gate, wait_until

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx")

MIB = 1024 * 1024
JEANS, CARSALES = {"Host": "www.jeans.com"}, {"Host": "www.carsales.com"}

# As /etc/nginx/nginx.conf of Debian, with all that is written to in one directory.
WHOLE = """\
{user}
daemon off;
worker_processes 1;
pid {root}/pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    scgi_temp_path {root}/scgi;
    uwsgi_temp_path {root}/uwsgi;
    include sites-enabled/jeans.conf;
    include sites-enabled/carsales.conf;
}}
"""


class Sites:
    """A home with the two servers of the samples, and nginx before them.

    Who names no site is at www.jeans.com, the first one.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        home.write_app("webapp.py", TELLS)
        self.static = home.app / "static"
        self.static.mkdir()
        self.ports = {
            "jeans": home.write_conf("jeans", processes=2),
            "carsales": home.write_conf("carsales"),
        }
        self.port = free_port()
        self.client = Client(self.port)
        self.root = home.root / "nginx"
        (self.root / "snippets").mkdir(parents=True)
        (self.root / "sites-enabled").mkdir()
        self.nginx: Program | None = None
        listen = {"listen 80;": f"listen {self.port};", "[::]:80;": f"[::]:{self.port};"}
        user = "user root;" if os.geteuid() == 0 else ""
        self.write("nginx.conf", WHOLE.format(root=self.root, user=user))
        self.write("snippets/skitai.conf", sample("nginx/snippets/skitai.conf", {}))
        jeans = {"127.0.0.1:5000": f"127.0.0.1:{self.ports['jeans']}"}
        self.write("sites-enabled/jeans.conf", sample("nginx/jeans.conf", listen | jeans))
        carsales = {
            "127.0.0.1:5001": f"127.0.0.1:{self.ports['carsales']}",
            "/home/carsales/app/static": str(self.static),
        }
        self.write("sites-enabled/carsales.conf", sample("nginx/carsales.conf", listen | carsales))

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def start(self) -> None:
        """The fleet, then nginx."""
        control(self.home, "start")
        command = ["nginx", "-p", str(self.root), "-c", str(self.root / "nginx.conf")]
        subprocess.run([*command, "-t", "-q"], check=True)
        self.nginx = Program(command, "start worker process ")

    def stop(self) -> None:
        if self.nginx:
            self.nginx.stop(signal.SIGQUIT)

    def get(self, path: str, headers: dict[str, str]) -> Reply:
        return self.client.get(path, headers)

    def requests(self, name: str) -> str:
        """request.log of a server, as far as there is one."""
        log = self.home.var / "servers" / name / "logs" / "request.log"
        return log.read_text() if log.exists() else ""

    def wait_asked(self, name: str) -> None:
        """Ask www.jeans.com until a server has answered; nobody may be sent away meanwhile."""
        before = self.requests(name)

        def is_asked() -> bool:
            assert self.get("/hello", JEANS).status == 200
            return self.requests(name) != before

        wait_until(is_asked, f"nginx asks {name}")


@pytest.fixture
def sites(home: Home) -> Iterator[Sites]:
    made = Sites(home)
    try:
        yield made
    finally:
        made.stop()


def two_machines(sites: Sites) -> None:
    """The sample's second server of the upstream."""
    sites.ports["other"] = sites.home.write_conf("other")
    text = uncommented(sites.read("sites-enabled/jeans.conf"), "server 192.0.2.2:5000", "2s;")
    text = text.replace("192.0.2.2:5000", f"127.0.0.1:{sites.ports['other']}")
    sites.write("sites-enabled/jeans.conf", text)


# What goes wrong


def test_a_site_that_is_down_does_not_touch_the_other(sites: Sites) -> None:
    """502, also for others' requests at that time; it is there again with its server."""
    sites.start()
    control(sites.home, "stop", "jeans")
    assert sites.get("/hello", JEANS).status == 502
    assert sites.get("/hello", CARSALES).text == "hello"
    control(sites.home, "start", "jeans")
    assert sites.get("/hello", JEANS).text == "hello"


def test_a_machine_that_is_down_is_not_noticed(sites: Sites) -> None:
    """The other machine of the upstream answers."""
    two_machines(sites)
    sites.start()
    for down, up in (("other", "jeans"), ("jeans", "other")):
        sites.wait_asked(up)
        control(sites.home, "stop", down)
        assert [sites.get("/hello", JEANS).status for _ in range(8)] == [200] * 8
        control(sites.home, "start", down)


def test_a_handler_that_takes_too_long_is_not_tried_elsewhere(sites: Sites, home: Home) -> None:
    """504, and one machine has been asked."""
    gate = Gate(home.root / "gate")
    home.write_app("webapp.py", gate.app())
    two_machines(sites)
    brief = {
        "proxy_read_timeout 30s": "proxy_read_timeout 300ms",
        "proxy_next_upstream_timeout 10s": "proxy_next_upstream_timeout 100ms",
    }
    sites.write("snippets/skitai.conf", sample("nginx/snippets/skitai.conf", brief))
    sites.start()
    assert sites.get("/gate", JEANS).status == 504
    gate.open()
    control(sites.home, "stop", "--graceful")
    logs = [sites.requests(name) for name in ("jeans", "other")]
    assert sorted(log.count("GET /gate") for log in logs) == [0, 1]
    gate.close()


def test_a_body_is_as_long_as_skitai_takes_it(sites: Sites) -> None:
    """A byte more is refused by nginx already."""
    sites.start()
    for site in (JEANS, CARSALES):
        taken = sites.client.post("/sum", b"a" * (5 * MIB), site)
        assert taken.text.split()[1] == str(5 * MIB)
        refused = sites.client.post("/sum", b"a" * (5 * MIB + 1), site)
        assert (refused.status, refused.headers["Server"][:5]) == (413, "nginx")


def test_what_clients_say_of_themselves_is_not_passed_on(sites: Sites) -> None:
    """Whose address it is, by what it came, and the id: nginx says so."""
    sites.start()
    forged = {"X-Forwarded-For": "10.1.1.1", "X-Forwarded-Proto": "https", "X-Request-ID": "mine"}
    for site in (JEANS, CARSALES):
        told = sites.get("/who", site | forged).json()
        assert told["Host"] == site["Host"]
        assert told["X-Forwarded-For"] == "127.0.0.1"
        assert told["X-Forwarded-Proto"] == "http"
        assert len(told["X-Request-ID"]) == 32
        assert told["Connection"] is None


# What goes well


def test_behind_another_proxy_the_client_is_whom_that_one_names(sites: Sites) -> None:
    """With the two lines that the sample has for it."""
    text = uncommented(sites.read("snippets/skitai.conf"), "set_real_ip_from", "X-Forwarded-For;")
    sites.write("snippets/skitai.conf", text.replace("192.0.2.1", "127.0.0.1"))
    sites.start()
    told = sites.get("/who", JEANS | {"X-Forwarded-For": "10.9.9.9, 203.0.113.7"}).json()
    assert told["X-Forwarded-For"] == "203.0.113.7"


def test_the_request_id_is_the_one_in_the_log(sites: Sites) -> None:
    """So a line of nginx leads to that of the server."""
    sites.start()
    name = sites.get("/who", JEANS).json()["X-Request-ID"]
    wait_until(lambda: name in sites.requests("jeans"), "the line with the id")


def test_connections_to_skitai_are_kept(sites: Sites) -> None:
    """Clients come and go; one connection serves them all."""
    sites.start()
    for _ in range(20):
        assert sites.get("/hello", CARSALES).text == "hello"
    servers = json.loads(sites.home.run("status", "--json").out)["servers"]
    (worker,) = next(each["workers"] for each in servers if each["name"] == "carsales")
    assert worker["connections"] == 1


def test_static_files_are_nginx_s(sites: Sites) -> None:
    """Without a server, too; what begins with a dot is nobody's, what is not there Skitai's."""
    (sites.static / "style.css").write_text("body {}")
    (sites.static / ".htpasswd").write_text("secret")
    (sites.static / ".well-known").mkdir()
    (sites.static / ".well-known" / "security.txt").write_text("Contact: us")
    sites.start()
    assert sites.get("/hello", CARSALES).text == "hello"
    control(sites.home, "stop", "carsales")
    style = sites.get("/style.css", CARSALES)
    assert (style.text, style.headers["Cache-Control"]) == ("body {}", "max-age=300")
    assert sites.get("/.well-known/security.txt", CARSALES).text == "Contact: us"
    assert sites.get("/.htpasswd", CARSALES).status == 404
    assert sites.get("/hello", CARSALES).status == 502


def test_restart_and_reload_lose_no_request(sites: Sites) -> None:
    """Not even those that nginx sends on a connection that it has kept."""
    sites.start()
    assert failures_while_rolled(sites.home, sites.port) == {}
