"""The answer of `top` as people read it."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from skitaid.looks import Top

STYLES = {"waiting": "yellow", "queued": "red"}  # else none
NARROW = 100  # columns; below it ids are left out


def top_text(top: Top, width: int) -> RenderableType:
    """A row per request, and below it who is silent."""
    silent = [
        Text(
            f"{each.server}: worker {each.worker} gives no answer, its event loop hangs;"
            f" skitaid stacks {each.server} tells where",
            style="red",
        )
        for each in top.silent
    ]
    if not top.requests:
        return Group(Text("no request is in hand"), *silent)
    return Group(_table(top, is_wide=width >= NARROW), *silent)


def _table(top: Top, is_wide: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("worker", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("request", overflow="ellipsis", no_wrap=True)
    if is_wide:
        table.add_column("id", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    for each in top.requests:
        handler = f"{each.handler} " if each.handler else ""
        table.add_row(
            Text(f"{each.server}/{each.worker}"),
            Text(f"{each.age:.1f}s"),
            Text(each.state, style=STYLES.get(each.state, "")),
            Text(f"{each.method} {each.uri}"),
            *([Text(each.id)] if is_wide else []),
            Text(f"{handler}{each.doing}"),
        )
    return table
