"""Who sends a request that came through proxies: whom to believe, and how far."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from typing import Any

import pytest
import trustme
from fake_client import FakeClient
from hypothesis import given
from hypothesis import strategies as st
from operator_session import Home
from served import Server
from waits import PATIENCE

from skitai.caller import Caller
from skitaid.workers.web.forwarded import NOBODY, Proxies

PROXIES = Proxies(["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48", "unix:"])
DIRECT = Caller("127.0.0.1")
Lines = list[tuple[bytes, bytes]]


def lines(*fields: tuple[str, str]) -> Lines:
    return [(name.encode(), value.encode("latin-1")) for name, value in fields]


def caller(*fields: tuple[str, str], direct: Caller = DIRECT) -> Caller:
    return PROXIES.caller(direct, lines(*fields))


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("10.255.0.1", True),
        ("2001:db8:1::5", True),
        ("", True),
        ("127.0.0.2", False),
        ("11.0.0.1", False),
        ("2001:db8:2::5", False),
    ],
)
def test_who_is_trusted(address: str, is_trusted: bool) -> None:
    """Addresses and networks of the conf, and whoever comes by a unix socket."""
    assert (PROXIES.speaking(address) is not None) is is_trusted


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", ""])
def test_nobody_is_trusted_by_default(address: str) -> None:
    """Not even this machine."""
    assert NOBODY.speaking(address) is None


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7, 10.1.1.1, 10.2.2.2", "192.0.2.7"),
        ("10.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("  192.0.2.7  ", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:0DB8:0::0007", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, ::ffff:10.1.1.1", "6.6.6.6"),
        ("6.6.6.6, unknown", "127.0.0.1"),
        ("6.6.6.6, _hidden, 10.1.1.1", "10.1.1.1"),
        ("6.6.6.6, proxy.example.com", "127.0.0.1"),
        ("6.6.6.6, 192.0.2.300", "127.0.0.1"),
        ("6.6.6.6, fe80::1%eth0 or any text", "127.0.0.1"),
        ("6.6.6.6,", "127.0.0.1"),
        ("6.6.6.6,,10.1.1.1", "10.1.1.1"),
        ("", "127.0.0.1"),
        (",", "127.0.0.1"),
    ],
)
def test_address(sent: str, address: str) -> None:
    """The first from the right that is not of our own; nothing is believed beyond a fault."""
    assert caller(("X-Forwarded-For", sent)).address == address


def test_several_lines_are_one_list() -> None:
    """A proxy may add a line of its own below the client's."""
    fields = [("X-Forwarded-For", "6.6.6.6"), ("Host", "a"), ("x-forwarded-for", "192.0.2.7")]

    assert caller(*fields).address == "192.0.2.7"


@pytest.mark.parametrize(
    ("sent", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http", "http"),
        ("https, http", "http"),
        ("http, https ", "https"),
        ("ftp", "http"),
        ("", "http"),
        ("https,", "http"),
    ],
)
def test_scheme(sent: str, scheme: str) -> None:
    """The last value; what is no scheme leaves that of the connection."""
    assert caller(("X-Forwarded-Proto", sent)).scheme == scheme


def test_scheme_of_the_connection() -> None:
    """It counts when nobody says otherwise, and a proxy that asks by TLS can say otherwise."""
    direct = Caller("127.0.0.1", "https")

    assert caller(("X-Forwarded-For", "192.0.2.7"), direct=direct).scheme == "https"
    assert caller(("X-Forwarded-Proto", "http"), direct=direct).scheme == "http"


@pytest.mark.parametrize(
    ("sent", "host"),
    [
        ("example.com", "example.com"),
        ("example.com:8443", "example.com:8443"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("evil.example, example.com", "example.com"),
        ("example.com/path", ""),
        ("user@example.com", ""),
        ("exam ple.com", ""),
        ("example.com:http", ""),
        ('"example.com"', ""),
        ("", ""),
    ],
)
def test_host(sent: str, host: str) -> None:
    """The last value; what is no host leaves the Host field."""
    assert caller(("X-Forwarded-Host", sent)).host == host


def test_nothing_forwarded() -> None:
    """The proxy asks for itself, as for a health check."""
    assert caller(("Host", "a"), ("X-Forwarded", "for=6.6.6.6")) is DIRECT


FORWARDED = [
    ("for=192.0.2.7", ("192.0.2.7", "http", "")),
    ("For=192.0.2.7;Proto=HTTPS;Host=a.example;by=10.0.0.1", ("192.0.2.7", "https", "a.example")),
    ('for="[2001:db8::7]:4711"', ("2001:db8::7", "http", "")),
    ('for="192.0.2.7:4711"; proto=https', ("192.0.2.7", "https", "")),
    ("for=2001:db8::7", ("2001:db8::7", "http", "")),
    (r'for="192.0.2\.7"', ("192.0.2.7", "http", "")),
    ("for=6.6.6.6;proto=https, for=192.0.2.7", ("192.0.2.7", "http", "")),
    ("for=192.0.2.7;proto=https;host=a, for=10.1.1.1;host=b", ("192.0.2.7", "https", "a")),
    ("for=6.6.6.6, for=unknown;proto=https", ("127.0.0.1", "https", "")),
    ("for=6.6.6.6, for=_hidden;host=a, for=10.1.1.1", ("10.1.1.1", "http", "a")),
    ("for=6.6.6.6, proto=https", ("127.0.0.1", "https", "")),
    ('for=6.6.6.6, for=192.0.2.7;x=", for=6.6.6.6"', ("192.0.2.7", "http", "")),
    (r'for=6.6.6.6, for=192.0.2.7;x="\",for=6.6.6.6"', ("192.0.2.7", "http", "")),
    ('for="6.6.6.6, for=192.0.2.7', ("192.0.2.7", "http", "")),
    ('for=" , for="192.0.2.7"', ("192.0.2.7", "http", "")),
    ("for=6.6.6.6, for = 192.0.2.7", ("127.0.0.1", "http", "")),
    ("for=6.6.6.6, 192.0.2.7", ("127.0.0.1", "http", "")),
    ("for=6.6.6.6,", ("127.0.0.1", "http", "")),
    ("", ("127.0.0.1", "http", "")),
    ('"', ("127.0.0.1", "http", "")),
]


@pytest.mark.parametrize(("sent", "known"), FORWARDED, ids=[sent for sent, _ in FORWARDED])
def test_forwarded(sent: str, known: tuple[str, str, str]) -> None:
    """RFC 7239: the element that names the client says how and what it has asked, too."""
    assert caller(("Forwarded", sent)) == Caller(*known)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"])
def test_forwarded_beside_another(name: str) -> None:
    """It may be the client's own, as a proxy that writes the others does not look at it."""
    told = caller(("Forwarded", "for=6.6.6.6;proto=https;host=evil"), (name, ""))

    assert told == DIRECT


ADDRESSES = st.ip_addresses().map(str)
NODES = st.one_of(ADDRESSES, st.text(max_size=9), st.sampled_from(["unknown", '"', "10.1.1.1"]))


@given(st.lists(NODES), ADDRESSES, st.lists(st.sampled_from(["10.1.1.1", "127.0.0.1"])))
def test_what_a_client_invents_is_never_believed(
    invented: list[str], client: str, proxies: list[str]
) -> None:
    """Whatever stands left of what our proxies wrote, they name the one who asked the first."""
    address = PROXIES.caller(DIRECT, lines(("X-Forwarded-For", client))).address
    if PROXIES.speaking(address) is not None:
        return  # the client is in our own network: then it is a proxy as well
    text = ",".join([*invented, client, *proxies]).encode("latin-1", "replace").decode("latin-1")
    assert caller(("X-Forwarded-For", text)).address == address

    element = [f'for="{node}"' for node in (client, *proxies)]
    text = ",".join([*invented, *element]).encode("latin-1", "replace").decode("latin-1")
    assert caller(("Forwarded", text)).address == address


@given(st.text(st.characters(max_codepoint=255)))
def test_any_text(text: str) -> None:
    """Whatever is sent, there is an address, a scheme, and a host or none."""
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"):
        told = caller((name, text))
        assert told.address
        assert told.scheme in ("http", "https")
        assert not set(told.host) & set(' /@"\r\n')


@pytest.mark.parametrize("text", [",a" * 30_000, ',a="' * 16_000, "for=10.1.1.1," * 5_000 + "!"])
def test_long_lists(text: str) -> None:
    """As long as a header may be: they are read, not pondered."""
    for name in ("X-Forwarded-For", "Forwarded"):
        assert caller((name, text)) == DIRECT


# on a connection


def asked(proxies: Proxies, *fields: str) -> Any:
    """The request that a client at 192.0.2.1 sends with these fields, whole and byte by byte."""
    made = []
    for bytewise in (False, True):
        client = FakeClient(proxies=proxies)
        head = ["GET /a HTTP/1.1", "Host: b", *fields]
        client.send("\r\n".join([*head, "", ""]).encode(), bytewise)
        made.append(client.site.seen[0])
    first, second = made
    assert first.caller == second.caller
    return first


FIELDS = ("X-Forwarded-For: 198.51.100.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop")


def test_proxy_that_is_not_trusted() -> None:
    """Its fields are those of any client: it could as well be the client itself."""
    request = asked(Proxies(["192.0.2.2"]), *FIELDS)

    assert (request.remote_addr, request.scheme, request.host) == ("192.0.2.1", "http", "b")


def test_proxy_that_is_trusted() -> None:
    """The request is as the client has sent it to the proxy."""
    request = asked(Proxies(["192.0.2.0/24"]), *FIELDS)

    assert (request.remote_addr, request.scheme, request.host) == ("198.51.100.9", "https", "shop")
    assert request.url == "https://shop/a"


# on a server

APP = """
from skitai.server import ssgi

app = ssgi.Application(__name__)
app.use_session(True)


@app.route("/")
def index(was):
    was.cookie.set("a", "b")
    was.session["a"] = "b"
    request = was.request
    return [
        request.remote_addr, request.scheme, request.host,
        was.env.REMOTE_ADDR, was.env.get("HTTPS"), was.env.SERVER_NAME,
    ]
"""


def serve(home: Home, more: str) -> Server:
    return home.serve("web", apps={"webapp.py": APP}, more=more)


def sent_with(server: Server) -> tuple[list[Any], list[bool]]:
    """What the app says, and whether each cookie is Secure."""
    fields = dict(line.split(": ") for line in FIELDS)
    reply = server.get("/", fields)
    cookies = reply.headers.get_all("Set-Cookie") or []
    return reply.json(), ["Secure" in line for line in cookies]


def test_server_behind_a_proxy(home: Home) -> None:
    """Handlers, cookies, sessions, the environment and the access log agree on who asks."""
    server = serve(home, "trusted_proxies = 127.0.0.1")
    told, secure = sent_with(server)

    assert told == ["198.51.100.9", "https", "shop", "198.51.100.9", "on", "shop"]
    assert secure == [True, True]
    server.stop()
    assert " 198.51.100.9 GET / " in (server.run_dir / "logs/request.log").read_text()


def test_server_that_trusts_nobody(home: Home) -> None:
    """That is the default."""
    server = serve(home, "")
    told, secure = sent_with(server)

    host = f"127.0.0.1:{server.port}"
    assert told == ["127.0.0.1", "http", host, "127.0.0.1", None, "127.0.0.1"]
    assert secure == [False, False]
    server.stop()
    assert " 127.0.0.1 GET / " in (server.run_dir / "logs/request.log").read_text()


def test_server_with_tls(home: Home) -> None:
    """Without any proxy the scheme is that of the connection."""
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        home.etc / "cert/web.pem"
    )
    apps = {"webapp.py": APP}
    section = "[certification]\ncertfile = web.pem"
    server = home.serve("web", apps=apps, more="ssl = yes", sections=section)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connection = http.client.HTTPSConnection(
        "localhost", server.port, timeout=PATIENCE, context=context
    )
    with closing(connection):
        connection.request("GET", "/", headers={"X-Forwarded-Proto": "http"})
        reply = connection.getresponse()
        told = json.loads(reply.read())
    assert told[1::3] == ["https", "on"]
    assert all("Secure" in line for line in reply.headers.get_all("Set-Cookie") or [""])
