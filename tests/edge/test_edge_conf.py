"""Keys of a server at the edge: what is wrong with them is told before anybody depends on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from skitaid import conf_values
from skitaid.conf import load_server
from skitaid.errors import ConfError
from skitaid.workers.settings import Forwarding, Settings

SECRET = "never-shown"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "servers-enabled").mkdir()
    (tmp_path / "webapp.py").write_text("")
    return tmp_path


def load(place: Path, lines: str) -> Settings:
    conf = place / "servers-enabled/web.conf"
    conf.write_text(f"[server]\n{lines}\n[routes:line]\n/ = {place}/webapp\n")
    return load_server(conf, place / "run").worker


def complaint(place: Path, lines: str) -> str:
    with pytest.raises(ConfError) as caught:
        load(place, lines)
    (told,) = caught.value.complaints
    return str(told)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("redirect_port = 80", "redirect_port: it has no effect without ssl = yes"),
        ("hsts = 1h", "hsts: it has no effect without ssl = yes"),
        ("hsts = 1h; includeSubDomains", "hsts: 1h; is not a time"),
        ("hsts = 1.5", "hsts: 1.5 is not a whole number of seconds"),
        (
            "proxy_protocol = yes",
            "proxy_protocol: it is spoken with trusted_proxies, and there are",
        ),
        ("proxy_connect_ports = 443 https", "proxy_connect_ports: https is not a port"),
        ("proxy_to = unix:", "proxy_to: unix: is no network"),
        ("proxy_to = 10.0.0.1/8", "proxy_to: 10.0.0.1/8 is an address within a network"),
        ("proxy_allow = localhost", "proxy_allow: localhost is neither an IP address"),
        (f"proxy_auth = {SECRET}", "proxy_auth: write user:password"),
        (f"proxy_auth = :{SECRET}", "proxy_auth: write user:password"),
        ("proxy_auth = hans:short", "proxy_auth: write user:password, with 6 characters"),
        (f"proxy_auth = hans:{SECRET}", "proxy_auth: it has no effect without proxy = yes"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(place: Path, lines: str, reason: str) -> None:
    """And no password is shown."""
    told = complaint(place, lines)
    assert told.startswith(f"web.conf:2: {reason}")
    assert SECRET not in told


def test_a_mode_is_octal(place: Path) -> None:
    """As of chmod."""
    with pytest.raises(ConfError, match="unix_mode: 999 is not a mode"):
        load(place, "ip = unix:/run/web.sock\nunix_mode = 999")
    assert conf_values.mode("0660") == conf_values.mode("660") == 0o660


def test_a_forward_proxy_as_it_is_without_a_word(place: Path) -> None:
    """For this machine, to public addresses, with tunnels to 443, and for who asks."""
    assert load(place, "").forwarding is None
    assert load(place, "proxy = yes").forwarding == Forwarding(
        ("127.0.0.0/8", "::1/128"), (443,), (), ()
    )


def test_a_forward_proxy_with_all_its_keys(place: Path) -> None:
    """Who writes proxy_allow writes all who may; the passwords are in no repr."""
    made = load(
        place,
        "proxy = yes\nproxy_allow = 10.0.0.0/8 unix:\nproxy_connect_ports = 443, 8443\n"
        f"proxy_to = fd00::/8\nproxy_auth = hans:{SECRET} eva:other-secret",
    ).forwarding
    assert made == Forwarding(
        ("10.0.0.0/8", "unix:"),
        (443, 8443),
        ("fd00::/8",),
        (f"hans:{SECRET}", "eva:other-secret"),
    )
    assert SECRET not in repr(made)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("0", ""),
        ("31536000", "max-age=31536000"),
        ("1h", "max-age=3600"),
        ("1h includesubdomains PRELOAD", "max-age=3600; includeSubDomains; preload"),
    ],
)
def test_hsts_is_sent_as_rfc_6797_has_it(written: str, sent: str) -> None:
    """0 sends nothing."""
    assert conf_values.hsts(written) == sent
