"""Cookies: any text survives the way to a client and back, and nothing breaks the header."""

from __future__ import annotations

import email.message
import urllib.request
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from typing import Any, get_args
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skitai.cookie import LONGEST, Cookies, SameSite, pairs

TOKEN = st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,20}", fullmatch=True).filter(
    lambda name: name != "SESSION"
)


def made(name: str, value: str = "", *args: Any, **more: Any) -> str:
    """The Set-Cookie line of a cookie set on a plain connection."""
    cookies = Cookies(None, is_secure=False)
    cookies.set(name, value, *args, **more)
    [(field, line)] = cookies.fields()
    assert field == "Set-Cookie"
    return line


def attributes(line: str) -> dict[str, str]:
    return dict(pairs(line.partition(";")[2]))


# what is refused


@pytest.mark.parametrize(
    "name", ["", "a b", "a;b", "a=b", "a,b", 'a"', "a\r\nb", "a\n", "a\0", "é", "a[1]", "\t"]
)
def test_a_name_that_is_no_token(name: str) -> None:
    """It could end the name, or the whole header."""
    cookies = Cookies(None, is_secure=False)
    with pytest.raises(ValueError, match="is not a token"):
        cookies.set(name, "x")
    with pytest.raises(ValueError, match="is not a token"):
        cookies[name] = "x"
    assert (cookies.fields(), len(cookies)) == ([], 0)


@pytest.mark.parametrize("text", ["/a\r\nX: y", "/a\nb", "/a\rb", "/;b", "/\0", "/\x7f", "/é"])
@pytest.mark.parametrize("attribute", ["path", "domain"])
def test_an_attribute_that_would_break_the_header(attribute: str, text: str) -> None:
    """Or begin the next attribute."""
    with pytest.raises(ValueError, match=f"cookie a: {attribute} .* holds a semicolon"):
        made("a", "x", **{attribute: text})
    with pytest.raises(ValueError, match=f"cookie a: {attribute} .* holds a semicolon"):
        Cookies(None, is_secure=False).remove("a", **{attribute: text})


def test_a_value_that_is_no_text() -> None:
    """The type is named."""
    with pytest.raises(TypeError, match="cookie n: the value is a int; give a str"):
        made("n", 5)  # type: ignore[arg-type]


def test_cross_site_cookies_want_tls() -> None:
    """Browsers would drop them without a word."""
    with pytest.raises(ValueError, match="without Secure; serve it by TLS, or write secure=True"):
        made("a", samesite="None")
    with pytest.raises(ValueError, match="without Secure"):
        Cookies(None, is_secure=True).set("a", samesite="None", secure=False)

    assert made("a", samesite="None", secure=True).endswith("; Secure; HttpOnly; SameSite=None")


def test_an_unknown_samesite() -> None:
    """A slip must not make a cookie looser than it was meant to be."""
    with pytest.raises(ValueError, match="samesite is 'strict'; give 'Lax', 'Strict'"):
        made("a", samesite="strict")


@pytest.mark.parametrize("expires", ["tomorrow", "", "60", b"never", [], timedelta(1)])
def test_an_unknown_time(expires: Any) -> None:
    """What may be given is said."""
    with pytest.raises(ValueError, match='give seconds from now, a datetime, "never" or "now"'):
        made("a", "x", expires)


def test_the_cookie_of_the_session_is_not_shown() -> None:
    """It is sealed, and was.session's alone."""
    cookies = Cookies("SESSION=abc; a=1", is_secure=False)
    assert dict(cookies) == {"a": "1"}
    assert "SESSION" not in cookies
    for change in (cookies.set, cookies.remove, cookies.__delitem__):
        with pytest.raises(ValueError, match=r"is the session's; write was\.session"):
            change("SESSION")
    cookies.clear()
    assert len(cookies.fields()) == 1


# what comes


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, {}),
        ("", {}),
        (";", {}),
        (" ; ;; ", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2;", {"a": "1", "b": "2"}),
        ("  a = 1 ;\tb=\t2\t", {"a": "1", "b": "2"}),
        ("a=b=c==", {"a": "b=c=="}),
        ("a=1; a=2", {"a": "1"}),
        ("a=; a=2", {"a": ""}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("=1; ==; =", {}),
        ('a="1"', {"a": "1"}),
        ('a="', {"a": '"'}),
        ('a=""', {"a": ""}),
        ('a="1', {"a": '"1'}),
        ('a={"b":1,"c":[2]}', {"a": '{"b":1,"c":[2]}'}),
        ("a=1, b=2", {"a": "1, b=2"}),
        ("a=x y", {"a": "x y"}),
        ("a=x+y", {"a": "x+y"}),
        ("a=x%20y%3B", {"a": "x y;"}),
        ("a=100%", {"a": "100%"}),
        ("a=%zz%4", {"a": "%zz%4"}),
        ("a=%FF", {"a": "%FF"}),
        ("a=\xc3\xa9", {"a": "é"}),
        ("a=\xe9", {"a": "\xe9"}),
        ("a[1]=x; a(b)=y", {"a[1]": "x", "a(b)": "y"}),
        ("a b=x; é=y; \x01=z", {}),
        ("$Version=1; a=1; $Path=/", {"$Version": "1", "a": "1", "$Path": "/"}),
    ],
)
def test_what_clients_send(header: str | None, expected: dict[str, str]) -> None:
    """Nothing that they may send is an error, and plain values are given as they came."""
    assert dict(Cookies(header, is_secure=False)) == expected


@given(st.text(st.characters(max_codepoint=255)))
@example("a=%ed%a0%80")
def test_no_header_is_an_error(header: str) -> None:
    """Nor is what is found in it, when it is taken out again."""
    cookies = Cookies(header, is_secure=False)
    names = set(cookies)
    cookies.clear()

    assert dict(cookies) == {}
    lines = [line for _, line in cookies.fields()]
    assert {line.partition("=")[0] for line in lines} == names
    assert all(line.isascii() and line.isprintable() for line in lines)


PLAIN = st.from_regex(r"[!#-$&-+\--:<-\[\]-~]*", fullmatch=True)  # cookie-octets without %


@given(TOKEN, PLAIN)
def test_plain_values_of_others_are_unharmed(name: str, value: str) -> None:
    """And plain values of ours are sent as they are."""
    assert Cookies(f"{name}={value}", is_secure=False)[name] == value
    assert made(name, value).startswith(f"{name}={value}; ")


# there and back

VALUES = st.text() | st.text('%;,"\\ =+\r\n\té€\U0001f600') | st.text(st.characters())


@given(TOKEN, VALUES)
@example("a", "\ud800")
@example("a", '"quoted"')
@example("a", "100%25")
@example("a", "a\r\nSet-Cookie: b=c")
def test_round_trip(name: str, value: str) -> None:
    """Any value comes back as it was, and is one pair of plain characters on its way."""
    line = made(name, value)
    pair = line.partition("; ")[0]

    assert line.isascii()
    assert line.isprintable()
    assert not set(pair.partition("=")[2]) & set(' ",;\\')
    assert Cookies(pair, is_secure=False)[name] == value
    assert Cookies(f"x=1; {pair};y=2", is_secure=False)[name] == value


class _Reply:
    """As much of a response as CookieJar looks at."""

    def __init__(self, line: str) -> None:
        self._fields = email.message.Message()
        self._fields["Set-Cookie"] = line

    def info(self) -> email.message.Message:
        return self._fields


def carried(lines: list[str], url: str = "http://www.example.com/a/b") -> str | None:
    """The Cookie field of a client that was given the Set-Cookie lines."""
    jar = CookieJar()
    for line in lines:
        jar.extract_cookies(_Reply(line), urllib.request.Request(url))  # type: ignore[arg-type]
    again = urllib.request.Request(url)
    jar.add_cookie_header(again)
    return again.get_header("Cookie")


# CookieJar takes a name like one of an attribute, or that begins with $, for something else.
COMMON_NAME = st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True)


@given(st.dictionaries(COMMON_NAME, VALUES, min_size=1, max_size=5))
def test_round_trip_by_a_client(values: dict[str, str]) -> None:
    """One that is not ours."""
    cookies = Cookies(None, is_secure=False)
    for name, value in values.items():
        cookies.set(name, value, 60)
    header = carried([line for _, line in cookies.fields()])

    assert dict(Cookies(header, is_secure=False)) == values


@given(COMMON_NAME, VALUES.filter(lambda value: max(value, default="") < "\ud800"))
def test_other_servers_can_read_them(name: str, value: str) -> None:
    """With their library, and what every language has for percent-encoding."""
    [morsel] = SimpleCookie(made(name, value)).values()

    assert (morsel.key, unquote(morsel.value)) == (name, value)
    assert (morsel["path"], morsel["httponly"], morsel["samesite"]) == ("/", True, "Lax")


# what is set


def test_nothing_is_sent_when_nothing_was_set() -> None:
    """Looking is no change."""
    cookies = Cookies("a=1", is_secure=False)

    assert (cookies.get("a"), cookies.get("b"), cookies.get("b", "x")) == ("1", None, "x")
    assert cookies.has_key("a") and "a" in cookies
    assert cookies.fields() == []


def test_what_was_set_is_visible_at_once() -> None:
    """As in a dict, which it is."""
    cookies = Cookies("a=1; b=2; c=3", is_secure=False)
    cookies["a"] = "10"
    cookies.set("d", "4")
    cookies.set("b", expires="now")
    del cookies["c"]
    del cookies["none"]

    assert dict(cookies.items()) == {"a": "10", "d": "4"}
    assert (list(cookies), list(cookies.values()), len(cookies)) == (["a", "d"], ["10", "4"], 2)
    assert not cookies.has_key("b") and "c" not in cookies
    with pytest.raises(KeyError):
        cookies["c"]
    assert [line.partition(";")[0] for _, line in cookies.fields()] == [
        "a=10",
        "d=4",
        "b=",
        "c=",
        "none=",
    ]


def test_one_line_for_each_cookie() -> None:
    """The last that was said; name, path and domain make a cookie (RFC 6265 section 5.3)."""
    cookies = Cookies(None, is_secure=False)
    cookies.set("a", "1")
    cookies.set("a", "2")
    cookies.remove("a", path="/old")
    cookies.set("a", "3", domain="example.com")

    assert [line.partition("; Expires")[0] for _, line in cookies.fields()] == [
        "a=2; Path=/; HttpOnly; SameSite=Lax",
        "a=; Path=/old",
        "a=3; Path=/; Domain=example.com; HttpOnly; SameSite=Lax",
    ]
    assert cookies["a"] == "3"


def test_defaults_are_safe() -> None:
    """Scripts and other sites have no hold of it, and TLS stays TLS."""
    assert made("a", "1") == "a=1; Path=/; HttpOnly; SameSite=Lax"
    cookies = Cookies(None, is_secure=True)
    cookies.set("a", "1")
    assert cookies.fields() == [("Set-Cookie", "a=1; Path=/; Secure; HttpOnly; SameSite=Lax")]


def test_every_attribute_can_be_said() -> None:
    """And every default be taken back."""
    line = made("a", "1", 60, "/b", "c.example", secure=True, httponly=False, samesite="Strict")
    assert line.startswith("a=1; Path=/b; Domain=c.example; Expires=")
    assert line.endswith(" GMT; Max-Age=60; Secure; SameSite=Strict")

    assert made("a", httponly=False, samesite=None) == "a=; Path=/"
    for samesite in get_args(get_args(SameSite)[0]):
        assert attributes(made("a", secure=True, samesite=samesite))["SameSite"] == samesite


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1, 1),
        (60, 60),
        (59.7, 60),
        ("never", LONGEST),
        (10**12, LONGEST),
        (float("inf"), LONGEST),
        (datetime.max, LONGEST),
    ],
)
def test_lifetimes(given: Any, seconds: int) -> None:
    """In both ways to say it; browsers keep nothing longer than 400 days."""
    found = attributes(made("a", "1", given))
    from_now = parsedate_to_datetime(found["Expires"]) - datetime.now(UTC)

    assert found["Max-Age"] == str(seconds)
    assert timedelta(seconds=seconds - 60) < from_now < timedelta(seconds=seconds + 1)


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=9))])
def test_a_moment(zone: timezone | None) -> None:
    """It is the one that was said; UTC if nothing else is."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    given = moment.astimezone(zone) if zone else moment.replace(tzinfo=None)
    found = attributes(made("a", "1", given))

    assert parsedate_to_datetime(found["Expires"]) == moment
    assert 86000 < int(found["Max-Age"]) <= 86400


@pytest.mark.parametrize("given", [0, -1, 0.2, "now", datetime(2000, 1, 1), datetime.min])
def test_ways_to_delete(given: Any) -> None:
    """Gone here at once, and for clients of any clock."""
    cookies = Cookies("a=1", is_secure=False)
    cookies.set("a", "2", given)

    assert "a" not in cookies
    [(_, line)] = cookies.fields()
    assert line.startswith("a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; ")
    assert carried(["a=1; Path=/"]) == "a=1"
    assert carried(["a=1; Path=/", line]) is None


def test_max_age() -> None:
    """As Flask has it; it goes before expires, as it does in browsers."""
    assert attributes(made("a", "1", max_age=60))["Max-Age"] == "60"
    assert attributes(made("a", "1", 1000, max_age=60))["Max-Age"] == "60"
    assert attributes(made("a", "1", 1000, max_age=0))["Max-Age"] == "0"


def test_a_browser_that_is_closed_forgets() -> None:
    """Unless it is told otherwise."""
    assert not {"Expires", "Max-Age"} & set(attributes(made("a", "1")))


def test_clear() -> None:
    """All that the client sent is taken from it, and all that was set is not given."""
    cookies = Cookies("a=1; b[0]=2", is_secure=False)
    cookies.set("c", "3")
    cookies.clear()

    assert dict(cookies) == {}
    lines = [line for _, line in cookies.fields()]
    assert sorted(line.partition(";")[0] for line in lines) == ["a=", "b[0]=", "c="]
    assert all("Max-Age=0" in line for line in lines)
