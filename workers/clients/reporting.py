"""How the members of a cluster are, as records: for the command line, status pages and apps.

The one place where a worker says it. From any thread: each number is right by itself, two of them
may be of different moments.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from skitaid.workers.member_report import ERROR_MAX, PAGE, MemberReport

from .cluster import Cluster, ClusterMember
from .pg_keeper import PgKeeper


def page(cluster: Cluster | None, start: int) -> tuple[int, list[MemberReport]]:
    """How many members there are, and `PAGE` of them at most; (0, []) for no cluster."""
    if cluster is None:
        return 0, []
    members = cluster.members
    return len(members), reports(members[start : start + PAGE])


def reports(members: Sequence[ClusterMember]) -> list[MemberReport]:
    """Of each, in this order."""
    now = time.monotonic()
    to_unix = time.time() - now
    return [_report(member, now, to_unix) for member in members]


def _last_error(member: ClusterMember, to_unix: float) -> tuple[str, float]:
    """What it is, and when, in Unix time; ("", 0.0) for none."""
    at = member.failed_at + to_unix if member.last_error else 0.0
    keeper: Any = member.keeper
    if isinstance(keeper, PgKeeper) and keeper.figures.last_error_at > at:  # also of an idle one
        return keeper.figures.last_error, keeper.figures.last_error_at
    return member.last_error, at


def _figures(member: ClusterMember) -> dict[str, int]:
    keeper: Any = member.keeper
    if not isinstance(keeper, PgKeeper):
        return {}
    figures = keeper.figures
    return {
        "opened": figures.opened,
        "closed_by_age": figures.closed_by_age,
        "waited": figures.waited,
    }


def _report(member: ClusterMember, now: float, to_unix: float) -> MemberReport:
    load, health = member.load, member.health
    pools = [keeper.pool for keeper in member.keepers]
    error, error_at = _last_error(member, to_unix)
    ejected_for = max(0.001, health.ejected_until - now) if health.ejections else 0.0
    return MemberReport(
        node=member.node,
        state=member.state,
        weight=load.weight,
        in_flight=load.in_flight,
        latency=load.latency if load.measured_at else 0.0,
        ejections=member.ejections,
        ejected_for=ejected_for,
        is_down=health.is_down,
        last_error=error[:ERROR_MAX],
        last_error_at=error_at,
        idle=sum(len(pool.idle) for pool in pools),
        busy=sum(len(pool.busy) for pool in pools),
        opening=sum(pool.opening for pool in pools),
        waiting=sum(len(pool.waiting) for pool in pools),
        cap=sum(pool.cap for pool in pools),
        **_figures(member),
    )
