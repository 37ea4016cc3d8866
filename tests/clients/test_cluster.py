"""Choosing a member: health before load."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from skitaid.workers.clients.balance import BALANCES, SILENCE, Load, digest
from skitaid.workers.clients.cluster import PANIC, Cluster, ClusterMember
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.health import FAILURES
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.standing import Standing, State

NOW = 1000.0
MIDDLE = 0.5
balances = st.sampled_from(sorted(BALANCES))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One that never runs: choosing does no I/O."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def cluster_of(loop: asyncio.AbstractEventLoop, ejected: list[bool], balance: str) -> Cluster:
    """A cluster with a member for each, ejected for a second if so."""
    members = []
    for number, is_ejected in enumerate(ejected):
        keeper = ConnectionKeeper(loop, Address("10.0.0.1", 1000 + number), 1)
        member = ClusterMember(keeper, Load(identity=digest(keeper.node.encode())))
        for _ in range(FAILURES if is_ejected else 0):
            member.failed(member.asked(NOW), NOW, MIDDLE, "it is out of order")
        members.append(member)
    return Cluster("all", members, balance, random.Random(1))


@given(ejected=st.lists(st.booleans(), min_size=1, max_size=6), balance=balances)
def test_ejected_members_are_left_out_unless_too_few_are_left(
    loop: asyncio.AbstractEventLoop, ejected: list[bool], balance: str
) -> None:
    """When most look dead, any may be one that is not."""
    cluster = cluster_of(loop, ejected, balance)
    for _ in range(10):
        chosen = cluster.choose(NOW, ())
        assert chosen is not None
        assert ejected.count(False) < PANIC * len(ejected) or chosen.health.may_ask(NOW)


def test_in_a_panic_as_many_ejected_members_are_asked_as_can_fail_over(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """They may really be dead: then the calls that came to them need the budget for another try."""
    cluster = cluster_of(loop, [True, True, False], "roundrobin")
    affordable = cluster.budget.left(NOW)
    asked = [cluster.choose(NOW, ()) for _ in range(3)]
    assert None not in asked
    assert len(set(asked)) == 3
    ejected = cluster.members[0]
    ejected.load.in_flight = affordable - 1
    assert {cluster.choose(NOW, ()) for _ in range(3)} == set(cluster.members)
    ejected.load.in_flight = affordable
    assert {cluster.choose(NOW, ()) for _ in range(3)} == {cluster.members[2]}


def test_in_a_panic_without_a_budget_the_healthy_ones_are_asked(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """And if there are none, all the same everybody."""
    cluster = cluster_of(loop, [True, True, False], "p2c")
    while cluster.budget.take(NOW):
        pass
    assert {cluster.choose(NOW, ()) for _ in range(20)} == {cluster.members[2]}
    lost = cluster_of(loop, [True, True], "p2c")
    while lost.budget.take(NOW):
        pass
    assert {lost.choose(NOW, ()) for _ in range(20)} == set(lost.members)


@given(ejected=st.lists(st.booleans(), min_size=1, max_size=6), balance=balances)
def test_each_is_tried_once_and_the_ejected_ones_last(
    loop: asyncio.AbstractEventLoop, ejected: list[bool], balance: str
) -> None:
    """A failing over call comes to everybody, and then to an end."""
    cluster = cluster_of(loop, ejected, balance)
    while cluster.budget.take(NOW):
        pass  # so that there is no panic
    tried: list[ClusterMember] = []
    while (chosen := cluster.choose(NOW, tried)) is not None:
        assert chosen not in tried
        tried.append(chosen)
    assert len(tried) == len(ejected)
    looked_dead = [not member.health.may_ask(NOW) for member in tried]
    assert looked_dead == sorted(looked_dead)


def test_one_request_probes_a_member_whose_time_is_over(loop: asyncio.AbstractEventLoop) -> None:
    """The others go elsewhere until it has answered."""
    cluster = cluster_of(loop, [True, False], "leastconn")
    back, healthy = cluster.members
    healthy.load.in_flight = 10  # so the balancer would like the other one better
    assert cluster.choose(NOW, ()) is healthy
    later = NOW + 2
    assert cluster.choose(later, ()) is back
    assert back.asked(later)
    assert cluster.choose(later, ()) is healthy
    back.answered(0.01, later)
    assert cluster.choose(later, ()) is back


def test_a_member_that_is_back_starts_slowly(loop: asyncio.AbstractEventLoop) -> None:
    """A tenth of its weight at first, then more and more; an answer in between is no return."""
    cluster = cluster_of(loop, [True, False], "p2c")
    back, healthy = cluster.members
    later = NOW + 2
    for member in cluster.members:
        member.asked(later)
        member.answered(0.01, later)
    assert healthy.load.share(later) == 1
    shares = [back.load.share(later + seconds) for seconds in (0, 0.5, 5, 10, 100)]
    assert shares == pytest.approx([0.1, 0.1, 0.5, 1, 1])
    back.asked(later + 5)
    back.answered(0.01, later + 5)
    assert back.load.share(later + 10) == 1


def test_silence_up_to_a_long_deadline_ejects(loop: asyncio.AbstractEventLoop) -> None:
    """Three requests, given up one after the other, of which nothing was heard."""
    (member,) = cluster_of(loop, [False], "p2c").members
    for _ in range(FAILURES):
        assert member.health.may_ask(NOW)
        member.unheard(member.asked(NOW), SILENCE, NOW + SILENCE, MIDDLE)
    assert not member.health.may_ask(NOW + SILENCE)
    assert member.load.in_flight == 0


def test_short_deadlines_do_not_eject(loop: asyncio.AbstractEventLoop) -> None:
    """The app had no time; the member may be as well as ever."""
    (member,) = cluster_of(loop, [False], "p2c").members
    for _ in range(100):
        member.unheard(member.asked(NOW), SILENCE / 2, NOW + SILENCE / 2, MIDDLE)
    assert member.health.may_ask(NOW + SILENCE)


def test_deadlines_that_its_usual_answers_miss_do_not_eject(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """A member that takes two seconds is not dead because an app waits for three."""
    (member,) = cluster_of(loop, [False], "p2c").members
    member.asked(NOW)
    member.answered(2.0, NOW)
    for _ in range(100):
        member.unheard(member.asked(NOW), 3.0, NOW + 3.0, MIDDLE)
    assert member.health.may_ask(NOW + 3.0)


def test_one_slow_path_does_not_eject(loop: asyncio.AbstractEventLoop) -> None:
    """The member has answered somebody else meanwhile, so it does not hang."""
    (member,) = cluster_of(loop, [False], "p2c").members
    for _ in range(100):
        slow = member.asked(NOW)
        member.asked(NOW + 1)
        member.answered(0.01, NOW + 1)
        for _ in range(FAILURES):
            member.unheard(slow, 3.0, NOW + 3.0, MIDDLE)
            member.asked(NOW)
    assert member.health.may_ask(NOW + 3.0)


def test_a_probe_that_hears_nothing_ejects_for_longer(loop: asyncio.AbstractEventLoop) -> None:
    """And one that was given little time leaves the next one to find out."""
    member, _ = cluster_of(loop, [True, False], "p2c").members
    later = NOW + 2
    member.unheard(member.asked(later), SILENCE / 2, later + SILENCE / 2, MIDDLE)
    assert member.health.may_ask(later + SILENCE)
    member.unheard(member.asked(later + 1), SILENCE, later + 1 + SILENCE, MIDDLE)
    assert member.health.ejections == 2


def test_a_key_goes_to_one_member_until_that_is_ejected(loop: asyncio.AbstractEventLoop) -> None:
    """Then to one other, always the same; it comes home when the first is back."""
    cluster = cluster_of(loop, [False] * 5, "hash")
    (home,) = {cluster.choose(NOW, (), 12345) for _ in range(50)}
    assert home is not None
    for _ in range(FAILURES):
        home.failed(home.asked(NOW), NOW, MIDDLE, "it is out of order")
    (refuge,) = {cluster.choose(NOW, (), 12345) for _ in range(50)}
    assert refuge is not home
    assert cluster.choose(NOW, [home], 12345) is refuge
    assert cluster.choose(NOW + 2, (), 12345) is home


class AnyMembership(RuleBasedStateMachine):
    """Members come and go, operators have their say, calls begin and end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = NOW
        self.cluster = Cluster("all", [], "p2c", random.Random(1))
        self.said: dict[str, State] = {}
        self.out: list[ClusterMember] = []

    @rule(ports=st.lists(st.integers(1, 6), unique=True))
    def become(self, ports: list[int]) -> None:
        """Those who stay are the same objects, as whoever follows names sees to it."""
        there = {member.node: member for member in self.cluster.members}
        keepers = [ConnectionKeeper(self.loop, Address("10.0.0.1", port), 1) for port in ports]
        members = [there.get(each.node) or ClusterMember(each, Load()) for each in keepers]
        self.cluster.become(members, self.now)

    @rule(port=st.integers(1, 6), state=st.sampled_from(State), is_forgiven=st.booleans())
    def stand(self, port: int, state: State, is_forgiven: bool) -> None:
        node = f"10.0.0.1:{port}"
        self.cluster.stand(Standing("all", node, state), self.now, is_forgiven=is_forgiven)
        self.said[node] = state

    @rule()
    def ask(self) -> None:
        chosen = self.cluster.choose(self.now, ())
        assert (chosen is None) == (not self.cluster.open)
        if chosen is not None:
            assert chosen.state is State.ENABLED
            assert chosen in self.cluster.members
            chosen.asked(self.now)
            self.out.append(chosen)

    @precondition(lambda self: self.out)
    @rule(answers=st.booleans(), data=st.data())
    def end(self, answers: bool, data: st.DataObject) -> None:
        member = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        if answers:
            member.answered(0.01, self.now)
        else:
            member.failed(False, self.now, MIDDLE, "it is out of order")

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.cluster.forget_gone()

    @invariant()
    def books_are_right(self) -> None:
        """Who is asked is who is enabled; who left is remembered as long as it has calls out."""
        members = self.cluster.members
        enabled = [m for m in members if self.said.get(m.node, State.ENABLED) is State.ENABLED]
        assert self.cluster.open == enabled
        assert self.cluster.nodes == tuple(member.node for member in enabled)
        for member in {*self.out}:
            assert member.load.in_flight == self.out.count(member)
            assert member in members or member in self.cluster.leaving
            assert self.cluster.named(member.node) is not None

    def teardown(self) -> None:
        self.loop.close()


TestAnyMembership = AnyMembership.TestCase


def test_without_a_key_hash_takes_anybody(loop: asyncio.AbstractEventLoop) -> None:
    """The better one of two, as p2c."""
    cluster = cluster_of(loop, [False] * 5, "hash")
    assert {cluster.choose(NOW, ()) for _ in range(200)} == set(cluster.members)
