"""Clusters of servers that run: how their members are, and what an operator says of them.

    [{"server": "web", "cluster": "mysearch", "workers": 2, "silent": 0, "members":
        [{"node": "s1:5000", "state": "enabled", "weight": 1, "in_flight": 3, "latency": 0.012,
          "ejections": 0, "ejected": 0, "ejected_for": null, "down": 0, "workers": 2,
          "last_error": "", "last_error_at": null,
          "idle": 4, "busy": 3, "opening": 0, "waiting": 0, "cap": 512}]}]

All numbers are of the workers that have answered, taken together; `silent` is how many have not.
`state` is what an operator wants. `ejected` and `down` are how many workers leave a member alone,
for its failures or by its checks. Latencies and ages are seconds, `last_error_at` is a Unix time.

A cluster is named by its section, with or without the @. Several servers may have one of that name:
a machine that is taken out of service is taken out for all of them, unless one is named.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from skitaid import masters
from skitaid.errors import SkitaidError, did_you_mean
from skitaid.paths import Paths
from skitaid.supervisor.control_records import (
    ChangeMembers,
    ClusterList,
    ClusterStatus,
    ListClusters,
    MemberStatus,
    ShowCluster,
)
from skitaid.workers.standing import State


class ClusterView(msgspec.Struct, frozen=True):
    """A cluster of one server."""

    server: str
    cluster: str  # without the @
    workers: int
    silent: int
    members: list[MemberStatus]


def view(paths: Paths, cluster: str | None, server: str | None) -> list[ClusterView]:
    """Those of this name, or all; of this server, or of all that run. Raises `SkitaidError`."""
    return [_view(paths, *each) for each in _chosen(paths, cluster, server)]


def change(
    paths: Paths,
    cluster: str,
    server: str | None,
    nodes: Sequence[str],
    state: State | None = None,
    weight: int | None = None,
) -> list[ClusterView]:
    """Say something of members, wherever they are members; how they are then.

    Raises `SkitaidError`, and changes nothing, for one that no server has.
    """
    before = view(paths, cluster, server)
    _refuse_unknown(before, nodes)
    for each in before:
        have = {member.node for member in each.members}
        of_this = [node for node in nodes if node in have]
        if of_this:
            request = ChangeMembers(each.cluster, of_this, state, weight)
            masters.reply_of(paths, each.server, request)
    return [_view(paths, each.server, each.cluster) for each in before]


def _chosen(paths: Paths, cluster: str | None, server: str | None) -> list[tuple[str, str]]:
    """(server, cluster)"""
    running = masters.running(paths) if server is None else [server]
    if not running:
        raise SkitaidError("no server is running; skitaid start starts all enabled servers")
    there = [(name, each) for name in running for each in _clusters(paths, name)]
    if cluster is None:
        return there
    wanted = cluster.removeprefix("@")
    chosen = [pair for pair in there if pair[1] == wanted]
    if not chosen:
        known = sorted({each for _, each in there})
        raise SkitaidError(
            f"{', '.join(running)}: no cluster [@{wanted}] of HTTP servers"
            f"{did_you_mean(wanted, known)}; there are: "
            f"{', '.join(f'@{each}' for each in known) or 'none'}"
        )
    return chosen


def _clusters(paths: Paths, server: str) -> list[str]:
    reply = masters.reply_of(paths, server, ListClusters())
    if not isinstance(reply, ClusterList):
        raise SkitaidError(f"{server} answers as another version does; skitaid restart {server}")
    return reply.names


def _view(paths: Paths, server: str, cluster: str) -> ClusterView:
    members: list[MemberStatus] = []
    while True:  # as many as fit into one packet at a time
        reply = masters.reply_of(paths, server, ShowCluster(cluster, len(members)))
        assert isinstance(reply, ClusterStatus)  # whoever knows `ListClusters` answers so
        members += reply.members
        if not reply.members or len(members) >= reply.total:
            return ClusterView(server, cluster, reply.workers, reply.silent, members)


def _refuse_unknown(views: Sequence[ClusterView], nodes: Sequence[str]) -> None:
    known = list(dict.fromkeys(member.node for each in views for member in each.members))
    for node in nodes:
        if node not in known:
            where = f"[@{views[0].cluster}]"
            raise SkitaidError(
                f"{where} has no member {node}{did_you_mean(node, known)};"
                f" its members are: {', '.join(known) or 'none'}"
            )
