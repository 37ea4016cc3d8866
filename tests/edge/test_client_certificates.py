"""Clients that show who they are: `client_ca`."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from https import dial, fetch, trusting, write_pem
from operator_session import Home
from served import Server

APP = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/")
def index(was):
    names = ("SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN", "SSL_CLIENT_I_DN", "SSL_CLIENT_M_SERIAL")
    return [was.env.get(name) for name in names]
"""


class Site:
    """Two servers of one certificate: one wants a client to show his, the other lets him."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.ours, self.clients, self.chain = trustme.CA(), trustme.CA(), trustme.CA()
        between = self.chain.create_child_ca()
        write_pem(home.etc / "cert/web.pem", between.issue_cert("localhost"))
        (home.etc / "cert/between.pem").write_bytes(between.cert_pem.bytes())
        self.between = between
        self.clients.cert_pem.write_to_path(str(home.etc / "cert/clients.pem"))
        self.required = self._serve("required", "")
        self.optional = self._serve("optional", "client_cert = optional")

    def _serve(self, name: str, line: str) -> Server:
        section = (
            "[certification]\ncertfile = web.pem\ncafile = between.pem\n"
            f"client_ca = clients.pem\n{line}"
        )
        return self.home.serve(name, apps={"webapp.py": APP}, more="ssl = yes", sections=section)

    def client(self, authority: trustme.CA | None = None) -> ssl.SSLContext:
        """One that shows a certificate of the authority, or none."""
        context = trusting(self.chain)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # then a refusal comes in the handshake
        if authority is not None:
            authority.issue_cert("alice@clients.example", common_name="alice").configure_cert(
                context
            )
        return context


@pytest.fixture(scope="module")
def site(shared_home: Home) -> Site:
    return Site(shared_home)


def test_who_shows_none_does_not_get_in(site: Site) -> None:
    """That is what client_ca means unless the conf says otherwise."""
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        dial(site.required.port, site.client())


@pytest.mark.parametrize("name", ["required", "optional"])
def test_a_wrong_one_does_not_get_in(site: Site, name: str) -> None:
    """Neither of an authority that nobody knows, nor of one that is in our own chain only."""
    for authority in (trustme.CA(), site.between, site.chain):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            dial(getattr(site, name).port, site.client(authority))


def test_who_may_show_none_is_nobody(site: Site) -> None:
    """The app is told nothing, whatever the client writes into its header."""
    assert fetch(site.optional.port, site.client()).json() == [None] * 4


@pytest.mark.parametrize("name", ["required", "optional"])
def test_the_app_is_told_who_it_is(site: Site, name: str) -> None:
    """With the names that Apache has for it."""
    told = fetch(getattr(site, name).port, site.client(site.clients)).json()
    assert told[0] == "SUCCESS"
    assert "CN=alice" in told[1]
    assert "trustme" in told[2]
    assert int(told[3], 16) > 0


def test_a_session_that_is_resumed_is_still_the_client_s(site: Site) -> None:
    """The certificate is in what the ticket seals."""
    context = site.client(site.clients)
    with dial(site.required.port, context) as stream:
        session = stream.session
    with dial(site.required.port, context, session=session) as stream:
        assert stream.session_reused
        stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"CN=alice" in stream.makefile("rb").read()


def test_client_cert_without_authorities_is_a_mistake(site: Site, tmp_path: Path) -> None:
    """Whoever writes it believes that somebody is kept out."""
    section = "[certification]\ncertfile = web.pem\nclient_cert = required"
    site.home.write_conf("mistaken", more="ssl = yes", sections=section)
    checked = site.home.run("check", "mistaken")
    assert checked.code == 2
    assert "client_cert: it has no effect without client_ca" in checked.err
