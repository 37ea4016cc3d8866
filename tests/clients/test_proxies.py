"""Servers named by a URL, asked by the proxy of the environment."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import pytest
import trustme
from asking import exchange, on_uvloop, until
from fault_server import Board, FaultServer, Seen, Talk, refusing_port, response
from fetching import get
from tcp_proxy import TcpProxy

from skitai.engine import Origin
from skitai.results import Status
from skitaid.workers.clients import proxy
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.clients.proxy import Proxies, Proxy

PLAIN = Origin("www.example.com", 80, tls=False)
SECURE = Origin("www.example.com", 443, tls=True)
SET = {"http_proxy": "http://p1:3128", "https_proxy": "http://p2"}


def proxies(**more: str) -> Proxies:
    return proxy.from_environment({**SET, **more})


# --- what the environment says ---


@pytest.mark.parametrize(
    "url", ["socks5://p1:1080", "https://p1", "http://", "http://p1:port", "http://[p1"]
)
@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy"])
def test_what_is_no_http_proxy_is_told(variable: str, url: str) -> None:
    """Without its value, which may hold a password."""
    said = f"^{variable} of the environment is not of the form http://host:port$"
    with pytest.raises(ValueError, match=said):
        proxies(**{variable: url})


@pytest.mark.parametrize(
    ("environ", "plain", "secure"),
    [
        ({}, None, None),
        (SET, ("p1", 3128), ("p2", 80)),
        ({"http_proxy": "p1:3128"}, ("p1", 3128), None),
        ({"HTTPS_PROXY": "http://p2"}, None, ("p2", 80)),
        ({"HTTP_PROXY": "http://evil"}, None, None),
        ({"HTTPS_PROXY": "http://p2", "https_proxy": ""}, None, None),
        ({"http_proxy": "http://[::1]:8080/"}, ("::1", 8080), None),
    ],
)
def test_each_scheme_has_its_proxy(
    environ: Mapping[str, str], plain: tuple[str, int] | None, secure: tuple[str, int] | None
) -> None:
    """Upper case counts where lower case is not set; HTTP_PROXY never does (CVE-2016-5385)."""
    found = proxy.from_environment(environ)
    for origin, expected in ((PLAIN, plain), (SECURE, secure)):
        one = found.of(origin)
        assert (one and (one.host, one.port)) == expected


def test_a_proxy_may_want_a_password() -> None:
    """User and password, percent-encoded in the URL."""
    one = proxies(http_proxy="http://me:p%40ss@p1:3128").of(PLAIN)
    assert one == Proxy("p1", 3128, b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n")


@pytest.mark.parametrize(
    ("no_proxy", "is_direct"),
    [
        ("", False),
        ("*", True),
        ("www.example.com", True),
        ("WWW.Example.COM", True),
        ("other.org, example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("ample.com", False),
        ("www.example.com.evil.org", False),
        ("www.example.com:80", True),
        ("www.example.com:81", False),
    ],
)
def test_some_servers_are_asked_directly(no_proxy: str, is_direct: bool) -> None:
    """A name stands for its domain, a port for itself."""
    assert (proxies(no_proxy=no_proxy).of(PLAIN) is None) == is_direct


@pytest.mark.parametrize("host", ["localhost", "my.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_asked_directly(host: str) -> None:
    """Whatever the environment says."""
    assert proxies().of(Origin(host, 80, tls=False)) is None


# --- asked by a proxy ---


def told(board: Board, talk: Talk, request: Seen) -> bool:
    """The request as the proxy has it."""
    fields = "".join(f"{name}: {value}\n" for name, value in request.fields.items())
    talk.send(response(f"{request.method} {request.path}\n{fields}".encode()))
    return True


@pytest.mark.parametrize(("port", "named"), [(80, "s1.example"), (8080, "s1.example:8080")])
@on_uvloop
async def test_http_is_asked_for_by_the_proxy(port: int, named: str) -> None:
    """Its request line names the server (RFC 9112 section 3.2.2); connections are kept."""
    with FaultServer({"*": told}) as middle:
        by = Proxy("127.0.0.1", middle.port, b"")
        keeper = keeper_of(Address("s1.example", port, proxy=by))
        for _ in range(2):
            outcome = await exchange(keeper, get("/path?a=1"))
            assert outcome.body.decode() == f"GET http://{named}/path?a=1\nhost: {named}\n"
        assert middle.board.accepted == 1
        await close(keeper)


@on_uvloop
async def test_the_proxy_is_told_the_password_by_each_request() -> None:
    """Of plain HTTP, which has no CONNECT to tell it by."""
    login = b"Proxy-Authorization: Basic eDp5\r\n"
    with FaultServer({"*": told}) as middle:
        keeper = keeper_of(Address("s1.example", 80, proxy=Proxy("127.0.0.1", middle.port, login)))
        for _ in range(2):
            outcome = await exchange(keeper, get("/"))
            assert "proxy-authorization: Basic eDp5\n" in outcome.body.decode()
        await close(keeper)


@on_uvloop
async def test_a_proxy_that_refuses_is_named() -> None:
    """Beside the server that was to be asked."""
    with refusing_port() as sock:
        by = Proxy("127.0.0.1", sock.getsockname()[1], b"")
        outcome = await exchange(keeper_of(Address("s1.example", 80, proxy=by)), get("/"))
        assert outcome.status is Status.NOT_CONNECTED
        said = f"no connection to s1.example:80: the proxy {by.node}: connection refused"
        assert outcome.msg.startswith(f"{said}, after ")


@on_uvloop
async def test_https_goes_through_the_proxy() -> None:
    """By CONNECT; what is said is for the server's eyes alone, whose certificate counts."""
    authority = trustme.CA()
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("s1.example").configure_cert(inside)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    login = b"Proxy-Authorization: Basic eDp5\r\n"
    with FaultServer(tls=inside) as server, TcpProxy(server.port, wants_connect=True) as way:
        by = Proxy("127.0.0.1", way.port, login)
        keeper = keeper_of(Address("s1.example", 443, tls=trusting, proxy=by))
        for _ in range(2):
            outcome = await exchange(keeper, get("/path"))
            assert (outcome.status, outcome.body) == (Status.NORMAL, b"/path")
        start = b"CONNECT s1.example:443 HTTP/1.1\r\nHost: s1.example:443\r\n"
        assert way.connects == [start + login + b"\r\n"]
        assert server.seen[0].fields == {"host": "s1.example"}
        await close(keeper)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused CONNECT: HTTP/1.1 407 "),
        (b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno!", "refused CONNECT: HTTP/1.1 403 No"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "refused CONNECT: 220 mail"),
        (b"HTTP/1.1 200 OK\r\n", "did not answer CONNECT as HTTP wants it"),
        (b"x" * 20_000, "did not answer CONNECT as HTTP wants it"),
    ],
)
@on_uvloop
async def test_a_proxy_that_does_not_let_us_through_is_status_0(answer: bytes, said: str) -> None:
    """The sentence has its answer."""
    with TcpProxy(0, wants_connect=True, answer=answer) as way:
        by = Proxy("127.0.0.1", way.port, b"")
        address = Address("s1.example", 443, tls=ssl.create_default_context(), proxy=by)
        keeper = keeper_of(address)
        outcome = await exchange(keeper, get("/"))
        assert outcome.status is Status.NOT_CONNECTED
        start = f"no connection to s1.example:443: the proxy {by.node} "
        assert outcome.msg.startswith(start + said)
        assert keeper.pool.size == 0


def keeper_of(address: Address) -> ConnectionKeeper:
    return ConnectionKeeper(asyncio.get_running_loop(), address, 1)


async def close(keeper: ConnectionKeeper) -> None:
    keeper.close()
    await until(lambda: keeper.pool.size == 0)
