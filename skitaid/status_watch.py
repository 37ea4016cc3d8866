"""`skitaid status --watch`: the same table again and again, with requests per second.

Asks everybody once a second, as figures change without anybody telling. A command of an
operator who looks may poll; what serves may not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.live import Live

from skitaid.paths import Paths
from skitaid.status import FleetView, view
from skitaid.status_text import console, fleet_text

EVERY = 1.0  # seconds between two looks


@dataclass(slots=True)
class Rates:
    """Requests per second between two looks. Pure; times are the caller's."""

    at: float = 0.0
    counts: dict[int, int] = field(default_factory=dict)  # by the pid of the worker

    def of(self, fleet: FleetView, now: float) -> dict[str, float]:
        """By server, since the last call. A worker that is new counts from its beginning."""
        seconds = now - self.at
        workers = [(server.name, worker) for server in fleet.servers for worker in server.workers]
        rates = dict.fromkeys((server.name for server in fleet.servers), 0.0)
        if self.counts:
            for name, worker in workers:
                grown = worker.requests - self.counts.get(worker.pid, 0)
                rates[name] += max(0, grown) / seconds
        self.at = now
        self.counts = {worker.pid: worker.requests for _, worker in workers}
        return rates


def watch(paths: Paths) -> None:
    """Show it until Ctrl-C. Where there is no terminal, each new table is printed."""
    screen, rates = console(), Rates()
    try:
        if screen.is_terminal:
            _redraw(paths, screen, rates)
        else:
            while True:
                screen.print(_text(paths, screen, rates))
                time.sleep(EVERY)
    except KeyboardInterrupt:
        pass  # that is how one leaves


def _redraw(paths: Paths, screen: Console, rates: Rates) -> None:
    with Live(_text(paths, screen, rates), console=screen, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY)
            live.update(_text(paths, screen, rates), refresh=True)


def _text(paths: Paths, screen: Console, rates: Rates) -> RenderableType:
    fleet = view(paths)
    return fleet_text(fleet, rates.of(fleet, time.monotonic()), screen.width)
