"""Where redirects lead, and which are not followed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai import redirect
from skitai.engine import Ask, Origin
from skitai.redirect import Hop, NotFollowed

HERE = Origin("s0", 80, tls=False)
SECURE = Origin("s0", 443, tls=True)
LINES = (
    b"User-Agent: Skitai\r\nAuthorization: Basic eDp5\r\nCookie: a=1\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 4\r\nX-Mine: 1\r\n"
)
WITHOUT_BODY = b"User-Agent: Skitai\r\nAuthorization: Basic eDp5\r\nCookie: a=1\r\nX-Mine: 1\r\n"


def ask(method: str = "GET", target: str = "/a/b?c=d") -> Ask:
    start = f"{method} {target} HTTP/1.1\r\n".encode()
    return Ask(start, LINES, b"body", idempotent=method != "POST", follow=5)


def hop(
    location: str, code: int = 302, method: str = "GET", origin: Origin = HERE, followed: int = 0
) -> Hop:
    fields = ((b"Content-Type", b"text/html"), (b"LOCATION", location.encode()))
    found = redirect.hop(ask(method), origin, code, fields, followed)
    assert found is not None
    return found


# --- not followed ---


def test_a_redirect_too_many_is_not_followed() -> None:
    """A loop ends so too."""
    assert hop("/x", followed=4)
    with pytest.raises(
        NotFollowed, match=r"^redirects to http://s0:80/x, after 5 redirects already$"
    ):
        hop("/x", followed=5)


def test_what_was_asked_in_secret_is_not_asked_in_the_open() -> None:
    """https to http, whatever the host."""
    for location in ("http://s0/", "http://elsewhere/"):
        with pytest.raises(NotFollowed, match="from https to http://"):
            hop(location, origin=SECURE)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("ftp://s1/", "does not start with http:// or https://"),
        ("javascript:alert(1)", "does not start with"),
        ("http://s1:99999/", "names no server"),
        ("https:///path", "names no host"),
        ("http://[::1/", "Invalid IPv6 URL"),
        ("/a\x01b", "a blank or a control character"),
        ("http://s1:0/", "port 0"),
    ],
)
def test_what_cannot_be_asked_is_told(location: str, said: str) -> None:
    """The sentence says why."""
    with pytest.raises(NotFollowed, match=r"^redirects to what cannot be asked: ") as raised:
        hop(location)
    assert said in str(raised.value)


def test_a_long_location_is_not_repeated_in_full() -> None:
    """A message is for reading."""
    with pytest.raises(NotFollowed) as raised:
        hop("/" + "x" * 10_000, followed=5)
    assert len(str(raised.value)) < 300


@given(location=st.binary(max_size=60), code=st.sampled_from(sorted(redirect.CODES)))
def test_no_location_makes_anything_else_happen(location: bytes, code: int) -> None:
    """A hop, no hop, or a sentence."""
    try:
        found = redirect.hop(ask("POST"), HERE, code, [(b"Location", location)], 0)
    except NotFollowed:
        return
    assert found is None or found.ask.start.count(b"\r\n") == found.ask.start.count(b"\n") == 1


# --- followed ---


@pytest.mark.parametrize("code", [200, 300, 304, 404])
def test_other_answers_lead_nowhere(code: int) -> None:
    """Whatever Location they have."""
    assert redirect.hop(ask(), HERE, code, [(b"Location", b"/x")], 0) is None


def test_a_redirect_without_location_is_an_answer() -> None:
    """There is nobody to ask."""
    assert redirect.hop(ask(), HERE, 302, [], 0) is None
    assert redirect.hop(ask(), HERE, 302, [(b"Location", b"")], 0) is None


@pytest.mark.parametrize(
    ("location", "origin", "target"),
    [
        ("/x?y=z#part", HERE, "/x?y=z"),
        ("x", HERE, "/a/x"),
        ("../x", HERE, "/x"),
        ("?e=f", HERE, "/a/b?e=f"),
        ("//s1:81/x", Origin("s1", 81, tls=False), "/x"),
        ("http://S0", HERE, "/"),
        ("http://s0:80/x", HERE, "/x"),
        ("http://user:word@s1/", Origin("s1", 80, tls=False), "/"),
        ("https://s1/x", Origin("s1", 443, tls=True), "/x"),
        ("http://[::1]:8080/x", Origin("::1", 8080, tls=False), "/x"),
        ("/Käse und Brot", HERE, "/K%C3%A4se%20und%20Brot"),
    ],
)
def test_a_location_is_read_from_where_it_stands(
    location: str, origin: Origin, target: str
) -> None:
    """RFC 3986 section 5: relative to what was asked; the fragment is nobody's."""
    found = hop(location)
    assert (found.origin, found.ask.start) == (origin, f"GET {target} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("code", "method", "becomes"),
    [
        *((code, "GET", "GET") for code in redirect.CODES),
        *((code, "HEAD", "HEAD") for code in redirect.CODES),
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_methods_are_kept_or_become_get(code: int, method: str, becomes: str) -> None:
    """And a body goes where its method goes."""
    found = hop("/x", code, method)
    assert found.ask.start == f"{becomes} /x HTTP/1.1\r\n".encode()
    if becomes == method:
        assert (found.ask.fields, found.ask.body) == (LINES, b"body")
        assert found.ask.idempotent == (method != "POST")
    else:
        assert (found.ask.fields, found.ask.body) == (WITHOUT_BODY, b"")
        assert found.ask.idempotent


@pytest.mark.parametrize("location", ["http://s1/", "http://s0:81/", "https://s0/"])
def test_credentials_stay_behind_at_another_origin(location: str) -> None:
    """Another host, port or scheme: neither password nor cookies go there."""
    fields = hop(location).ask.fields
    assert b"Authorization" not in fields
    assert b"Cookie" not in fields
    assert fields.endswith(b"X-Mine: 1\r\n")
    assert hop("http://s0/").ask.fields == LINES
