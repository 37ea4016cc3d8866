"""Choosing a member: health before load."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.clients.balance import BALANCES, Load
from skitaid.workers.clients.cluster import Cluster, ClusterMember
from skitaid.workers.clients.health import FAILURES
from skitaid.workers.clients.keeper import Address, ConnectionKeeper

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
        member = ClusterMember(keeper, Load())
        for _ in range(FAILURES if is_ejected else 0):
            member.failed(member.asked(NOW), NOW, MIDDLE)
        members.append(member)
    return Cluster("all", members, BALANCES[balance], random.Random(1))


@given(ejected=st.lists(st.booleans(), min_size=1, max_size=6), balance=balances)
def test_ejected_members_are_left_out_unless_all_are(
    loop: asyncio.AbstractEventLoop, ejected: list[bool], balance: str
) -> None:
    """When all look dead, any may be the one that is not."""
    cluster = cluster_of(loop, ejected, balance)
    for _ in range(10):
        chosen = cluster.choose(NOW, ())
        assert chosen is not None
        assert all(ejected) or chosen.health.may_ask(NOW)


@given(ejected=st.lists(st.booleans(), min_size=1, max_size=6), balance=balances)
def test_each_is_tried_once_and_the_ejected_ones_last(
    loop: asyncio.AbstractEventLoop, ejected: list[bool], balance: str
) -> None:
    """A failing over call comes to everybody, and then to an end."""
    cluster = cluster_of(loop, ejected, balance)
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
