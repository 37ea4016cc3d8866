"""How members are asked, as a `[@name]` section says: times, sizes, certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import certificate_and_key

from skitaid.conf import load_server
from skitaid.errors import ConfError
from skitaid.workers.settings import ClientLimits, ClientTls, HttpCluster

ROUTES = "[routes:line]\n/ = webapp\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A place for confs, an app, and certificates."""
    for name in ("servers-enabled", "cert"):
        (tmp_path / "etc/skitaid" / name).mkdir(parents=True)
    (tmp_path / "webapp.py").write_text("app = None\n")
    return tmp_path


def cluster(home: Path, lines: str) -> HttpCluster:
    path = home / "etc/skitaid/servers-enabled/web.conf"
    path.write_text(f"{ROUTES}[@web]\nmembers = a\n{lines}\n")
    return load_server(path, home / "var/servers/web", {}).worker.http_clusters["web"]


def complaints(home: Path, lines: str) -> list[str]:
    with pytest.raises(ConfError) as raised:
        cluster(home, lines)
    return [str(each) for each in raised.value.complaints]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("connect_timeout = 0", "connect_timeout: "),
        ("read_timeout = -1", "read_timeout: "),
        ("max_response_size = 0", "max_response_size: "),
        ("verify = perhaps", "verify: perhaps is neither yes nor no"),
    ],
)
def test_what_is_no_value_is_told(home: Path, line: str, said: str) -> None:
    """With its line."""
    (complaint,) = complaints(home, f"{line}\nssl = yes")
    assert complaint.startswith(f"web.conf:5: {said}")


@pytest.mark.parametrize("line", ["cafile = a", "certfile = a", "passphrase = a", "verify = no"])
def test_certificates_without_ssl_are_a_mistake(home: Path, line: str) -> None:
    """Somebody believes that the members are asked by HTTPS."""
    key = line.partition(" ")[0]
    said = f"{key}: it has no effect without ssl = yes in the same section"
    assert complaints(home, line) == [f"web.conf:5: {said}"]


def test_files_that_cannot_be_used_are_told(home: Path) -> None:
    """Each at its line: one is missing, the other holds no key."""
    certificate, _ = certificate_and_key()
    (home / "etc/skitaid/cert/me.pem").write_bytes(certificate)
    told = complaints(home, "ssl = yes\ncafile = none.pem\ncertfile = me.pem")
    cafile = home / "etc/skitaid/cert/none.pem"
    assert sorted(told) == [
        f"web.conf:6: cafile: {cafile} cannot be read: No such file or directory",
        f"web.conf:7: certfile: {home}/etc/skitaid/cert/me.pem holds no private key;"
        " append it to the certificate",
    ]


def test_a_cluster_has_limits_and_certificates_of_its_own(home: Path) -> None:
    """Relative names are those of [certification]."""
    certificate, key = certificate_and_key("opensesame")
    (home / "etc/skitaid/cert/ca.pem").write_bytes(certificate)
    (home / "etc/skitaid/cert/me.pem").write_bytes(certificate + key)
    lines = (
        "ssl = yes\nconnect_timeout = 0.5\nread_timeout = 1m\nmax_response_size = 1k\n"
        "cafile = ca.pem\ncertfile = me.pem\npassphrase = opensesame\nverify = no"
    )
    made = cluster(home, lines)
    assert made.limits == ClientLimits(0.5, 60.0, 1024)
    place = f"{home}/etc/skitaid/cert"
    assert made.trust == ClientTls(f"{place}/ca.pem", f"{place}/me.pem", "opensesame", verify=False)
    assert "opensesame" not in repr(made)


def test_what_holds_without_a_line(home: Path) -> None:
    """Certificates are verified."""
    made = cluster(home, "")
    assert (made.limits, made.trust) == (ClientLimits(), ClientTls())
    assert made.trust.verify
