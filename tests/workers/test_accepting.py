"""Who takes the next connection."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.web.accepting import Load, should_accept

loads = st.builds(Load, st.integers(0, 500), st.integers(0, 20), st.integers(1, 8))


def load(connections: int, in_flight: int = 0, slots: int = 4) -> Load:
    return Load(connections, in_flight, slots)


@pytest.mark.parametrize(
    ("mine", "siblings", "accepts"),
    [
        (load(0), [], True),
        (load(100, 50), [], True),
        (load(10), [load(10)], True),
        (load(11), [load(10)], True),
        (load(12), [load(10)], False),
        (load(10), [load(11), load(12)], True),
        (load(101), [load(100)], True),
        (load(113), [load(100)], False),
        (load(3, in_flight=4), [load(9)], False),
        (load(9), [load(3, in_flight=4)], True),
        (load(3, in_flight=9), [load(9, in_flight=5)], True),
        (load(9, in_flight=5), [load(3, in_flight=9)], False),
    ],
)
def test_who_accepts(mine: Load, siblings: list[Load], accepts: bool) -> None:
    """The less busy first, then the one with fewer connections; a few more do not matter."""
    assert should_accept(mine, siblings) is accepts


@given(st.lists(loads, min_size=1, max_size=8))
def test_somebody_always_accepts(workers: list[Load]) -> None:
    """Whatever they are doing, no connection is left to nobody."""
    assert any(
        should_accept(worker, [*workers[:index], *workers[index + 1 :]])
        for index, worker in enumerate(workers)
    )


@given(st.integers(2, 8), st.integers(64, 400), st.integers(0, 10**6))
def test_connections_are_spread_whoever_is_quickest(workers: int, count: int, seed: int) -> None:
    """The most loaded worker has at most one and a half times the connections of the least."""
    dice = random.Random(seed)
    connections = [0] * workers
    for _ in range(max(count, 16 * workers)):
        willing = [
            index
            for index, mine in enumerate(connections)
            if should_accept(load(mine), [load(n) for i, n in enumerate(connections) if i != index])
        ]
        connections[dice.choice(willing)] += 1
    assert max(connections) <= 1.5 * min(connections)
