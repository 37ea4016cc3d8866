"""The policy of run slots, as a book without threads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.slots import Slots, has_gil

# Steps: "t" take, "g" give back, "k" a handler finished and keeps its slot if it may (else
# gives it back), "p" a handler parked, "." a tick passes. What is expected of granted and running.
TABLE = [
    ("one is granted at first", 4, "t", (1, 1)),
    ("a second is not to be had", 4, "tt", (1, 1)),
    ("given back it can be taken again", 4, "tgt", (1, 1)),
    ("a tick without progress grants a second", 4, "t.t", (2, 2)),
    ("another tick, another slot", 4, "t.t.t", (3, 3)),
    ("up to the limit", 2, "t.t...t", (2, 2)),
    ("a limit of one stays one", 1, "t...t", (1, 1)),
    ("some progress changes nothing", 4, "t.kk.", (2, 1)),
    ("no more than two per slot is some", 4, "t.kkkk.", (2, 1)),
    ("much progress takes one back", 4, "t..kkkkkkk.", (2, 1)),
    ("one per tick", 4, "t...kkkkkkkkk.kkkkkkk.", (2, 1)),
    ("the last is not taken back", 4, "tkkkkkkkk.kkkkkkkk.", (1, 1)),
    ("parking is progress too", 4, "t.pt.", (2, 1)),
    ("a slot is not kept beyond what is granted", 4, "t.tkkkkk.k", (1, 1)),
]


def play(slots: Slots, steps: str) -> None:
    for step in steps:
        match step:
            case "t":
                slots.take()
            case "g":
                slots.give_back()
            case "k":
                if not slots.may_keep():
                    slots.give_back()
            case "p":
                slots.progress += 1
                slots.give_back()
            case ".":
                slots.tick()


@pytest.mark.parametrize(
    ("limit", "steps", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_policy(limit: int, steps: str, expected: tuple[int, int]) -> None:
    """Granted and running slots after the steps."""
    slots = Slots(limit, adaptive=True)
    play(slots, steps)

    assert (slots.granted, slots.running) == expected


def test_without_a_gil_all_are_granted_at_once() -> None:
    """Threads that do run side by side need no trial."""
    slots = Slots(4, adaptive=False)
    taken = [slots.take() for _ in range(5)]
    play(slots, ".kkkkkkkkkkkkkkkkkk.")

    assert taken == [True] * 4 + [False]
    assert slots.granted == 4


def test_what_this_interpreter_does_is_the_default() -> None:
    """The GIL decides."""
    assert Slots(4).adaptive is has_gil()


def test_slot_that_nobody_holds_cannot_be_given_back() -> None:
    """A book that went below zero would grant too many for ever."""
    with pytest.raises(AssertionError):
        Slots(4).give_back()


@given(
    limit=st.integers(1, 5),
    adaptive=st.booleans(),
    steps=st.lists(st.sampled_from("tttkp."), max_size=200),
)
def test_bounds_hold_whatever_happens(limit: int, adaptive: bool, steps: list[str]) -> None:
    """Always 1 <= granted <= limit and 0 <= running <= limit; taken is what is free, no more."""
    slots = Slots(limit, adaptive)
    for step in steps:
        if step in "kp" and not slots.running:
            continue  # nobody is there who could finish or park
        before = slots.running
        play(slots, step)

        assert 1 <= slots.granted <= limit
        assert 0 <= slots.running <= limit
        if step == "t":
            assert (slots.running > before) is (before < slots.granted)
        if step == "k":
            assert slots.running <= max(slots.granted, before - 1)


@given(limit=st.integers(1, 5))
def test_all_slots_are_granted_when_nothing_moves(limit: int) -> None:
    """Handlers that block can never hold up the others for more than a few ticks."""
    slots = Slots(limit, adaptive=True)
    for _ in range(limit):
        slots.take()
        slots.tick()

    assert slots.running == limit
