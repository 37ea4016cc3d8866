"""`proxy_protocol = yes`: whose connection begins with a header, and who the client is then."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

import pytest
import trustme
from https import answer, trusting, write_pem
from operator_session import Home
from served import Server
from waits import PATIENCE

APP = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/")
def index(was):
    return [was.request.remote_addr, was.request.scheme, was.request.host]
"""

HEADER = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
ASK = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n"
PROXY, OTHER = "127.0.0.1", "127.0.0.2"  # where clients connect from


@dataclass(frozen=True)
class Site:
    plain: Server
    secure: Server
    context: ssl.SSLContext

    def dial(self, server: Server, source: str) -> socket.socket:
        address = ("127.0.0.1", server.port)
        return socket.create_connection(address, PATIENCE, source_address=(source, 0))

    def ask(self, source: str, header: bytes, fields: str = "") -> bytes:
        """The answer of the plain server, all of it."""
        with self.dial(self.plain, source) as stream:
            stream.sendall(header + ASK + fields.encode() + b"\r\n")
            return stream.makefile("rb").read()


@pytest.fixture(scope="module")
def site(shared_home: Home) -> Site:
    authority = trustme.CA()
    write_pem(shared_home.etc / "cert/web.pem", authority.issue_cert("localhost"))
    more = f"trusted_proxies = {PROXY}\nproxy_protocol = yes\nheader_timeout = 1"
    section = "[certification]\ncertfile = web.pem"
    plain = shared_home.serve("plain", apps={"webapp.py": APP}, more=more)
    secure = shared_home.serve(
        "secure", apps={"webapp.py": APP}, more=f"{more}\nssl = yes", sections=section
    )
    return Site(plain, secure, trusting(authority))


# What goes wrong


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4 6.6.6.6\r\n", b"\x00"])
def test_a_proxy_that_sends_none_is_not_heard(site: Site, header: bytes) -> None:
    """Nothing is answered."""
    with site.dial(site.plain, PROXY) as stream:
        stream.sendall(header + ASK + b"\r\n")
        try:
            heard = stream.recv(1)
        except ConnectionResetError:  # it has not read all of it
            heard = b""
    assert heard == b""
    site.plain.wait_log("127.0.0.1 is to begin with a PROXY header")


def test_a_header_that_does_not_come_is_not_waited_for(site: Site) -> None:
    """No longer than for a request's; and others are served meanwhile."""
    with site.dial(site.plain, PROXY) as stream:
        stream.sendall(HEADER[:-1])
        assert b"192.0.2.7" in site.ask(PROXY, HEADER)
        assert stream.recv(1) == b""


@pytest.mark.parametrize("header", [HEADER, LOCAL])
def test_a_client_that_is_no_proxy_cannot_say_who_it_is(site: Site, header: bytes) -> None:
    """Its header is a request that makes no sense."""
    assert site.ask(OTHER, header).startswith(b"HTTP/1.1 400 ")


def test_what_the_client_behind_it_says_of_itself_is_not_believed(site: Site) -> None:
    """It has come through a proxy of ours, but is none."""
    forged = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
    assert site.ask(PROXY, HEADER, forged).endswith(b'["192.0.2.7","http","a.example"]')


# What goes well


def test_who_comes_without_a_proxy_is_served(site: Site) -> None:
    """As ever, and as himself."""
    assert site.ask(OTHER, b"").endswith(b'["127.0.0.2","http","a.example"]')


def test_what_the_proxy_asks_for_itself_comes_from_it(site: Site) -> None:
    """And it is still believed when it speaks for others."""
    assert site.ask(PROXY, LOCAL).endswith(b'["127.0.0.1","http","a.example"]')
    named = site.ask(PROXY, LOCAL, "X-Forwarded-For: 192.0.2.9\r\n")
    assert named.endswith(b'["192.0.2.9","http","a.example"]')


def test_two_proxies_in_a_row(site: Site) -> None:
    """Whom the header names may be a trusted one, which then says for whom it asks."""
    header = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
    told = site.ask(PROXY, header, "X-Forwarded-For: 192.0.2.9\r\n")
    assert told.endswith(b'["192.0.2.9","http","a.example"]')


def test_the_header_is_read_before_the_handshake(site: Site) -> None:
    """Whole or in pieces; it holds for all requests of the connection."""
    for pieces in ([HEADER], [HEADER[:3], HEADER[3:20], HEADER[20:]]):
        stream = site.dial(site.secure, PROXY)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            stream.sendall(piece)
        with site.context.wrap_socket(stream, server_hostname="localhost") as tunnel:
            for _ in range(2):
                assert answer(tunnel).json() == ["192.0.2.7", "https", "localhost"]
