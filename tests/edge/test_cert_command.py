"""`skitaid cert`: certificates without another tool, and what is in those that there are."""

from __future__ import annotations

import ssl
import stat

import pytest
import trustme
from https import fetch
from operator_session import Home

NAMES = ("www.jeans.example", "*.jeans.example", "127.0.0.1", "::1")
SECTION = "[certification]\ncertfile = www.jeans.example.pem"


# What goes wrong


@pytest.mark.parametrize("name", ["no name", "-x.example", "a..b", "1.2.3.400", "*.*.example"])
def test_what_is_no_host_gets_none(home: Home, name: str) -> None:
    """And nothing is written."""
    ran = home.run("cert", "new", "--", name)
    assert ran.code == 1
    assert "no certificate can be for that" in ran.err
    assert list((home.etc / "cert").iterdir()) == []


def test_what_others_have_issued_stays(home: Home) -> None:
    """Somebody has paid for it, or shown that the host is his."""
    file = home.etc / "cert/www.jeans.example.pem"
    trustme.CA().issue_cert("www.jeans.example").private_key_and_cert_chain_pem.write_to_path(
        str(file)
    )
    before = file.read_bytes()
    ran = home.run("cert", "new", "www.jeans.example")
    assert ran.code == 1
    assert "was not made by this authority, so it stays" in ran.err
    assert file.read_bytes() == before


@pytest.mark.parametrize("left", ["ca.pem", "ca.key"])
def test_half_an_authority_is_not_completed(home: Home, left: str) -> None:
    """Clients that believe the old one would not believe another of its name."""
    home.run("cert", "new", "a.example")
    other = "ca.key" if left == "ca.pem" else "ca.pem"
    (home.etc / "cert" / other).unlink()
    ran = home.run("cert", "new", "a.example")
    assert (ran.code, f"{left} is there without" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "No such file"), ("nothing", "no certificate in PEM form"), ("broken", "no sense")],
)
def test_what_cannot_be_shown_is_told(home: Home, text: str | None, reason: str) -> None:
    """The file is named."""
    file = home.root / "x.pem"
    if text is not None:
        pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        file.write_text(pem if text == "broken" else text)
    ran = home.run("cert", "show", str(file))
    assert ran.code == 1
    assert reason in ran.err
    assert "x.pem" in ran.err


# What goes well


def test_who_believes_the_authority_believes_the_server(home: Home) -> None:
    """By any of its names; nobody but the owner may read the keys."""
    ran = home.run("cert", "new", *NAMES)
    assert ran.code == 0, ran.err
    assert "ca.pem, which clients have to believe" in ran.out
    directory = home.etc / "cert"
    for name in ("ca.key", "www.jeans.example.pem"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    server = home.serve("web", more="ssl = yes", sections=SECTION)
    client = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for host in ("www.jeans.example", "any.jeans.example", "127.0.0.1", "::1"):
        assert fetch(server.port, client, "/hello", host).status == 200
    shown = home.run("cert", "show", "www.jeans.example.pem").out
    assert "certificate for www.jeans.example, *.jeans.example, 127.0.0.1, ::1" in shown
    assert "364 days left" in shown
    assert "private key: in this file" in shown


def test_a_second_time_makes_a_fresh_one_of_the_same_authority(home: Home) -> None:
    """So the server is reloaded, and clients notice nothing."""
    directory = home.etc / "cert"
    assert home.run("cert", "new", "a.example", "--days", "10").code == 0
    authority, first = (
        (directory / "ca.pem").read_bytes(),
        (directory / "a.example.pem").read_bytes(),
    )
    again = home.run("cert", "new", "a.example")
    assert again.code == 0
    assert "ca.pem" not in again.out
    assert (directory / "ca.pem").read_bytes() == authority
    assert (directory / "a.example.pem").read_bytes() != first
    assert "364 days left" in home.run("cert", "show", "a.example.pem").out
