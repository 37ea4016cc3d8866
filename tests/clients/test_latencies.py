"""The time in which 19 of 20 calls are answered, from a histogram of fixed size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.clients.latencies import GROWTH, HALVED_AT, KNOWN_FROM, LEAST, Latencies

seconds = st.floats(0, 1000)
LONGEST = 150.0  # seconds; beyond it all is one bucket


def filled(answers: list[float]) -> Latencies:
    latencies = Latencies()
    for elapsed in answers:
        latencies.add(elapsed)
    return latencies


@given(answers=st.lists(seconds, max_size=KNOWN_FROM - 1))
def test_of_a_few_answers_nothing_is_known(answers: list[float]) -> None:
    """A guess would send hedges at random."""
    assert filled(answers).p95 is None


@given(answers=st.lists(seconds, min_size=KNOWN_FROM, max_size=HALVED_AT - 1))
def test_p95_is_right_within_a_bucket(answers: list[float]) -> None:
    """Never too short, and at most a fifth too long."""
    p95 = filled(answers).p95
    true = sorted(answers)[-(-len(answers) * 19 // 20) - 1]
    assert p95 is not None
    assert p95 <= max(true, LEAST) * GROWTH * 1.000001
    assert p95 >= min(true, LONGEST) * 0.999999


@pytest.mark.parametrize("answers", [10_000, 100_000])
def test_new_answers_push_out_old_ones(answers: int) -> None:
    """The cluster has become ten times as fast, and is known to be soon."""
    latencies = filled([0.1] * answers)
    for _ in range(30_000):
        latencies.add(0.01)
    assert latencies.p95 == pytest.approx(0.01, rel=0.2)


def test_p95_follows_while_it_is_read() -> None:
    """It is computed now and then, not once and for all."""
    latencies = filled([0.01] * KNOWN_FROM)
    assert latencies.p95 == pytest.approx(0.01, rel=0.2)
    for _ in range(KNOWN_FROM):
        latencies.add(1.0)
    assert latencies.p95 == pytest.approx(1.0, rel=0.2)
