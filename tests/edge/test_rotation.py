"""New certificates for a server that runs, old ones that are over soon, wrong ones."""

from __future__ import annotations

import os
import signal
import ssl

import psutil
import pytest
import trustme
from https import answer, dial, fetch, in_days, names_shown, trusting, write_pem
from mixed_load import APP, MixedLoad
from operator_session import HELLO, Home
from served import Server
from waits import wait_until

SECTION = "[certification]\ncertfile = web.pem"
ROTATIONS = 10


class Rotated:
    """A server whose certificate tells by a name which one it is."""

    def __init__(self, home: Home, app: str = HELLO, more: str = "") -> None:
        self.home = home
        self.authority = trustme.CA()
        self.context = trusting(self.authority)
        self.file = home.etc / "cert/web.pem"
        self.renew("first.example")
        self.server: Server = home.serve(
            "web", apps={"webapp.py": app}, more=f"ssl = yes\n{more}", sections=SECTION
        )

    def renew(self, name: str, days: float = 365) -> None:
        until = in_days(days)
        issued = self.authority.issue_cert("localhost", "127.0.0.1", name, not_after=until)
        write_pem(self.file, issued)

    def shown(self) -> set[str]:
        return names_shown(self.server.port, self.context, "localhost") - {"localhost", "127.0.0.1"}


# What goes wrong


@pytest.mark.parametrize("what", ["broken", "key of another", "gone"])
def test_a_bad_certificate_is_told_and_the_old_one_goes_on(home: Home, what: str) -> None:
    """Also in workers that are forked afterwards, and on connections that are open."""
    site = Rotated(home)
    with dial(site.server.port, site.context) as stream:
        assert answer(stream, "/hello").text == "hello"
        if what == "gone":
            site.file.unlink()
        else:
            pem = site.file.read_bytes()
            other = site.authority.issue_cert("localhost").private_key_pem.bytes()
            certificate = (
                b"-----BEGIN CERTIFICATE-----" + pem.partition(b"BEGIN CERTIFICATE-----")[2]
            )
            site.file.write_bytes(pem[:-90] if what == "broken" else other + certificate)
        reloaded = home.run("reload", "web")
        assert reloaded.code != 0
        assert "certfile: " in reloaded.err
        assert answer(stream, "/hello").text == "hello"
    (pid,) = site.server.workers()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: site.server.workers() not in ([], [pid]), "another worker")
    assert site.shown() == {"first.example"}


def test_what_is_over_soon_is_warned_of(home: Home) -> None:
    """By check, in the log, and in what status shows; a fresh one ends that."""
    site = Rotated(home)
    site.renew("second.example", days=29.5)
    assert "is over in 29 days" in home.run("check", "web").out
    assert home.run("reload", "web").code == 0
    site.server.wait_log("web.pem is over in 29 days")
    shown = home.run("status").out
    assert "web: certificate for localhost, second.example, 127.0.0.1: until " in shown
    assert ", 29 days" in shown
    (told,) = site.server.status().certificates
    assert (told.file, told.names[-1]) == (str(site.file), "127.0.0.1")
    site.renew("third.example", days=31)
    assert "is over" not in home.run("check", "web").out
    assert home.run("reload", "web").code == 0
    assert site.server.log().count("is over in") == 1


def test_what_is_over_is_served_all_the_same(home: Home) -> None:
    """Whether to believe it is the client's affair; the operator is told."""
    site = Rotated(home)
    certificate = site.authority.issue_cert(
        "localhost", not_before=in_days(-9), not_after=in_days(-2)
    )
    write_pem(site.file, certificate)
    assert home.run("reload", "web").code == 0
    site.server.wait_log("is over since")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        dial(site.server.port, site.context)
    bold = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bold.check_hostname, bold.verify_mode = False, ssl.CERT_NONE
    assert fetch(site.server.port, bold, "/hello").text == "hello"


def test_who_stops_in_its_handshake_holds_up_no_end(home: Home) -> None:
    """It could not have asked for anything yet."""
    site = Rotated(home, more="header_timeout = 1h\ndrain_timeout = 1h")
    with site.server.raw() as idle:
        idle.sendall(b"\x16\x03\x01")
        wait_until(lambda: site.server.status().workers[0].connections == 1, "it is accepted")
        assert site.server.stop(signal.SIGQUIT) == 0
    assert "cut off" not in site.server.log()


# What goes well


def test_ten_rotations_under_load_lose_no_request(home: Home) -> None:
    """Each is served when the reload says so; the master does not gather files by it."""
    site = Rotated(home, APP)
    master = psutil.Process(site.server.pid)
    load = MixedLoad(site.server.port, site.context)
    load.start()
    try:
        for number in range(ROTATIONS):
            site.renew(f"number-{number}.example")
            reloaded = home.run("reload", "web")
            assert (reloaded.code, reloaded.err) == (0, "")
            assert site.shown() == {f"number-{number}.example"}
            before = load.answers
            wait_until(lambda before=before: load.answers > before, "answers after the rotation")
            if not number:
                files = master.num_fds()
    finally:
        outcomes = load.stop()
    assert load.failures() == {}
    assert outcomes["ok"] > ROTATIONS
    wait_until(lambda: master.num_fds() <= files, "as many open files as before")
