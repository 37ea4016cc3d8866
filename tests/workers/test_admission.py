"""Which requests may start beside those that wait, as a book without threads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.admission import FEW, HELD, Admission

# Steps: "i" an idle moment with so many waiting, "p" a tick with progress, "s" one without any,
# "f" one with progress in which the same request stayed first in line.
TABLE = [
    ("few may wait at first", 0, "", FEW),
    ("an idle moment makes room for one more", FEW, "i", FEW + 1),
    ("for a sixteenth more when many wait", 160, "i", 171),
    ("also if fewer wait than might", 2, "i", FEW),
    ("a tick after it changes nothing", 160, "ip", 171),
    ("the next one takes a sixteenth", 160, "ipp", 160),
    ("few may always wait", 160, "i" + 100 * "p", FEW),
    ("without progress one more may wait with each tick", 160, "s", 161),
    ("without progress nobody goes", 2, "s", FEW),
    ("who is first in line is not held back for ever", 160, HELD * "f", 161),
    ("nor until the next tick, should no slot be free", 160, (HELD + 9) * "f", 161),
    ("it is another one's turn to be patient then", 160, HELD * "f" + "pf", 140),
]


def play(admission: Admission, waiting: int, steps: str) -> None:
    for step in steps:
        match step:
            case "i":
                admission.idle(waiting)
            case "p":
                admission.tick(waiting, progress=1)
            case "f":
                admission.tick(waiting, progress=1, is_same=True)
            case "s":
                admission.tick(waiting, progress=0)


@pytest.mark.parametrize(
    ("waiting", "steps", "allowed"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_policy(waiting: int, steps: str, allowed: int) -> None:
    """How many may wait after the steps."""
    admission = Admission()
    play(admission, waiting, steps)

    assert admission.allowed == allowed
    assert admission.may_start(allowed - 1)
    assert not admission.may_start(allowed)


@given(
    steps=st.lists(st.tuples(st.integers(0, 1000), st.sampled_from("ips"))),
    waiting=st.integers(0, 1000),
    last=st.sampled_from("is"),
)
def test_nobody_is_held_back_for_ever(
    steps: list[tuple[int, str]], waiting: int, last: str
) -> None:
    """Whatever was before: an idle moment lets the next one start, and so does a lost tick."""
    admission = Admission()
    for number, step in steps:
        play(admission, number, step)
        assert admission.allowed >= FEW
    play(admission, waiting, last)

    assert admission.may_start(waiting)
