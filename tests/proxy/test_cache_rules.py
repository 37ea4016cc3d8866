"""What RFC 9111 lets a shared cache keep and use."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.web import proxy_cache_rules as rules
from skitaid.workers.web.proxy_cache_rules import Terms, Wish

ANYTHING = Wish()
NOW = 1_800_000_000.0


def http_date(seconds: float) -> bytes:
    return formatdate(seconds, usegmt=True).encode()


def known(*lines: str) -> dict[bytes, list[bytes]]:
    pairs = [line.encode().split(b": ", 1) for line in lines]
    return rules.grouped([(name, value) for name, value in pairs])


def kept(*lines: str, code: int = 200, wanted: Wish = ANYTHING, asked: float = NOW) -> Terms | None:
    return rules.terms(code, known(*lines), wanted, asked, NOW)


@pytest.mark.parametrize(
    "lines",
    [
        ["Cache-Control: max-age=60"],
        ["Cache-Control: s-maxage=60, max-age=0"],
        ["Cache-Control: PUBLIC, MAX-AGE=60"],
        ['Cache-Control: max-age="60"'],
        [f"Expires: {http_date(NOW + 60).decode()}"],
        [f"Expires: {http_date(NOW + 60).decode()}", f"Date: {http_date(NOW).decode()}"],
        ["Cache-Control: no-cache", 'ETag: "a"'],
        ["Cache-Control: max-age=0", f"Last-Modified: {http_date(NOW).decode()}"],
        ["Cache-Control: max-age=60", "Vary: Accept-Encoding, X"],
    ],
)
def test_what_is_kept(lines: list[str]) -> None:
    """Answers that say how long they are fresh, or that can be asked about."""
    assert kept(*lines) is not None


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ['ETag: "a"'],
        [f"Last-Modified: {http_date(NOW - 9999).decode()}"],
        ["Cache-Control: no-store, max-age=60"],
        ["Cache-Control: private, max-age=60"],
        ['Cache-Control: private="x-user", max-age=60'],
        ["Cache-Control: max-age=0"],
        ["Cache-Control: max-age=many"],
        ["Cache-Control: max-age=60, max-age=0"],
        ["Cache-Control: no-cache"],
        ["Cache-Control: max-age=60", "Set-Cookie: a=b"],
        ["Cache-Control: max-age=60", "Vary: *"],
        ["Cache-Control: max-age=60", "Vary: X, *"],
        ["Cache-Control: max-age=60", "Vary: X-Forwarded-For"],
        ["Cache-Control: max-age=60", "Vary: X, forwarded"],
        ["Cache-Control: max-age=60", "Vary: Via"],
        ["Cache-Control: max-age=60", "Vary: X-Request-ID"],
        ["Expires: 0"],
        [f"Expires: {http_date(NOW - 1).decode()}"],
    ],
)
def test_what_is_not_kept(lines: list[str]) -> None:
    """Nothing is guessed, nothing private, nothing that cannot be told apart."""
    assert kept(*lines) is None


@pytest.mark.parametrize(
    ("code", "is_kept"), [(200, True), (404, True), (206, False), (304, False)]
)
def test_statuses(code: int, is_kept: bool) -> None:
    """Parts and answers about other answers are not kept."""
    assert (kept("Cache-Control: max-age=60", code=code) is not None) is is_kept


def test_cookies() -> None:
    """An answer to a request with cookies is for others only if it says so itself."""
    with_cookies = Wish(has_cookies=True)
    for_all = kept("Cache-Control: public, max-age=60", wanted=with_cookies)
    for_some = kept("Cache-Control: max-age=60")

    assert kept("Cache-Control: max-age=60", wanted=with_cookies) is None
    assert for_all is not None and rules.is_usable(for_all, with_cookies, NOW)
    assert for_some is not None and not rules.is_usable(for_some, with_cookies, NOW)
    assert rules.is_usable(for_some, Wish(), NOW)


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["Cache-Control: max-age=60"], 60),
        (["Cache-Control: max-age=60, s-maxage=30"], 30),
        (["Cache-Control: max-age=60", f"Expires: {http_date(NOW + 5).decode()}"], 60),
        ([f"Expires: {http_date(NOW + 5).decode()}", f"Date: {http_date(NOW - 5).decode()}"], 10),
        (["Cache-Control: max-age=99999999999999999999"], 0),
        (["Cache-Control: max-age=9999999999"], rules.FOREVER),
    ],
)
def test_lifetime(lines: list[str], seconds: float) -> None:
    """s-maxage goes before max-age, that before Expires (section 4.2.1)."""
    terms = kept(*lines, 'ETag: "a"')
    assert terms is not None
    assert terms.lifetime == seconds


@pytest.mark.parametrize(
    ("lines", "asked", "age"),
    [
        ([], NOW, 0),
        (["Age: 10"], NOW, 10),
        (["Age: 10"], NOW - 3, 13),
        ([f"Date: {http_date(NOW - 20).decode()}", "Age: 10"], NOW - 3, 20),
        ([f"Date: {http_date(NOW + 20).decode()}"], NOW, 0),
        (["Age: old"], NOW, 0),
    ],
)
def test_age_when_received(lines: list[str], asked: float, age: float) -> None:
    """The larger of what the Date and what the caches before us say (section 4.2.3)."""
    terms = kept("Cache-Control: max-age=60", *lines, asked=asked)
    assert terms is not None
    assert terms.age(NOW) == age
    assert terms.age(NOW + 7) == age + 7


@pytest.mark.parametrize(
    ("wanted", "after", "is_usable"),
    [
        (Wish(), 59, True),
        (Wish(), 60, False),
        (Wish(must_ask=True), 0, False),
        (Wish(max_age=10), 10, True),
        (Wish(max_age=10), 11, False),
        (Wish(max_age=0), 1, False),
        (Wish(min_fresh=30), 30, True),
        (Wish(min_fresh=30), 31, False),
        (Wish(max_stale=10), 65, True),
        (Wish(max_stale=10), 70, False),
        (Wish(max_stale=rules.FOREVER), 10_000, True),
        (Wish(max_age=10, max_stale=100), 65, False),
    ],
)
def test_use_of_what_is_kept(wanted: Wish, after: float, is_usable: bool) -> None:
    """Fresh for a minute, and the request's own limits (section 5.2.1)."""
    terms = kept("Cache-Control: max-age=60")
    assert terms is not None
    assert rules.is_usable(terms, wanted, NOW + after) is is_usable


@pytest.mark.parametrize("word", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"])
def test_strict_answers_are_never_used_stale(word: str) -> None:
    """Neither for max-stale nor for an error."""
    terms = kept(f"Cache-Control: max-age=60, stale-if-error=600, {word}", 'ETag: "a"')
    assert terms is not None
    assert not rules.is_usable(terms, Wish(max_stale=rules.FOREVER), NOW + 61)
    assert not rules.is_usable_on_error(terms, Wish(), NOW + 61)


def test_stale_if_error() -> None:
    """So long, and only if the answer says so (RFC 5861)."""
    terms = kept("Cache-Control: max-age=60, stale-if-error=600")
    without = kept("Cache-Control: max-age=60")
    assert terms is not None and without is not None

    assert rules.is_usable_on_error(terms, Wish(must_ask=True), NOW + 659)
    assert not rules.is_usable_on_error(terms, Wish(), NOW + 660)
    assert not rules.is_usable_on_error(without, Wish(), NOW + 61)


@pytest.mark.parametrize(
    "lines",
    [
        ["Authorization: Basic eDp5"],
        ["Range: bytes=0-1"],
        ['If-Match: "a"'],
        ['If-Range: "a"'],
        ["Cache-Control: no-store"],
    ],
)
def test_requests_that_have_nothing_to_do_with_it(lines: list[str]) -> None:
    """They go to the member, and their answers are not kept."""
    assert rules.wish("GET", known(*lines)) is None
    assert rules.wish("POST", known()) is None


def test_what_a_request_says() -> None:
    """Its directives; Pragma counts without Cache-Control only (section 5.4)."""
    said = "Cache-Control: max-age=5, min-fresh=6, max-stale, only-if-cached"

    assert rules.wish("GET", known(said)) == Wish(False, True, 5, 6, rules.FOREVER, False)
    assert rules.wish("HEAD", known("Pragma: no-cache", "Cookie: a=b")) == Wish(
        must_ask=True, has_cookies=True
    )
    assert rules.wish("GET", known("Pragma: no-cache", "Cache-Control: max-stale=1")) == Wish(
        max_stale=1
    )


def test_vary() -> None:
    """A request gets what was made for one that says the same in these fields (section 4.1)."""
    names = rules.varies_by(known("Vary: X-B, accept-encoding", "vary: x-a"))

    assert names == (b"accept-encoding", b"x-a", b"x-b")
    assert rules.selected(names, known("X-A: 1", "x-a:  2 ")) == (b"", b"1, 2", b"")
    assert rules.varies_by(known()) == ()


def test_refreshed_by_a_304() -> None:
    """New fields take the place of old ones, but for those of the body (section 3.2)."""
    before = [(b"ETag", b'"a"'), (b"Content-Length", b"5"), (b"Age", b"9"), (b"X", b"1")]
    news = [(b"age", b"0"), (b"Content-Length", b"0"), (b"Cache-Control", b"max-age=5")]

    assert rules.refreshed(before, news) == [
        (b"ETag", b'"a"'),
        (b"Content-Length", b"5"),
        (b"X", b"1"),
        (b"age", b"0"),
        (b"Cache-Control", b"max-age=5"),
    ]


def test_a_304_makes_an_answer_young() -> None:
    """The age that it had when it was received first is not its age now, if the 304 has none."""
    before = [(b"ETag", b'"a"'), (b"Age", b"90"), (b"Cache-Control", b"max-age=60")]

    fields = rules.refreshed(before, [(b"ETag", b'"a"')])
    terms = rules.terms(200, rules.grouped(fields), ANYTHING, NOW, NOW)

    assert terms is not None and rules.is_usable(terms, ANYTHING, NOW)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_cache_control_is_read(values: list[bytes]) -> None:
    """Whatever a member sends as Cache-Control, it never makes an answer fresh by mistake."""
    found = rules.directives(values)
    terms = rules.terms(200, {b"cache-control": values}, Wish(), NOW, NOW)

    assert all(name == name.lower() for name in found)
    if terms is not None:
        assert b"max-age" in found or b"s-maxage" in found
        assert terms.lifetime > 0


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 2000), st.integers(0, 100))
def test_what_is_used_once_was_usable_before(
    lifetime: int, age: int, after: int, later: int
) -> None:
    """Without limits of the request, an answer that is usable was so at all times before."""
    terms = kept(f"Cache-Control: max-age={lifetime}", f"Age: {age}", 'ETag: "a"')
    assert terms is not None
    if rules.is_usable(terms, Wish(), NOW + after + later):
        assert rules.is_usable(terms, Wish(), NOW + after)
