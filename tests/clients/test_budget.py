"""How many extra requests are let through, in whatever order requests and extras come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.clients.budget import FLOOR, RATIO, WINDOW, Budget

steps = st.lists(
    st.tuples(
        st.floats(0, 4),  # seconds that pass
        st.integers(0, 200),  # requests
        st.integers(0, 300),  # extras that are wished for
    ),
    max_size=20,
)


def granted(budget: Budget, now: float, wishes: int) -> int:
    return sum(budget.take(now) for _ in range(wishes))


@given(start=st.floats(0, 1e6), steps=steps)
def test_no_window_has_more_extras_than_its_budget(
    start: float, steps: list[tuple[float, int, int]]
) -> None:
    """Whichever ten seconds end with an extra: a fifth of their requests, and the floor."""
    budget, now = Budget(), start
    history: list[tuple[float, int, int]] = []  # when, requests, extras
    for seconds, requests, wishes in steps:
        now += seconds
        for _ in range(requests):
            budget.asked(now)
        extras = granted(budget, now, wishes)
        history.append((now, requests, extras))
        window = [each for each in history if each[0] > now - WINDOW]
        if extras:
            allowed = FLOOR + RATIO * sum(each[1] for each in window)
            assert sum(each[2] for each in window) <= allowed


@given(start=st.floats(0, 1e6), steps=steps)
def test_what_is_left_is_what_is_granted(start: float, steps: list[tuple[float, int, int]]) -> None:
    """So whoever looks first is not disappointed."""
    budget, now = Budget(), start
    for seconds, requests, wishes in steps:
        now += seconds
        for _ in range(requests):
            budget.asked(now)
        left = budget.left(now)
        assert granted(budget, now, wishes) == max(0, min(left, wishes))


def test_a_cluster_that_is_hardly_asked_can_fail_over() -> None:
    """The floor is there without any request, and is spent once in a window."""
    budget = Budget()
    assert granted(budget, 1000.0, 10 * FLOOR) == FLOOR
    assert granted(budget, 1000.0 + WINDOW - 1, 1) == 0
    assert granted(budget, 1000.0 + WINDOW + 1, 10 * FLOOR) == FLOOR


def test_a_fifth_of_the_requests_may_be_repeated() -> None:
    """A thousand requests a second, each of them fails: two hundred of them get another try."""
    budget, extras = Budget(), 0
    for second in range(60):
        for _ in range(1000):
            budget.asked(1000.5 + second)
            extras += budget.take(1000.5 + second)
    assert 0.17 * 60_000 <= extras <= 0.2 * 60_000 + 7 * FLOOR


def test_after_a_silence_all_is_forgotten() -> None:
    """Requests of long ago pay for nothing, extras of long ago count for nothing."""
    budget = Budget()
    for _ in range(10_000):
        budget.asked(1000.0)
    assert granted(budget, 1000.0, 2000) == 2000
    assert budget.left(1e6) == FLOOR
