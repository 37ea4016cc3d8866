"""The answers of `start`, `restart` and `status` as people read them."""

from __future__ import annotations

import datetime
import textwrap
import time

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from skitaid.status import FleetView, ServerView

STATE_STYLES = {"running": "green", "waiting": "red", "stopped": "dim"}  # else yellow
COLUMNS = ("server", "state", "address", "pid", "workers", "for")
WIDTH = 200  # columns, where there is no terminal to ask


def console() -> Console:
    """Writes to stdout: in colours and as wide as the terminal, or plain."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(width=WIDTH, highlight=False)


def up_line(server: ServerView) -> str:
    """A server that has come up, for `start`."""
    return f"{server.name} is ready at {server.address} (pid {server.pid})"


def down_text(server: ServerView) -> str:
    """A server that has not, with its reason."""
    return (
        f"{server.name} is not up ({server.state}):\n{textwrap.indent(server.last_error, '    ')}"
    )


def what_next(down: list[ServerView], fleet_runs: bool) -> str:
    """What becomes of servers that did not come up."""
    names = ", ".join(server.name for server in down)
    if not fleet_runs:
        return "no server came up, so skitaid does not run"
    return f"{names}: tried again after growing pauses, until skitaid stop {down[0].name}"


def fleet_text(view: FleetView) -> RenderableType:
    """A line on the fleet, a row per server, and what went wrong last."""
    if not view.servers:
        return Text(_headline(view))
    return Group(_headline(view), _table(view), *_complaints(view), *_errors(view))


def _headline(view: FleetView) -> str:
    if view.started is None:
        return "skitaid is not running"
    return f"skitaid runs (pid {view.pid}), up {_age(view.started)}"


def _table(view: FleetView) -> Table:
    table = Table(*COLUMNS, box=SIMPLE_HEAD, pad_edge=False)
    for server in view.servers:
        table.add_row(*map(_cell, _cells(server)))
    return table


def _cells(server: ServerView) -> tuple[Text | str, ...]:
    return (
        server.name,
        Text(_state(server), style=STATE_STYLES.get(server.state, "yellow")),
        server.address,
        str(server.pid or ""),
        _workers(server),
        _age(server.since),
    )


def _cell(content: Text | str) -> Text:
    """Nothing of a server's log is to be taken for markup."""
    return content if isinstance(content, Text) else Text(content)


def _state(server: ServerView) -> str:
    if server.again_at is not None:
        wait = max(0.0, server.again_at - time.time())
        return f"waiting, try {server.failures + 1} in {wait:.0f} s"
    return server.state


def _workers(server: ServerView) -> str:
    """Pids of those that are ready; of others with their state; and how many are missing."""
    named = [f"{w.pid}" if w.state == "ready" else f"{w.pid} {w.state}" for w in server.workers]
    missing = server.processes - len(server.workers)
    return ", ".join([*named, *([f"{missing} missing"] if missing > 0 else [])])


def _complaints(view: FleetView) -> list[Text]:
    return [
        Text(f"{server.name}: its conf has mistakes and is not taken over:\n{server.complaints}")
        for server in view.servers
        if server.complaints
    ]


def _errors(view: FleetView) -> list[Text]:
    """Below the table, as tracebacks do not fit into a cell."""
    return [
        Text(f"{server.name}, {_age(server.last_error_at)} ago: {server.last_error}")
        for server in view.servers
        if server.last_error_at is not None
    ]


def _age(unix_time: float) -> str:
    """As 3 days, 4:05:06."""
    return str(datetime.timedelta(seconds=max(0, int(time.time() - unix_time))))
