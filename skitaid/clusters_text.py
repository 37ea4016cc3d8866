"""Clusters as people read them: a table for each, and below it what went wrong last."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from skitaid.clusters import ClusterView
from skitaid.status_text import age
from skitaid.supervisor.control_records import MemberStatus
from skitaid.workers.standing import State

WORDS = ("member", "state")
NUMBERS = ("weight", "in-flight", "latency", "ejections", "busy", "idle", "opening", "waiting")


def clusters_text(views: Sequence[ClusterView]) -> RenderableType:
    """One below the other."""
    if not views:
        return Text("the servers that run have no clusters of HTTP servers")
    return Group(*(part for view in views for part in _parts(view)))


def _parts(view: ClusterView) -> list[RenderableType]:
    return [_headline(view), *([_table(view)] if view.members else []), *_errors(view)]


def _headline(view: ClusterView) -> Text:
    silent = f", {view.silent} gave no answer" if view.silent else ""
    count = "1 worker" if view.workers == 1 else f"{view.workers} workers"
    nobody = "" if view.members else ": no members are known"
    return Text(f"[@{view.cluster}] of {view.server}, {count}{silent}{nobody}")


def _table(view: ClusterView) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in (*WORDS, *NUMBERS):
        justify: JustifyMethod = "right" if name in NUMBERS else "left"
        table.add_column(name, justify=justify, no_wrap=True)
    for member in view.members:
        cells = (member.node, state(member), *_numbers(member))
        table.add_row(*(Text(cell, style=_style(cell)) for cell in cells))
    return table


def _numbers(member: MemberStatus) -> tuple[str, ...]:
    return (
        str(member.weight),
        str(member.in_flight),
        "" if member.latency is None else f"{member.latency * 1000:.1f} ms",
        str(member.ejections),
        str(member.busy),
        str(member.idle),
        str(member.opening),
        str(member.waiting),
    )


def state(member: MemberStatus) -> str:
    """What an operator has said comes first, then what its checks say, then its failures."""
    if member.state is State.DRAINED:
        return "draining" if member.in_flight else "drained"
    if member.state is State.DISABLED:
        return "disabled"
    if member.down:
        return "down"
    if member.ejected_for is not None:
        in_some = f" by {member.ejected} of {member.workers}" if member.workers > 1 else ""
        return f"ejected{in_some}, {member.ejected_for:.0f} s left"
    return "up"


def _style(cell: str) -> str:
    return {"up": "green", "down": "red"}.get(cell.partition(",")[0], "")


def _errors(view: ClusterView) -> list[Text]:
    """Not in the table, as sentences do not fit into a cell."""
    return [
        Text(f"{age(member.last_error_at)} ago: {member.last_error}")
        for member in view.members
        if member.last_error_at is not None
    ]
