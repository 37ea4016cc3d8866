"""Who is asked next: the ways to choose, as pure functions of load, time and dice."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.clients.balance import (
    BALANCES,
    FIRST_SHARE,
    FORGET,
    SLOW_START,
    Balance,
    Load,
    digest,
    leastconn,
    p2c,
    rendezvous,
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


def test_p2c_draws_by_weight() -> None:
    """Of members that are equally fast and idle, a heavy one is among the two drawn more often."""
    dice = random.Random(1)
    members = [Load(8), Load(1), Load(1), Load(1)]
    turns = Counter(p2c(members, NOW, dice) for _ in range(4000))
    assert turns[0] > 8 * max(turns[index] for index in (1, 2, 3))
    assert min(turns.values()) > 0


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


# --- hash ---

names = st.lists(st.text(min_size=1), min_size=2, max_size=8, unique=True)
weights = st.integers(1, 100)
keys = st.lists(st.binary(max_size=20), min_size=1, max_size=200)


def named(members: list[str], weights: list[int]) -> dict[str, Load]:
    return {
        name: Load(weight, identity=digest(name.encode("utf-8", "surrogatepass")))
        for name, weight in zip(members, weights, strict=True)
    }


def owner(members: dict[str, Load], key: bytes) -> str:
    return list(members)[rendezvous(list(members.values()), NOW, digest(key))]


@given(data=st.data(), names=names, keys=keys)
def test_a_member_that_leaves_moves_only_its_own_keys(
    data: st.DataObject, names: list[str], keys: list[bytes]
) -> None:
    """So the others' caches stay warm. Read backwards: one that comes takes from each its share."""
    members = named(names, data.draw(st.lists(weights, min_size=len(names), max_size=len(names))))
    before = {key: owner(members, key) for key in keys}
    gone = data.draw(st.sampled_from(names))
    left = {name: load for name, load in members.items() if name != gone}
    for key, was in before.items():
        assert owner(left, key) == was or was == gone


@given(data=st.data(), names=names, keys=keys, heavier=weights)
def test_a_new_weight_moves_keys_only_to_or_from_its_member(
    data: st.DataObject, names: list[str], keys: list[bytes], heavier: int
) -> None:
    """More weight draws keys to it, less sends some away; between others nothing moves."""
    members = named(names, [10] * len(names))
    before = {key: owner(members, key) for key in keys}
    changed = data.draw(st.sampled_from(names))
    members[changed].weight = heavier
    for key, was in before.items():
        now = owner(members, key)
        assert now == was or (now == changed if heavier > 10 else was == changed)


@given(names=names, keys=keys, dice=rolls)
def test_the_order_of_the_members_does_not_matter(
    names: list[str], keys: list[bytes], dice: random.Random
) -> None:
    """Workers, machines and confs agree on who owns a key."""
    members = named(names, [1] * len(names))
    shuffled = dict(dice.sample(list(members.items()), len(members)))
    assert [owner(members, key) for key in keys] == [owner(shuffled, key) for key in keys]


def test_keys_spread_by_weight() -> None:
    """Two to one is two to one, within a few in a hundred."""
    members = named(["a:80", "b:80", "c:80"], [2, 1, 1])
    owners = Counter(owner(members, b"user-%d" % number) for number in range(8000))
    assert owners["a:80"] == pytest.approx(4000, rel=0.05)
    assert owners["b:80"] == pytest.approx(2000, rel=0.05)


# --- slow start ---


@given(weight=weights, seconds=st.floats(0, 3 * SLOW_START))
def test_the_share_grows_to_the_weight(weight: int, seconds: float) -> None:
    """From a tenth, never back, never beyond."""
    load = Load(weight)
    load.starts_slowly(NOW)
    share, later = load.share(NOW + seconds), load.share(NOW + seconds + 1)
    assert weight * FIRST_SHARE <= share <= later <= weight
    if seconds >= SLOW_START:
        assert share == weight


@pytest.mark.parametrize("balance", [p2c, roundrobin], ids=["p2c", "roundrobin"])
def test_a_slow_starter_gets_less(balance: Balance) -> None:
    """At first a tenth of what the other gets, or still less."""
    dice = random.Random(1)
    back, other = Load(), Load()
    back.starts_slowly(NOW)
    turns = Counter(balance([back, other], NOW, dice) for _ in range(1100))
    assert turns[0] <= 100
    assert turns[1] >= 1000
