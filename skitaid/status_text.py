"""The answer of `status` as people read it."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Mapping
from itertools import compress

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from skitaid.status import FleetView, ServerView
from skitaid.supervisor.expiry import DAY, SOON

STATE_STYLES = {"running": "green", "waiting": "red", "stopped": "dim"}  # else yellow
WORDS = ("server", "state", "address", "pid", "workers", "for")
NUMBERS = ("gen", "req/s", "in-flight", "parked", "conns", "RSS")

# What there is no room for on a terminal narrower than so many columns; it would break the lines.
NARROW = {120: {"address"}, 100: {"pid", "gen", "parked"}}
WIDTH = 200  # columns, where there is no terminal to ask


def console() -> Console:
    """Writes to stdout: in colours and as wide as the terminal, or plain."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(width=WIDTH, highlight=False)


def fleet_text(
    view: FleetView, rates: Mapping[str, float] | None = None, width: int = WIDTH
) -> RenderableType:
    """A line on the fleet, a row per server, and what went wrong last.

    `rates` are requests per second by server; without them it is how many there were in all.
    """
    if not view.servers:
        return Text(_headline(view))
    table = _table(view, rates, width)
    certificates = [line for server in view.servers for line in _certificates(server)]
    return Group(_headline(view), table, *certificates, *_complaints(view), *_errors(view))


def _headline(view: FleetView) -> str:
    if view.started is None:
        return "skitaid is not running"
    return f"skitaid runs (pid {view.pid}), up {age(view.started)}"


def _table(view: FleetView, rates: Mapping[str, float] | None, width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    hidden = set().union(*(names for below, names in NARROW.items() if width < below))
    shown = [name not in hidden for name in (*WORDS, *NUMBERS)]
    for name in compress((*WORDS, *NUMBERS), shown):
        justify: JustifyMethod = "right" if name in NUMBERS else "left"
        # A rate wants two looks; one look knows how many there were.
        header = "requests" if name == "req/s" and rates is None else name
        table.add_column(header, justify=justify, no_wrap=True)
    for server in view.servers:
        cells = (*_words(server), *_numbers(server, rates))
        table.add_row(*map(_cell, compress(cells, shown)))
    return table


def _words(server: ServerView) -> tuple[Text | str, ...]:
    return (
        server.name,
        Text(_state(server), style=STATE_STYLES.get(server.state, "yellow")),
        server.address,
        str(server.pid or ""),
        _workers(server),
        age(server.since),
    )


def _numbers(server: ServerView, rates: Mapping[str, float] | None) -> tuple[str, ...]:
    if not server.workers:
        return ("",) * len(NUMBERS)
    requests = sum(w.requests for w in server.workers)
    return (
        str(server.generation or ""),
        f"{requests}" if rates is None else f"{rates.get(server.name, 0.0):.0f}",
        str(sum(w.in_flight for w in server.workers)),
        str(sum(w.parked for w in server.workers)),
        str(sum(w.connections for w in server.workers)),
        f"{sum(w.rss for w in server.workers) / 2**20:.0f} MiB",
    )


def _cell(content: Text | str) -> Text:
    """Nothing of a server's log is to be taken for markup."""
    return content if isinstance(content, Text) else Text(content)


def _state(server: ServerView) -> str:
    tries = _next_try(server) if server.state == "waiting" else []
    return ", ".join([server.state, *tries])


def _next_try(server: ServerView) -> list[str]:
    """Of the server itself, or of a worker; nothing if none is waited for."""
    if server.again_at is None:
        return []
    wait = max(0.0, server.again_at - time.time())
    return [f"try {server.failures + 1} in {wait:.0f} s"]


def _workers(server: ServerView) -> str:
    """How many are ready of those there shall be, and how many are on their way in or out."""
    ready = sum(w.state == "ready" for w in server.workers)
    if not server.processes:
        return ""
    count = str(ready) if ready == server.processes else f"{ready} of {server.processes}"
    others = Counter(w.state for w in server.workers if w.state != "ready")
    states = [f"{number} {state}" for state, number in others.items()]
    return ", ".join([count, *states, *_next_try(server)])


def _certificates(server: ServerView) -> list[Text]:
    """A line for each, that stands out when it is time for another one."""
    lines = []
    for each in server.certificates:
        left = each.not_after - time.time()
        date = time.strftime("%Y-%m-%d", time.gmtime(each.not_after))
        until = f"until {date}, {int(left // DAY)} days" if left > 0 else f"over since {date}"
        text = f"{server.name}: certificate for {', '.join(each.names)}: {until} ({each.file})"
        lines.append(Text(text, style="dim" if left >= SOON else "red"))
    return lines


def _complaints(view: FleetView) -> list[Text]:
    return [
        Text(f"{server.name}: its conf has mistakes and is not taken over:\n{server.complaints}")
        for server in view.servers
        if server.complaints
    ]


def _errors(view: FleetView) -> list[Text]:
    """Below the table, as tracebacks do not fit into a cell."""
    return [
        Text(f"{server.name}, {age(server.last_error_at)} ago: {server.last_error}")
        for server in view.servers
        if server.last_error_at is not None
    ]


def age(unix_time: float) -> str:
    """As 3 days, 4:05:06."""
    return str(datetime.timedelta(seconds=max(0, int(time.time() - unix_time))))
