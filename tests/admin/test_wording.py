"""Figures as an operator reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.admin import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 ms"),
        (0.00042, "0.42 ms"),
        (0.00996, "10 ms"),
        (0.087, "87 ms"),
        (0.9996, "1.00 s"),
        (1.237, "1.24 s"),
        (9.996, "10.0 s"),
        (59.96, "59 s"),
        (125.0, "2 min 5 s"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    """A duration has three digits at most, and the unit that suits them."""
    assert wording.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (-1.0, "0 s"),
        (300.0, "5 min"),
        (12_061.0, "3 h 21 min"),
        (93_700.0, "1 d 2 h"),
        (601.0, "10 min"),
    ],
)
def test_spans(value: float | None, text: str) -> None:
    """A long time is told in its two largest units, without an empty one."""
    assert wording.span(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (50_541_363, "48.2 MiB"),
        (209 << 20, "209 MiB"),
        (3 << 40, "3.0 TiB"),
        (3 << 50, "3,072.0 TiB"),
    ],
)
def test_sizes(value: int, text: str) -> None:
    """Bytes are told in units of 1024, and the largest one has no end."""
    assert wording.size(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "–"), (0, 9, "0 %"), (1, 100_000, "< 0.1 %"), (1, 300, "0.3 %"), (2, 3, "67 %")],
)
def test_shares(part: int, whole: int, text: str) -> None:
    """A small share does not look like none, and of nothing there is none."""
    assert wording.share(part, whole) == text


def test_counts_and_plurals() -> None:
    """Thousands are grouped, slow rates have a digit more, words agree with their number."""
    assert [wording.count(each) for each in (12_345, 0, 0.0, 3.21, 9.97)] == [
        "12,345",
        "0",
        "0",
        "3.2",
        "10",
    ]
    assert wording.plural(1, "request") == "1 request"
    assert wording.plural(1000, "request") == "1,000 requests"
    assert wording.plural(2, "entry", "entries") == "2 entries"


@given(
    st.lists(st.text(max_size=8), min_size=1, max_size=3),
    st.lists(st.text(max_size=8), min_size=1, max_size=3),
)
def test_anchors_are_different_for_different_names(some: list[str], others: list[str]) -> None:
    """No two places of the page have one id, whatever their names are made of."""
    assert (wording.anchor(*some) == wording.anchor(*others)) == (some == others)
    assert wording.anchor(*some).replace("_", "").replace("-", "").isascii()


def test_times_are_utc() -> None:
    """A moment is told as a time of day, as a date, and for machines."""
    assert wording.clock(1_790_000_000.0) == "14:13:20"
    assert wording.date(1_790_000_000.0) == "2026-09-21 14:13:20"
    assert wording.iso(1_790_000_000.0) == "2026-09-21T14:13:20Z"
    assert (wording.clock(None), wording.date(None)) == ("–", "–")


def test_breakable_text_is_escaped() -> None:
    """A path may be broken behind its punctuation, and cannot become markup."""
    assert wording.breakable("/a<b>.c") == "/<wbr>a&lt;b&gt;.<wbr>c"
