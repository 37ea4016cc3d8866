"""What is counted in shared memory: by name, by whoever holds the pages, and never less."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.buckets import BOUNDS, BUCKETS, NOTHING, SHOWN, WIDTH, Counts, bucket
from skitaid.workers.ledger import (
    NAME_MAX,
    OTHERS,
    RESERVED,
    ROWS,
    SIZE,
    STEPS,
    Ledger,
    Pen,
    Step,
    lone_pages,
)

ORDINALS = 4


@pytest.fixture
def ledger() -> Ledger:
    """Of a server with a few workers; its memory goes with the last mapping."""
    descriptor = os.memfd_create("test-ledger")
    os.ftruncate(descriptor, ORDINALS * SIZE)
    made = Ledger(descriptor, 0)
    for ordinal in range(ORDINALS):
        assert made[ordinal].names() == b""  # mapped from now on
    os.close(descriptor)
    return made


def totals(ledger: Ledger) -> dict[tuple[str, ...], int]:
    return {key: counts.count for key, counts in ledger.totals(range(ORDINALS)).items()}


# Buckets


def test_bounds_are_a_third_apart_at_most() -> None:
    """So a quantile is right within a third; those that metrics show are among them."""
    ratios = [high / low for low, high in itertools.pairwise(BOUNDS)]
    assert max(ratios) < 1.3334
    assert set(SHOWN) < set(BOUNDS)
    assert [f"{bound:g}" for bound in SHOWN[:6]] == [
        "0.0001",
        "0.00025",
        "0.0005",
        "0.001",
        "0.0025",
        "0.005",
    ]


def counted(seconds: list[float]) -> Counts:
    cells = [0] * WIDTH
    for each in seconds:
        cells[bucket(each)] += 1
    return Counts(cells)


@given(st.lists(st.floats(0.0002, 49.0), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_right_within_a_third(seconds: list[float], share: float) -> None:
    """Compared with the very one among all that were counted."""
    quantile = counted(seconds).quantile(share)

    exact = sorted(seconds)[max(0, -int(-share * len(seconds) // 1) - 1)]
    assert quantile is not None
    assert exact / 1.34 <= quantile <= exact * 1.34


def test_ends_of_the_range() -> None:
    """Nothing was counted; what is quicker than all bounds, and what is slower."""
    assert NOTHING.quantile(0.5) is None
    assert counted([0.0]).quantile(0.5) == pytest.approx(0.00005)
    assert counted([1e6]).quantile(0.5) == BOUNDS[-1]
    assert bucket(1e6) == BUCKETS - 1


@given(st.lists(st.floats(0.0, 100.0)))
def test_what_is_shown_is_cumulative(seconds: list[float]) -> None:
    """A bound counts all that is not above it."""
    counts = counted(seconds)

    for bound in SHOWN:
        assert counts.up_to(bound) == sum(each <= bound for each in seconds)


# The ledger


def test_counts_of_all_workers_are_added_by_name(ledger: Ledger) -> None:
    """Whatever the order in which each of them has named its rows."""
    first, second, third = (Pen(ledger[ordinal]) for ordinal in range(3))
    for pen, names in ((first, "ab"), (second, "ab"), (third, "cba")):
        for name in names:
            pen.series("route", name).add(0.01)

    assert totals(ledger) == {("route", "a"): 3, ("route", "b"): 3, ("route", "c"): 1}


def test_who_gets_an_ordinal_goes_on_counting(ledger: Ledger) -> None:
    """What the dead have counted stays, also what no rule of the successor is about."""
    dead = Pen(ledger[0])
    dead.series("route", "old").add(0.01)
    dead.series("route", "both").add(0.01)

    heir = Pen(ledger[0])
    heir.series("route", "both").add(0.01)
    heir.series("route", "new").add(0.01)

    assert totals(ledger) == {("route", "old"): 1, ("route", "both"): 2, ("route", "new"): 1}


def test_seconds_are_written_down_when_it_is_time(ledger: Ledger) -> None:
    """Counts are there at once."""
    pen = Pen(ledger[0])
    for _ in range(3):
        pen.series("wait", "").add(0.25)
    (before,) = ledger.totals([0]).values()
    pen.settle()
    pen.settle()
    (after,) = ledger.totals([0]).values()

    assert (before.count, before.seconds) == (3, 0.0)
    assert (after.count, after.seconds) == (3, 0.75)


def test_names_of_any_kind(ledger: Ledger) -> None:
    """Line breaks, quotes and other letters are part of them; long ones are cut."""
    pen = Pen(ledger[0])
    names = ["a\nb", 'say "x"', "größe", "", "x" * 1000]
    for name in names:
        pen.series("route", name).add(0.01)

    assert set(totals(ledger)) == {("route", name[:NAME_MAX]) for name in names}
    assert Pen(ledger[0]).series("route", "größe").cells[bucket(0.01)] == 1


def test_when_all_names_are_taken_the_rest_is_counted_together() -> None:
    """Long ones fill the room for names before the rows are taken."""
    pages = lone_pages()
    pen = Pen(pages)
    long = "x" * NAME_MAX
    for index in range(1000):
        pen.series("route", "app", long, f"{index}", long, "2xx").add(0.001)
    for index in range(20):  # into what is left, too
        pen.series("route", "app", "", f"{index}", "", "2xx").add(0.001)
    for status in ("3xx", "4xx", "5xx"):
        pen.series("route", "app", long, "0", long, status).add(0.001)
    pen.series("member", long, long, "failed").add(0.001)

    assert pages.names().count(b"\n") < ROWS - RESERVED
    together = [key for key in (each.key for each in pen.of_kind("route")) if key[1] == OTHERS]
    assert sorted(key[-1] for key in together) == ["2xx", "3xx", "4xx", "5xx"]
    assert [each.key for each in pen.of_kind("member")] == [("member", OTHERS, OTHERS, "failed")]


def test_when_all_rows_are_taken_the_rest_is_counted_together() -> None:
    """Each kind by itself, and with the last part of its name."""
    pen = Pen(lone_pages())
    for number in range(ROWS - RESERVED):
        pen.series("route", str(number), "2xx")
    for number in range(10):
        pen.series("route", f"more {number}", "2xx").add(0.01)
        pen.series("route", f"more {number}", "5xx").add(0.01)
        pen.series("member", f"more {number}", "failed").add(0.01)

    others = [("route", OTHERS, "2xx"), ("route", OTHERS, "5xx"), ("member", OTHERS, "failed")]
    assert [sum(pen.series(*key).cells[:BUCKETS]) for key in others] == [10, 10, 10]
    assert pen.series("route", "0", "2xx").key == ("route", "0", "2xx")


counts = st.lists(
    st.tuples(st.integers(0, ORDINALS - 1), st.sampled_from("abcdef"), st.floats(0.0, 60.0))
)


@given(counts)
def test_every_count_is_there_once(events: list[tuple[int, str, float]]) -> None:
    """Whoever counts what in which order, with workers that die after each of their counts."""
    descriptor = os.memfd_create("test-ledger")
    os.ftruncate(descriptor, ORDINALS * SIZE)
    ledger = Ledger(descriptor, 0)
    expected: dict[tuple[str, ...], int] = {}
    for ordinal, name, seconds in events:
        Pen(ledger[ordinal]).series("route", name).add(seconds)
        expected["route", name] = expected.get(("route", name), 0) + 1

    assert totals(ledger) == expected
    os.close(descriptor)


# The last quarter of an hour


def step(number: int, requests: int = 1) -> Step:
    cells = [0] * WIDTH
    cells[bucket(0.01)] = requests
    return Step(number, 2, 1, Counts(cells), NOTHING)


def test_steps_of_all_workers_are_added(ledger: Ledger) -> None:
    """By their numbers; where nobody has written there is nothing."""
    ledger[0].put(step(1000, 3))
    ledger[1].put(step(1000, 4))
    ledger[1].put(step(1002, 5))

    history = ledger.history(range(ORDINALS), 1002)

    assert len(history) == STEPS
    assert [each.number for each in history] == list(range(1003 - STEPS, 1003))
    assert [each.latency.count for each in history[-3:]] == [7, 0, 5]
    assert [(each.in_flight, each.errors) for each in history[-3:]] == [(4, 2), (0, 0), (2, 1)]


def test_a_step_of_an_earlier_round_does_not_count(ledger: Ledger) -> None:
    """It is in the place of one that was not written."""
    ledger[0].put(step(1000))

    history = ledger.history([0], 1000 + STEPS)

    assert sum(each.latency.count for each in history) == 0
