"""Whether a form comes from a page of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.caller import Caller
from skitai.request import Request
from skitaid.workers.admin.csrf import LIFETIME, Tokens, is_foreign

NOW = 1_790_000_000.0


def test_a_token_is_good_in_all_workers_for_half_a_day_at_least() -> None:
    """Workers share the keys, so a token of one is known to the others, until it is old."""
    token = Tokens(["key-of-the-server"], "password").make(NOW)
    other = Tokens(["key-of-the-server"], "password")
    assert other.is_good(token, NOW)
    assert other.is_good(token, NOW + LIFETIME)
    assert not other.is_good(token, NOW + 2 * LIFETIME)
    assert not other.is_good(token, NOW - LIFETIME)


def test_a_token_is_bound_to_the_password_and_the_keys() -> None:
    """One that was made with another password or key is worth nothing; an older key is known."""
    token = Tokens(["old-key"], "password").make(NOW)
    assert not Tokens(["old-key"], "other-password").is_good(token, NOW)
    assert not Tokens(["new-key"], "password").is_good(token, NOW)
    assert Tokens(["new-key", "old-key"], "password").is_good(token, NOW)
    assert Tokens(["new-key", "old-key"], "password").make(NOW) != token


@given(st.text(max_size=80))
def test_other_texts_are_no_tokens(text: str) -> None:
    """Whatever they are, nothing raises."""
    assert not Tokens(["key"], "password").is_good(text, NOW)


@pytest.mark.parametrize(
    ("fields", "foreign"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://web.example:5000"}, False),
        ({"Origin": "https://WEB.example:5000"}, False),
        ({"Origin": "http://web.example"}, True),
        ({"Origin": "http://evil.example:5000"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Origin": "http://web.example:5000", "Sec-Fetch-Site": "cross-site"}, True),
    ],
)
def test_what_the_browser_says_of_the_origin(fields: dict[str, str], foreign: bool) -> None:
    """Both fields must agree with us, if they are there."""
    assert is_foreign(request("web.example:5000", fields)) is foreign


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("web.example", "https://web.example"),
        ("web.example:443", "https://web.example"),
        ("web.example", "http://web.example:80"),
        ("[::1]", "http://[::1]"),
        ("[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_ports_that_need_not_be_said(host: str, origin: str) -> None:
    """The scheme's own port is the same said or unsaid."""
    assert not is_foreign(request(host, {"Origin": origin}))


def request(host: str, fields: dict[str, str]) -> Request:
    sent = [(b"Host", host.encode()), *((n.encode(), v.encode()) for n, v in fields.items())]
    return Request("POST", b"/skitai/status/do", sent, b"", "1.1", Caller("10.0.0.7"))
