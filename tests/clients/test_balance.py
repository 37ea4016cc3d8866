"""Who is asked next: the three ways to choose, as pure functions of load, time and dice."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.clients.balance import (
    BALANCES,
    FORGET,
    Balance,
    Load,
    leastconn,
    p2c,
    roundrobin,
)

NOW = 1000.0

loads = st.builds(
    Load,
    weight=st.integers(1, 100),
    in_flight=st.integers(0, 1000),
    latency=st.floats(1e-6, 100),
    measured_at=st.floats(0, NOW),
)
rolls = st.integers(0, 2**32).map(random.Random)


@pytest.mark.parametrize("balance", BALANCES.values(), ids=BALANCES)
@given(members=st.lists(loads, min_size=1, max_size=8), dice=rolls)
def test_always_one_of_them(balance: Balance, members: list[Load], dice: random.Random) -> None:
    """Whatever they weigh and carry, the choice is an index of theirs."""
    for _ in range(5):
        assert balance(members, NOW, dice) in range(len(members))


# --- p2c ---


@given(members=st.lists(loads, min_size=2, max_size=2), dice=rolls)
def test_p2c_takes_the_cheaper_of_two(members: list[Load], dice: random.Random) -> None:
    """Cost is requests in flight times latency, for its weight."""
    chosen = members[p2c(members, NOW, dice)]
    assert chosen.cost(NOW) == min(member.cost(NOW) for member in members)


@given(members=st.lists(loads, min_size=3, max_size=8), dice=rolls)
def test_p2c_never_takes_the_dearest(members: list[Load], dice: random.Random) -> None:
    """Two different ones are drawn, so whoever is dearer than all others always loses."""
    costs = [member.cost(NOW) for member in members]
    if costs.count(max(costs)) == 1:
        assert costs[p2c(members, NOW, dice)] < max(costs)


def test_p2c_spreads_a_burst_over_unknown_members() -> None:
    """Nobody has answered yet: what counts are the requests in flight."""
    dice = random.Random(1)
    members = [Load() for _ in range(4)]
    for _ in range(400):
        members[p2c(members, NOW, dice)].in_flight += 1
    assert max(member.in_flight for member in members) < 110


def test_p2c_does_not_pour_everything_into_a_member_that_never_answers() -> None:
    """It has no latency yet, which must not make it look free."""
    dice = random.Random(1)
    hanging, lively = Load(), Load()
    for request in range(1000):
        now = NOW + request / 100
        if p2c([hanging, lively], now, dice) == 0:
            hanging.in_flight += 1
        else:
            lively.finished(0.005, now)
    assert hanging.in_flight < 20


def test_p2c_avoids_a_member_whose_answers_are_given_up() -> None:
    """A deadline that passes tells that an answer takes longer than that."""
    dice = random.Random(1)
    hanging, lively = Load(), Load()
    hanging.given_up(3.0, NOW)
    lively.finished(0.005, NOW)
    assert [p2c([hanging, lively], NOW, dice) for _ in range(20)] == [1] * 20


def test_a_call_that_is_given_up_soon_tells_nothing() -> None:
    """The member may have been about to answer, as fast as ever."""
    load = Load()
    load.finished(2.0, NOW)
    before = load.cost(NOW)
    load.given_up(0.1, NOW)
    assert load.cost(NOW) == before


def test_a_slow_member_is_tried_again_after_a_while() -> None:
    """Its latency fades; and one fast answer then is enough to be back."""
    slow, fast = Load(), Load()
    slow.finished(10.0, NOW)
    fast.finished(0.01, NOW)
    assert slow.cost(NOW) > fast.cost(NOW)
    later = NOW + 8 * FORGET
    fast.finished(0.01, later)
    assert slow.cost(later) < fast.cost(later)
    slow.finished(0.01, later)
    assert slow.cost(later) < 2 * fast.cost(later)


@given(members=loads, later=st.floats(0, 1e9))
def test_cost_is_never_nothing(members: Load, later: float) -> None:
    """Or requests in flight would not count."""
    assert members.cost(NOW + later) > 0


# --- roundrobin ---


@given(weights=st.lists(st.integers(1, 20), min_size=1, max_size=6), cycles=st.integers(1, 3))
def test_roundrobin_honours_weights_exactly(weights: list[int], cycles: int) -> None:
    """In each cycle, as long as all weights together, each has as many turns as it weighs."""
    members, dice = [Load(weight) for weight in weights], random.Random(1)
    for _ in range(cycles):
        turns = Counter(roundrobin(members, NOW, dice) for _ in range(sum(weights)))
        assert [turns[index] for index in range(len(weights))] == weights
        assert {member.turn for member in members} == {0}


def test_roundrobin_is_smooth() -> None:
    """The heavy one does not come five times in a row."""
    members, dice = [Load(5), Load(1), Load(1)], random.Random(1)
    assert [roundrobin(members, NOW, dice) for _ in range(7)] == [0, 0, 1, 0, 2, 0, 0]


# --- leastconn ---


@given(members=st.lists(loads, min_size=1, max_size=8), dice=rolls)
def test_leastconn_takes_one_with_the_fewest_for_its_weight(
    members: list[Load], dice: random.Random
) -> None:
    """Any of several such."""
    shares = [member.in_flight / member.weight for member in members]
    assert shares[leastconn(members, NOW, dice)] == min(shares)


def test_leastconn_does_not_always_take_the_first_of_equals() -> None:
    """Several workers would all fall upon it."""
    members, dice = [Load() for _ in range(3)], random.Random(1)
    assert {leastconn(members, NOW, dice) for _ in range(50)} == {0, 1, 2}
