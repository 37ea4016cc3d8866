"""The pauses between tries."""

from __future__ import annotations

import pytest

from skitaid.supervisor.backoff import LONGEST, STEADY, Backoff


def never_jitter() -> float:
    return 0.0


def most_jitter() -> float:
    return 0.999


def fail_in_a_row(backoff: Backoff, times: int) -> list[float]:
    """The waits, when each try fails as soon as it is made."""
    now, waits = 100.0, []
    for _ in range(times):
        again = backoff.failed(now)
        waits.append(again - now)
        now = again
    return waits


def test_waits_double_from_one_second_to_a_minute() -> None:
    """1, 2, 4 … and never longer than a minute."""
    assert fail_in_a_row(Backoff(never_jitter), 8) == [1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_only_shortens_and_never_below_a_second() -> None:
    """Many servers that fail together do not retry together."""
    waits = fail_in_a_row(Backoff(most_jitter), 8)
    assert waits[0] == 1
    assert waits[1:] == pytest.approx([1.5, 3, 6, 12, 24, 45, 45], rel=0.01)


def test_thousands_of_failures_do_not_overflow() -> None:
    """The exponent is bounded."""
    assert fail_in_a_row(Backoff(never_jitter), 5000)[-1] == LONGEST


def test_failures_during_a_wait_are_one_failure() -> None:
    """Eight workers that fail together do not make a wait of two minutes."""
    backoff = Backoff(never_jitter)
    assert {backoff.failed(100.0 + n / 100) for n in range(8)} == {101.0}
    assert backoff.failures == 1


def test_the_first_free_failures_cost_nothing() -> None:
    """Then it goes on as usual."""
    assert fail_in_a_row(Backoff(never_jitter, free=2), 5) == [0, 0, 1, 2, 4]


def test_a_steady_time_is_forgiveness() -> None:
    """A worker that dies once an hour is not a crash loop."""
    backoff = Backoff(never_jitter)
    fail_in_a_row(backoff, 5)
    later = backoff.until + STEADY + 0.1
    assert backoff.failed(later) == later + 1


def test_reset_forgets_at_once() -> None:
    """An operator's restart does not wait for the past."""
    backoff = Backoff(never_jitter)
    fail_in_a_row(backoff, 5)
    backoff.reset()
    assert backoff.until < 0
    assert backoff.failed(1000.0) == 1001.0
