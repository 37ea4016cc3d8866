"""Conditional requests: which of the five fields counts, and what follows (RFC 9110 section 13)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.request import Request
from skitaid.workers.web.conditions import status, wants_parts

ETAG = b'"1a-5"'
MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
THEN = b"Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = b"Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = b"Sun, 06 Nov 1994 08:49:38 GMT"


def request(method: str = "GET", **fields: bytes) -> Request:
    """With fields like if_match."""
    given = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return Request(method, b"/", given, b"", "1.1", "192.0.2.1")


def asked(**fields: bytes) -> int:
    return status(request(**fields), ETAG, MODIFIED)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (ETAG, 304),
        (b"W/" + ETAG, 304),
        (b"*", 304),
        (b'"other", ' + ETAG, 304),
        (b'"other",W/' + ETAG + b',"more"', 304),
        (b'"a,b", ' + ETAG, 304),
        (b'"other"', 200),
        (b'"1a-5', 200),
        (b"1a-5", 200),
        (b'"x1a-5"', 200),
        (b"", 200),
    ],
)
def test_if_none_match(value: bytes, code: int) -> None:
    """One of the tags is enough, weak ones too (section 13.1.2)."""
    assert asked(if_none_match=value) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (ETAG, 200),
        (b"*", 200),
        (b'"other", ' + ETAG, 200),
        (b"W/" + ETAG, 412),
        (b'"other"', 412),
        (b"nonsense", 412),
        (b"", 412),
    ],
)
def test_if_match(value: bytes, code: int) -> None:
    """Weak tags never match (section 13.1.1)."""
    assert asked(if_match=value) == code


@pytest.mark.parametrize(
    ("date", "code"),
    [
        (THEN, 304),
        (AFTER, 304),
        (BEFORE, 200),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 304),
        (b"Sun Nov  6 08:49:37 1994", 304),
        (b"Sun, 06 Nov 1994 09:49:37 +0100", 304),
        (b"", 200),
        (b"yesterday", 200),
        (b"Sun, 06 Nov 99999999999999 08:49:37 GMT", 200),
        (b"Sun, 06 Nov 1994 08:49:37 +9999999999", 200),
        (b"Sun, 99 Nov 1994 08:49:37 GMT", 200),
    ],
)
def test_if_modified_since(date: bytes, code: int) -> None:
    """All three forms of dates; what is none is ignored (section 13.1.3)."""
    assert asked(if_modified_since=date) == code


@pytest.mark.parametrize(
    ("date", "code"), [(THEN, 200), (AFTER, 200), (BEFORE, 412), (b"yesterday", 200)]
)
def test_if_unmodified_since(date: bytes, code: int) -> None:
    """What is no date is ignored here too (section 13.1.4)."""
    assert asked(if_unmodified_since=date) == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"if_match": ETAG, "if_unmodified_since": BEFORE}, 200),
        ({"if_match": b'"other"', "if_unmodified_since": AFTER}, 412),
        ({"if_match": b'"other"', "if_none_match": ETAG}, 412),
        ({"if_match": ETAG, "if_none_match": ETAG}, 304),
        ({"if_unmodified_since": BEFORE, "if_none_match": ETAG}, 412),
        ({"if_unmodified_since": AFTER, "if_none_match": ETAG}, 304),
        ({"if_none_match": b'"other"', "if_modified_since": AFTER}, 200),
        ({"if_none_match": ETAG, "if_modified_since": BEFORE}, 304),
        ({"if_unmodified_since": THEN, "if_modified_since": THEN}, 304),
        ({}, 200),
    ],
)
def test_precedence(fields: dict[str, bytes], code: int) -> None:
    """Tags before dates, and what must hold before what must not (section 13.2.2)."""
    assert asked(**fields) == code


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [
        (ETAG, True),
        (THEN, True),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", True),
        (b"W/" + ETAG, False),
        (b'"other"', False),
        (AFTER, False),
        (BEFORE, False),
        (b"yesterday", False),
        (b"", False),
        (b"*", False),
    ],
)
def test_if_range(if_range: bytes, counts: bool) -> None:
    """The very same file, or the whole is sent (section 13.1.5)."""
    asking = request(range=b"bytes=0-1", if_range=if_range)
    assert wants_parts(asking, ETAG, MODIFIED) is counts


def test_parts_are_for_get_alone() -> None:
    """Of other methods the field means nothing (section 14.2)."""
    assert wants_parts(request(range=b"bytes=0-1"), ETAG, MODIFIED)
    assert not wants_parts(request("HEAD", range=b"bytes=0-1"), ETAG, MODIFIED)
    assert not wants_parts(request(if_range=ETAG), ETAG, MODIFIED)


@given(st.text(st.sampled_from('SunNov 0123456789:,-+GMT./W"*'), max_size=40))
def test_no_field_makes_it_fail(value: str) -> None:
    """Whatever a client sends."""
    raw = value.encode()
    for name in ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since"):
        assert asked(**{name: raw}) in (200, 304, 412)
    wants_parts(request(range=raw, if_range=raw), ETAG, MODIFIED)
