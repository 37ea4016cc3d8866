"""HTTPS as clients see it: one server, with several certificates and a port for plain HTTP."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from https import answer, dial, fetch, names_shown, trusting, write_pem
from operator_session import Home, free_port
from served import Client, Server

from skitaid.workers.web.tls import name_for

APP = """\
import os

from skitai.server import ssgi

app = ssgi.Application(__name__)
app.use_session (True)


@app.route("/")
def index(was):
    was.session["seen"] = 1
    return [os.getpid(), was.request.url]


@app.route("/stream")
def stream(was):
    def pieces():
        yield "one"
        yield "two"
    return pieces()
"""

SECTION = """\
[certification]
certfile = first.pem, second.pem
keyfile = first.pem, second.key
cafile = between.pem
"""


@dataclass(frozen=True)
class Site:
    server: Server
    plain: Client  # of redirect_port
    context: ssl.SSLContext
    root: Path  # PEM of the authority

    @property
    def port(self) -> int:
        return self.server.port


@pytest.fixture(scope="module")
def site(shared_home: Home) -> Site:
    root = trustme.CA()
    between = root.create_child_ca()
    certificates = shared_home.etc / "cert"
    write_pem(certificates / "first.pem", root.issue_cert("localhost", "a.example"))
    second = between.issue_cert("b.example", "*.wild.example", "a.example")
    (certificates / "second.pem").write_bytes(second.cert_chain_pems[0].bytes())
    (certificates / "second.key").write_bytes(second.private_key_pem.bytes())
    (certificates / "between.pem").write_bytes(between.cert_pem.bytes() + root.cert_pem.bytes())
    (shared_home.root / "root.pem").write_bytes(root.cert_pem.bytes())
    redirect = free_port()
    more = (
        f"ssl = yes\nredirect_port = {redirect}\nhsts = 1h includeSubDomains\nheader_timeout = 1\n"
        "max_header_size = 1k"
    )
    server = shared_home.serve(
        "web", apps={"webapp.py": APP}, more=more, sections=SECTION, processes=2
    )
    return Site(server, Client(redirect), trusting(root), shared_home.root / "root.pem")


# What goes wrong


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(site: Site) -> None:
    """A client that knows nothing newer than TLS 1.1 does not get in."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        dial(site.port, old)


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "AES256-SHA"])
def test_ciphers_that_age_badly_are_refused(site: Site, cipher: str) -> None:
    """Those without forward secrecy, and those that do not authenticate what they encrypt."""
    weak = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    weak.load_verify_locations(site.root)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    dial(site.port, weak).close()
    weak.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        dial(site.port, weak)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_a_client_may_not_renegotiate(site: Site) -> None:
    """Each time would cost us far more than it."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-tls1_2"]
    ran = subprocess.run(command, input="R\n", capture_output=True, text=True, timeout=60)
    assert "RENEGOTIATING" in ran.stdout + ran.stderr
    assert "no renegotiation" in ran.stderr


def test_plain_http_where_https_is_spoken_ends_the_connection(site: Site) -> None:
    """Nothing is answered that one could read."""
    with site.server.raw() as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = stream.makefile("rb").read()
    assert not heard.startswith(b"HTTP")


def test_a_client_that_stops_in_its_handshake_is_cut_off(site: Site) -> None:
    """After header_timeout; others are served meanwhile."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as idle:
        idle.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert fetch(site.port, site.context).status == 200
        assert idle.recv(1) == b""


def test_a_client_of_another_authority_does_not_believe_us(site: Site) -> None:
    """And is told apart from others by nothing."""
    with pytest.raises(ssl.SSLCertVerificationError):
        dial(site.port, trusting(trustme.CA()))
    assert fetch(site.port, site.context).status == 200


def test_http_without_a_host_is_not_sent_anywhere(site: Site) -> None:
    """Nor is what is no path of ours."""
    for start in (b"GET / HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n"):
        with site.plain.raw() as stream:
            stream.sendall(start + b"Connection: close\r\n\r\n")
            head = stream.makefile("rb").read()
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"Location" not in head


# What goes well


def test_http_1_1_is_agreed_on(site: Site) -> None:
    """With a client that would rather have HTTP/2, by TLS 1.3; others get TLS 1.2."""
    modern = ssl.create_default_context(cafile=str(site.root))
    modern.set_alpn_protocols(["h2", "http/1.1"])
    with dial(site.port, modern) as stream:
        assert (stream.selected_alpn_protocol(), stream.version()) == ("http/1.1", "TLSv1.3")
    modern.maximum_version = ssl.TLSVersion.TLSv1_2
    with dial(site.port, modern) as stream:
        assert stream.version() == "TLSv1.2"
        assert answer(stream).json()[1] == "https://localhost/"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("b.example", "b.example"),
        ("B.Example", "b.example"),
        ("any.wild.example", "b.example"),
        ("a.example", "localhost"),  # both are for it; the first in the conf counts
        ("deeper.any.wild.example", "localhost"),  # a star stands for one label
        ("elsewhere.example", "localhost"),
    ],
)
def test_the_certificate_is_that_of_the_host(site: Site, host: str, name: str) -> None:
    """By SNI; and each comes with what stands between it and the root."""
    anyone = ssl.create_default_context(cafile=str(site.root))
    anyone.check_hostname = False
    assert name in names_shown(site.port, anyone, host)


def test_a_name_counts_before_a_star() -> None:
    """Whichever certificate it is in."""
    assert name_for("a.b", {"*.b"}, {"a.b"}) == "a.b"
    assert name_for("x.b", {"*.b"}, {"a.b"}) == "*.b"
    assert name_for("b", {"*.b"}) == ""
    assert name_for("", {"*."}, {"a.b"}) == "*."  # what no certificate is for


def test_the_root_is_not_sent(site: Site) -> None:
    """Who verifies has it; the one between is sent."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-showcerts"]
    ran = subprocess.run(
        [*command, "-servername", "b.example"], input="", capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.count("BEGIN CERTIFICATE") == 2


def test_sessions_resume_at_any_worker(site: Site) -> None:
    """Tickets are sealed with keys that all workers have."""
    context = ssl.create_default_context(cafile=str(site.root))
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the ticket comes with the handshake
    with dial(site.port, context) as stream:
        session, pids = stream.session, {answer(stream).json()[0]}
    held = []
    while len(pids) < 2:
        stream = dial(site.port, context, session=session)
        held.append(stream)  # so that the other worker is the less loaded one
        assert stream.session_reused
        pids.add(answer(stream).json()[0])
    for stream in held:
        stream.close()


def test_all_responses_tell_browsers_to_stay_with_https(site: Site) -> None:
    """Pages, streams, errors and refusals; also the second on a connection."""
    value = "max-age=3600; includeSubDomains"
    with dial(site.port, site.context) as stream:
        for path, status in (("/", 200), ("/stream", 200), ("/none", 404), ("/", 200)):
            reply = answer(stream, path)
            assert reply.status == status
            assert reply.headers.get_all("Strict-Transport-Security") == [value]
        refused = answer(stream, fields={"X": "a" * 5000})
    assert (refused.status, refused.headers["Strict-Transport-Security"]) == (431, value)


def test_plain_http_is_sent_to_the_same_url(site: Site) -> None:
    """By 301, or 308 where a method other than GET must stay; HSTS is not for there."""
    tail = "" if site.port == 443 else f":{site.port}"
    for method, host, status in (
        ("GET", "a.example", 301),
        ("HEAD", "a.example:80", 301),
        ("POST", "a.example:8080", 308),
        ("GET", "[::1]", 301),
        ("GET", "[::1]:80", 301),
    ):
        reply = site.plain.request(method, "/a%2fb?c=d&e", headers={"Host": host})
        name = "[::1]" if host.startswith("[") else "a.example"
        assert reply.status == status
        assert reply.headers["Location"] == f"https://{name}{tail}/a%2fb?c=d&e"
        assert "Strict-Transport-Security" not in reply.headers


def test_session_cookies_come_back_by_tls_only(site: Site) -> None:
    """They say Secure."""
    assert "Secure" in fetch(site.port, site.context).headers["Set-Cookie"]
