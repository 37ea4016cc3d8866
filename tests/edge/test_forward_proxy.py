"""A forward proxy as its clients see it: curl, requests, bare sockets; and those who may not."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import trustme
from https import write_pem
from operator_session import Home, free_port
from served import Client, Server
from waits import PATIENCE, wait_until

MEMBER = """\
import json

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/echo")
def echo(was, **args):
    body = was.request.get_body() or b""
    return [was.request.method, was.request.uri, was.request.get_raw_header(), len(body)]


@app.route("/big")
def big(was):
    def pieces():
        for _ in range(64):
            yield b"x" * 65536
    was.response ["Content-Type"] = "application/octet-stream"
    return pieces()


@app.route("/away")
def away(was):
    was.response.start (302)
    was.response ["Location"] = "https://" + was.request.get_header ("host") + "/echo"
    return ""


@app.route("/upload", methods = ["PUT"])
def upload(was):
    return str(len(was.request.get_body()))
"""

OWN = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hello")
def hello(was):
    return "hello from the proxy itself"
"""


@dataclass(frozen=True)
class Site:
    """proxy: reaches this machine, by its conf. strict: does not, and is the default but for that.
    locked: wants a password. sealed: is asked by HTTPS.
    """

    plain: Server
    secure: Server
    proxy: Server
    strict: Server
    locked: Server
    sealed: Server
    authority: Path  # PEM

    def url(self, path: str = "/echo") -> str:
        return f"http://127.0.0.1:{self.plain.port}{path}"

    def secure_url(self, path: str = "/echo") -> str:
        return f"https://localhost:{self.secure.port}{path}"


@pytest.fixture(scope="module")
def site(shared_home: Home) -> Site:
    authority = trustme.CA()
    write_pem(shared_home.etc / "cert/web.pem", authority.issue_cert("localhost", "127.0.0.1"))
    pem = shared_home.root / "ca.pem"
    pem.write_bytes(authority.cert_pem.bytes())
    shared_home.write_app("member.py", MEMBER)
    member = "/ = {app}/member"
    plain = shared_home.serve("plain", apps={"own.py": OWN}, routes=member)
    section = "[certification]\ncertfile = web.pem"
    secure = shared_home.serve(
        "secure", apps={"own.py": OWN}, routes=member, more="ssl = yes", sections=section
    )
    here = f"proxy = yes\nproxy_to = 127.0.0.0/8\nproxy_connect_ports = 443, {secure.port}\n"
    own = "/ = {app}/own"
    proxy = shared_home.serve(
        "proxy", apps={"own.py": OWN}, routes=own, more=f"{here}trusted_proxies = 127.0.0.3"
    )
    strict = shared_home.serve("strict", apps={"own.py": OWN}, routes=own, more="proxy = yes")
    locked = shared_home.serve(
        "locked",
        apps={"own.py": OWN},
        routes=own,
        more=f"{here}proxy_auth = hans:secret-1 eva:secret-2\nproxy_allow = 127.0.0.0/24",
    )
    sealed = shared_home.serve(
        "sealed", apps={"own.py": OWN}, routes=own, more=f"{here}ssl = yes", sections=section
    )
    return Site(plain, secure, proxy, strict, locked, sealed, pem)


def ask(server: Server, head: str, source: str = "127.0.0.1") -> tuple[int, bytes]:
    """The status of what a client from `source` gets, and all of it, to the connection's end."""
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, PATIENCE, source_address=(source, 0)) as stream:
        stream.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        data = stream.makefile("rb").read()
    return int(data[9:12]), data


def get(url: str, *more: str) -> str:
    return "\n".join([f"GET {url} HTTP/1.1", "Host: x.example", "Connection: close", *more])


def connect(target: str, *more: str) -> str:
    return "\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *more])


def asked(server: Server) -> int:
    """How many requests it has answered."""
    return sum(worker.requests for worker in server.status().workers)


# What goes wrong


@pytest.mark.parametrize("source", ["127.0.1.1", "127.9.9.9"])
def test_who_is_not_allowed_is_refused(site: Site, source: str) -> None:
    """Both ways; the connection of CONNECT ends."""
    before = asked(site.plain)
    assert ask(site.locked, get(site.url()), source)[0] == 403
    assert ask(site.locked, connect(f"127.0.0.1:{site.secure.port}"), source)[0] == 403
    assert asked(site.plain) == before


@pytest.mark.skipif(shutil.which("ip") is None, reason="there is no ip, of iproute2")
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_a_foreign_machine_is_refused(home: Home) -> None:
    """One in a network namespace of its own, with an address that is not of this machine."""
    namespace, port = f"skitai-{free_port()}", free_port()
    commands = [
        f"ip netns add {namespace}",
        f"ip link add v{port} type veth peer name w{port} netns {namespace}",
        f"ip addr add 10.213.{port % 250}.1/30 dev v{port}",
        f"ip link set v{port} up",
        f"ip -n {namespace} addr add 10.213.{port % 250}.2/30 dev w{port}",
        f"ip -n {namespace} link set w{port} up",
    ]
    try:
        for command in commands:
            ran = subprocess.run(command.split(), capture_output=True, text=True)
            if ran.returncode:
                pytest.skip(f"no network namespace can be made here: {ran.stderr.strip()}")
        home.write_app("webapp.py", OWN)
        conf = f"[server]\nip = 10.213.{port % 250}.1\nport = {{port}}\nproxy = yes\n"
        server = home.serve(
            "web", conf + "[routes:line]\n/ = {app}/webapp", apps={"webapp.py": OWN}
        )
        url = f"http://10.213.{port % 250}.1:{server.port}"
        curl = ["ip", "netns", "exec", namespace, "curl", "-s", "-m", "30", "-w", "%{http_code}"]
        told = subprocess.run(
            [*curl, "-x", url, "http://x.example/"], capture_output=True, text=True
        )
        assert "This proxy is not for you." in told.stdout
        assert told.stdout.endswith("403")
        told = subprocess.run(
            [*curl, "-x", url, "https://x.example/"], capture_output=True, text=True
        )
        assert told.returncode == 56, told  # CONNECT was refused
        told = subprocess.run([*curl, f"{url}/hello"], capture_output=True, text=True)
        assert told.stdout == "hello from the proxy itself200"
    finally:
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


def test_a_client_cannot_pretend_to_be_another(site: Site) -> None:
    """What it says of itself is not believed; what a trusted proxy says of it is."""
    spoofed = "X-Forwarded-For: 127.0.0.1"
    assert ask(site.locked, get(site.url(), spoofed), "127.0.1.1")[0] == 403
    trusted = "127.0.0.3"
    assert ask(site.proxy, get(site.url(), "X-Forwarded-For: 192.0.2.9"), trusted)[0] == 403
    assert ask(site.proxy, get(site.url(), "X-Forwarded-For: 127.0.0.1"), trusted)[0] == 200
    # one that names nobody may ask for anybody
    assert ask(site.proxy, get(site.url()), trusted)[0] == 403


@pytest.mark.parametrize("port", [22, 25, 80, 8443])
def test_tunnels_lead_to_the_ports_of_the_conf_only(site: Site, port: int) -> None:
    """Whether anybody listens there or not."""
    status, data = ask(site.proxy, connect(f"127.0.0.1:{port}"))
    assert status == 403
    assert f"does not make tunnels to port {port}".encode() in data


def test_urls_do_not_lead_to_mail(site: Site) -> None:
    """Nor to other old services that obey lines of text."""
    for port in (1, 22, 25, 143, 1023):
        assert ask(site.proxy, get(f"http://127.0.0.1:{port}/"))[0] == 403


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0", "[::1]"),
        *("[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]"),
    ],
)
def test_private_addresses_are_refused(site: Site, host: str) -> None:
    """However they are written; both ways; the server there hears nothing of it."""
    before = asked(site.plain)
    assert ask(site.strict, get(f"http://{host}:{site.plain.port}/echo"))[0] == 403
    assert ask(site.strict, connect(f"{host}:443"))[0] == 403
    assert asked(site.plain) == before


def test_the_server_itself_is_refused(site: Site) -> None:
    """A local client would else ask in its name; where it is allowed, a loop ends."""
    url = f"http://127.0.0.1:{site.strict.port}/hello"
    assert ask(site.strict, get(url))[0] == 403
    looped = get(f"http://127.0.0.1:{site.proxy.port}/hello")
    assert ask(site.proxy, looped)[0] == 200  # its own page, as any other
    head = ask(site.proxy, get(site.url()))[1]
    via = next(line for line in head.split(b'"') if line.startswith(b"Via: 1.1 ")).decode()
    assert ask(site.proxy, get(site.url(), via))[0] == 508


@pytest.mark.parametrize(
    "given", ["", "hans:wrong", "hans:", ":secret-1", "eva:secret-1", "secret-1"]
)
def test_who_does_not_know_the_password_is_refused(site: Site, given: str) -> None:
    """Both ways, and with what is no password at all."""
    token = base64.b64encode(given.encode()).decode()
    fields = [f"Proxy-Authorization: Basic {token}"] if given else []
    for head in (get(site.url(), *fields), connect(f"127.0.0.1:{site.secure.port}", *fields)):
        status, data = ask(site.locked, head)
        assert (status, b"Proxy-Authenticate: Basic realm=" in data) == (407, True)
    for odd in ("Basic", "Basic %%%", "Bearer aGFuczpzZWNyZXQtMQ==", "Basic  "):
        assert ask(site.locked, get(site.url(), f"Proxy-Authorization: {odd}"))[0] == 407


def test_what_is_behind_a_refused_tunnel_is_no_request(site: Site) -> None:
    """It was meant for somebody else, whoever wrote it."""
    before = asked(site.proxy)
    hidden = "\n\nGET /hello HTTP/1.1\nHost: x"
    status, data = ask(site.proxy, connect("127.0.0.1:22") + hidden)
    assert (status, data.count(b"HTTP/1.1 ")) == (403, 1)
    assert asked(site.proxy) == before + 1


def test_what_is_behind_a_tunnel_to_a_path_is_no_request(site: Site) -> None:
    """CONNECT is the proxy's, whatever its target looks like; a path of ours is none."""
    head = "CONNECT /hello HTTP/1.1\nHost: x\n\nGET /hello HTTP/1.1\nHost: x\nConnection: close"
    data = ask(site.proxy, head)[1]
    assert data.count(b"HTTP/1.1 ") == data.count(b"HTTP/1.1 400") == 1


def test_a_tunnel_behind_another_request_is_refused(site: Site) -> None:
    """Its bytes may have been read already."""
    first = "GET /hello HTTP/1.1\nHost: x\n\n"
    data = ask(site.proxy, first + connect(f"127.0.0.1:{site.secure.port}"))[1]
    assert data.count(b"HTTP/1.1 200") == 1
    assert data.count(b"HTTP/1.1 400") == 1


def test_without_proxy_nothing_is_passed_on(site: Site) -> None:
    """CONNECT is refused, and a URL is one of our own."""
    assert ask(site.plain, connect(f"127.0.0.1:{site.secure.port}"))[0] == 501
    status, data = ask(site.plain, get(f"http://127.0.0.1:{site.proxy.port}/echo"))
    assert (status, b'"GET","http://127.0.0.1' in data) == (200, True)


def test_servers_that_do_not_answer_are_told(site: Site) -> None:
    """Nobody listens: 502 for a tunnel, 503 for a request; a name that is none: the same."""
    closed = free_port()
    assert ask(site.proxy, get(f"http://127.0.0.1:{closed}/"))[0] in (502, 503)
    assert ask(site.proxy, get("http://no-such-host.invalid/"))[0] in (502, 503)
    assert ask(site.proxy, connect("no-such-host.invalid:443"))[0] == 502


# What goes well


def told(data: bytes) -> list[object]:
    """What /echo has answered."""
    found: list[object] = json.loads(data[data.index(b"\r\n\r\n") + 4 :])
    return found


def test_a_url_is_passed_on_as_it_came(site: Site) -> None:
    """The server is called by the host of the URL, and is told nothing that is not for it."""
    fields = (
        *("Proxy-Authorization: Basic xxx", "Proxy-Connection: keep-alive", "X-Mine: 1"),
        *("Keep-Alive: 5", "Connection: X-Private", "X-Private: 1", "TE: trailers"),
        *("X-Forwarded-For: 198.51.100.1", "Cookie: a=b", "Authorization: Basic me"),
    )
    status, data = ask(site.proxy, get(site.url("/echo?a=%2F&b=//c"), *fields))
    assert status == 200, data
    method, uri, header, size = told(data)
    assert (method, uri, size) == ("GET", "/echo?a=%2F&b=//c", 0)
    assert isinstance(header, list)
    lower = sorted(line.lower() for line in header)
    via = [line for line in lower if line.startswith("via: 1.1 proxy-")]
    assert len(via) == 1
    assert [line for line in lower if line not in via] == [
        "authorization: basic me",
        "cookie: a=b",
        f"host: 127.0.0.1:{site.plain.port}",
        "x-forwarded-for: 198.51.100.1",
        "x-mine: 1",
    ]


def test_where_a_server_sends_the_client_stays_as_it_is(site: Site) -> None:
    """Unlike with a reverse proxy, the client has called the server by its own name."""
    _, data = ask(site.proxy, get(site.url("/away")))
    assert f"Location: https://127.0.0.1:{site.plain.port}/echo\r\n".encode() in data


def test_bodies_of_any_size_pass_both_ways(site: Site) -> None:
    """By a client that knows of proxies."""
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"http": f"http://127.0.0.1:{site.proxy.port}"}
    with closing(session):
        assert len(session.get(site.url("/big"), timeout=PATIENCE).content) == 64 * 65536
        body = b"y" * (4 * 1024 * 1024)
        assert session.put(site.url("/upload"), body, timeout=PATIENCE).text == str(len(body))
        chunked = session.put(site.url("/upload"), iter([b"a" * 1000] * 100), timeout=PATIENCE)
        assert chunked.text == "100000"


def test_requests_goes_through_a_tunnel_with_a_password(site: Site) -> None:
    """And the proxy's own pages are there as ever."""
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"https": f"http://eva:secret-2@127.0.0.1:{site.locked.port}"}
    session.verify = str(site.authority)
    with closing(session):
        for _ in range(2):
            method, uri, header, _ = session.get(site.secure_url(), timeout=PATIENCE).json()
            assert (method, uri) == ("GET", "/echo")
            assert not [line for line in header if line.lower().startswith(("proxy-", "via"))]
    assert Client(site.locked.port).get("/hello").text == "hello from the proxy itself"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("way", ["plain", "tunnel", "tunnel to plain HTTP", "https by URL"])
def test_curl(site: Site, way: str) -> None:
    """With -x, and with --proxytunnel for plain HTTP, whose port is not for tunnels here."""
    curl = ["curl", "-s", "-m", "60", "--cacert", str(site.authority), "-w", " %{http_code}"]
    proxy = ["-x", f"http://hans:secret-1@127.0.0.1:{site.locked.port}"]
    if way == "plain":
        command = [*curl, *proxy, site.url()]
    elif way == "tunnel":
        command = [*curl, *proxy, site.secure_url()]
    elif way == "https by URL":  # as the first Skitai took it
        address = f"http://127.0.0.1:{site.locked.port}/"
        password = base64.b64encode(b"hans:secret-1").decode()
        fields = ["-H", f"Proxy-Authorization: Basic {password}"]
        command = [*curl, *fields, "--request-target", "https://a.invalid/", address]
    else:
        command = [*curl, *proxy, "--proxytunnel", site.url()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if way == "tunnel to plain HTTP":
        assert ran.returncode == 56
    elif way == "https by URL":
        assert ran.stdout.endswith((" 502", " 503"))
    else:
        assert ran.stdout.startswith('["GET","/echo"')
        assert ran.stdout.endswith(" 200")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_a_proxy_that_is_asked_by_https(site: Site) -> None:
    """TLS within TLS, and plain HTTP within TLS: what the password travels by is sealed."""
    pem = str(site.authority)
    curl = ["curl", "-s", "-m", "60", "--cacert", pem, "--proxy-cacert", pem, "-w", " %{http_code}"]
    proxy = ["-x", f"https://localhost:{site.sealed.port}"]
    for url in (site.url(), site.secure_url()):
        ran = subprocess.run([*curl, *proxy, url], capture_output=True, text=True, timeout=PATIENCE)
        assert ran.stdout.startswith('["GET","/echo"'), ran
        assert ran.stdout.endswith(" 200")


def test_a_tunnel_is_bytes_both_ways(site: Site) -> None:
    """As many as they are, also those that were sent with CONNECT; the log has one line of it."""
    raw = socket.create_connection(("127.0.0.1", site.proxy.port), PATIENCE)
    with closing(raw):
        raw.sendall(
            connect(f"localhost:{site.secure.port}").replace("\n", "\r\n").encode() + b"\r\n\r\n"
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += raw.recv(1)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Content-Length" not in answer
        context = ssl.create_default_context(cafile=str(site.authority))
        with context.wrap_socket(raw, server_hostname="localhost") as tunnel:
            tunnel.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            digest, size = hashlib.sha256(), 0
            while piece := tunnel.recv(65536):
                digest.update(piece)
                size += len(piece)
    assert size > 64 * 65536
    log = site.proxy.run_dir / "logs/request.log"
    line = f" CONNECT localhost:{site.secure.port} HTTP/1.1 200 "
    wait_until(lambda: line in log.read_text(), "the line of the tunnel")


def test_a_client_that_leaves_ends_its_tunnel(site: Site) -> None:
    """The server sees that it has gone, and nothing is left of it here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        port = listener.getsockname()[1]
        head = get(f"http://127.0.0.1:{port}/").replace("Connection: close", "X: 1")
        client = socket.create_connection(("127.0.0.1", site.proxy.port), PATIENCE)
        client.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        server, _ = listener.accept()
        server.settimeout(PATIENCE)
        with closing(server):
            assert server.recv(1024).startswith(b"GET / HTTP/1.1\r\n")
            client.close()
            while server.recv(1024):
                pass


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_chromium(site: Site, tmp_path: Path) -> None:
    """It loads pages by HTTP and by HTTPS through the proxy."""
    for url in (site.url(), site.secure_url()):
        command = [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--ignore-certificate-errors", "--dump-dom"),
            *(f"--user-data-dir={tmp_path}/profile", "--proxy-bypass-list=<-loopback>"),
            *(f"--proxy-server=http://127.0.0.1:{site.proxy.port}", url),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert '"GET","/echo"' in ran.stdout
    log = (site.proxy.run_dir / "logs/request.log").read_text()
    assert f" CONNECT localhost:{site.secure.port} " in log
    assert f" GET {site.url()} " in log
