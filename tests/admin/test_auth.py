"""Who may see the admin pages: the rules, with a clock of our own."""

from __future__ import annotations

from base64 import b64encode

import pytest

from skitai.caller import Caller
from skitai.request import Request
from skitaid.workers.admin.auth import (
    ADDRESSES_MAX,
    FIRST_DELAY,
    FORGOTTEN_AFTER,
    LONGEST_DELAY,
    Auth,
    Refused,
)
from skitaid.workers.settings import Admin

PASSWORD = "open sesame"


def basic(user: str = "admin", password: str = PASSWORD) -> bytes:
    return b"Basic " + b64encode(f"{user}:{password}".encode())


def request(
    given: bytes | None = None,
    address: str = "127.0.0.1",
    scheme: str = "http",
    *more: tuple[bytes, bytes],
) -> Request:
    fields = [] if given is None else [(b"Authorization", given)]
    caller = Caller(address, scheme)
    return Request("GET", b"/skitai/status.json", [*fields, *more], b"", "1.1", caller)


def auth(*allow: str, insecure: bool = False) -> Auth:
    return Auth(Admin(PASSWORD, allow=allow, insecure=insecure))


def refused(found: Refused | None) -> Refused:
    assert found is not None
    return found


@pytest.mark.parametrize(
    "given",
    [
        basic(password="open sesam"),
        basic(password=""),
        basic(user="root"),
        basic(user="Admin"),
        b"Basic " + b64encode(b"admin"),
        b"Basic " + b64encode(PASSWORD.encode()),
        b"Basic ???",
        b"Basic",
        b"Bearer " + b64encode(b"admin:open sesame"),
        b"",
    ],
)
def test_what_is_not_user_and_password_is_refused(given: bytes) -> None:
    """All in the same way, late, and with a line for the log."""
    found = refused(auth().judge(request(given), 100.0))

    assert (found.status, found.delay) == (401, FIRST_DELAY)
    assert found.detail == "Wrong user or password."
    assert found.why
    assert dict(found.fields)["WWW-Authenticate"].startswith("Basic ")


def test_no_password_is_asked_for_and_is_no_failure() -> None:
    """A browser begins without one, however often."""
    judge = auth().judge

    for _ in range(1000):
        found = refused(judge(request(), 100.0))
        assert (found.status, found.delay, found.why) == (401, 0.0, "")
    assert judge(request(basic()), 100.0) is None


def test_the_right_one_may() -> None:
    """The name of the scheme is in any case (RFC 9110 section 11.1)."""
    assert auth().judge(request(basic()), 100.0) is None
    assert auth().judge(request(basic().replace(b"Basic", b"bASIC")), 100.0) is None


def test_a_password_with_colons_and_other_letters() -> None:
    """The first colon ends the user; characters are UTF-8 as the challenge asks for."""
    door = Auth(Admin("tür:zu:auf"))

    assert door.judge(request(basic(password="tür:zu:auf")), 100.0) is None


def test_nothing_is_looked_at_while_a_wrong_one_waits() -> None:
    """Not even the right one: a parallel guess would come for free."""
    judge = auth().judge
    judge(request(basic(password="wrong1")), 100.0)

    found = refused(judge(request(basic()), 100.0 + FIRST_DELAY / 2))

    assert (found.status, found.why) == (429, "")
    assert int(dict(found.fields)["Retry-After"]) >= 1
    assert judge(request(basic()), 100.0 + FIRST_DELAY) is None


def test_others_are_not_made_to_wait() -> None:
    """The book is kept by address."""
    judge = auth().judge
    judge(request(basic(password="wrong1")), 100.0)

    assert judge(request(basic(), "127.0.0.2"), 100.0) is None


def test_the_addresses_of_one_ipv6_network_are_one() -> None:
    """Who guesses could take another one each time."""
    judge = auth(insecure=True).judge
    judge(request(basic(password="wrong1"), "2001:db8::1"), 100.0)
    assert refused(judge(request(basic(), "2001:db8::2:1"), 100.1)).status == 429
    assert judge(request(basic(), "2001:db8:0:1::1"), 100.1) is None


def test_a_thousand_guesses_take_an_hour() -> None:
    """One after the other, as fast as they are answered, and none is let in."""
    judge, now = auth().judge, 100.0

    for guess in range(1000):
        found = refused(judge(request(basic(password=f"guess-{guess}")), now))
        assert found.status == 401
        now += found.delay

    assert now - 100.0 > 3600
    assert found.delay == LONGEST_DELAY


def test_a_success_and_a_pause_are_new_beginnings() -> None:
    """Who has mistyped twice is as quick as ever after that."""
    judge = auth().judge
    judge(request(basic(password="wrong1")), 100.0)
    judge(request(basic(password="wrong2")), 110.0)
    assert judge(request(basic()), 120.0) is None
    assert refused(judge(request(basic(password="wrong3")), 121.0)).delay == FIRST_DELAY
    later = 122.0 + FORGOTTEN_AFTER

    assert refused(judge(request(basic(password="wrong4")), later)).delay == FIRST_DELAY


def test_the_book_is_bounded() -> None:
    """From however many addresses tries come; those heard of last are remembered."""
    door = auth(insecure=True)
    for number in range(ADDRESSES_MAX + 10):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        door.judge(request(basic(password="wrong1"), address), 100.0)

    assert len(door._failures) == ADDRESSES_MAX
    assert refused(door.judge(request(basic(), address), 100.0)).status == 429


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "10.0.0.1"])
def test_plain_http_from_beyond_this_machine_is_refused(address: str) -> None:
    """Even with the right password, which is then a secret no more; TLS is well."""
    found = refused(auth().judge(request(basic(), address), 100.0))

    assert found.status == 403
    assert "trusted_proxies" in found.detail
    assert auth().judge(request(basic(), address, "https"), 100.0) is None
    assert auth(insecure=True).judge(request(basic(), address), 100.0) is None


@pytest.mark.parametrize(
    "name", [b"X-Forwarded-For", b"Forwarded", b"Via", b"x-forwarded-proto", b"X-Real-IP"]
)
def test_a_proxy_on_this_machine_that_nobody_trusts_is_beyond(name: bytes) -> None:
    """Else all the world would be this machine."""
    found = refused(auth().judge(request(basic(), "127.0.0.1", "http", (name, b"x")), 100.0))

    assert found.status == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", ""])
def test_this_machine(address: str) -> None:
    """All of loopback, and unix sockets."""
    assert auth().judge(request(basic(), address), 100.0) is None


def test_only_some_addresses_are_let_in() -> None:
    """Others are refused before the password is looked at, with it or without."""
    door = auth("192.0.2.0/24", "::1/128")

    assert door.judge(request(basic(), "192.0.2.7", "https"), 100.0) is None
    assert door.judge(request(basic(), "::1"), 100.0) is None
    for given in (None, basic(), basic(password="wrong1")):
        for address in ("192.0.3.7", "127.0.0.1", ""):
            found = refused(door.judge(request(given, address, "https"), 100.0))
            assert (found.status, found.delay) == (403, 0.0)


def test_only_unix_sockets_are_let_in() -> None:
    """`admin_allow = unix:` names no network."""
    door = auth("unix:")

    assert door.judge(request(basic(), ""), 100.0) is None
    assert refused(door.judge(request(basic(), "127.0.0.1"), 100.0)).status == 403
