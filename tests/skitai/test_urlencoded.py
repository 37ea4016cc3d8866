"""Query strings and forms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.wire import urlencoded


def load(text: str) -> dict[str, Any]:
    into: dict[str, Any] = {}
    urlencoded.load(text, into)
    return into


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("&&", {}),
        ("a=1", {"a": "1"}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2&b=x&a=3", {"a": ["1", "2", "3"], "b": "x"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("=1", {"": "1"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a+b=c+d", {"a b": "c d"}),
        ("a%20b=%2B", {"a b": "+"}),
        ("a=%E2%82%AC", {"a": "\u20ac"}),
        ("a=%", {"a": "%"}),
        ("a=%zz", {"a": "%zz"}),
        ("a=%00", {"a": "\0"}),
    ],
)
def test_load(text: str, fields: dict[str, Any]) -> None:
    """Names that come again make a list, in order."""
    assert load(text) == fields


def test_load_adds_to_what_is_there() -> None:
    """Query and form are one."""
    into: dict[str, Any] = {"a": "query"}
    urlencoded.load("a=form&b=1", into)

    assert into == {"a": ["query", "form"], "b": "1"}


@pytest.mark.parametrize("text", ["a=%ff", "%ff=a", "a=%ed%a0%80"])
def test_what_is_not_utf_8_is_refused(text: str) -> None:
    """Rather than guessed."""
    with pytest.raises(ValueError, match="decode"):
        load(text)


def test_number_of_fields_is_limited() -> None:
    """A form that nobody filled in costs us nothing."""
    assert len(load("&".join(f"a{n}" for n in range(urlencoded.FIELDS_MAX)))) == 1000
    with pytest.raises(ValueError, match=r"[Mm]ax number of fields"):
        load("&" * urlencoded.FIELDS_MAX)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FIELDS = st.dictionaries(TEXT, TEXT | st.lists(TEXT, min_size=2, max_size=4), max_size=8)


@given(FIELDS)
def test_round_trip(fields: dict[str, Any]) -> None:
    """What one of our servers sends to another arrives as it was."""
    assert load(urlencoded.dump(fields).decode("ascii")) == fields
