"""`skitaid status --watch`: the same table again and again, with requests per second.

Asks everybody once a second, as figures change without anybody telling. A command of an
operator who looks may poll; what serves may not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from msgspec import field
from rich.console import Console, RenderableType
from rich.live import Live

from skitaid.paths import Paths
from skitaid.status import FleetView, view
from skitaid.status_text import console, fleet_text

EVERY = 1.0  # seconds between two looks


class Rates(msgspec.Struct):
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
    """Show it until Ctrl-C."""
    screen, rates = console(), Rates()

    def text() -> RenderableType:
        fleet = view(paths)
        return fleet_text(fleet, rates.of(fleet, time.monotonic()), screen.width)

    again_and_again(screen, text)


def again_and_again(screen: Console, text: Callable[[], RenderableType]) -> None:
    """What there is to show, until Ctrl-C. Where there is no terminal, it is printed each time."""
    try:
        if screen.is_terminal:
            _redraw(screen, text)
        else:
            while True:
                screen.print(text())
                time.sleep(EVERY)
    except KeyboardInterrupt:
        pass  # that is how one leaves


def _redraw(screen: Console, text: Callable[[], RenderableType]) -> None:
    with Live(text(), console=screen, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY)
            live.update(text(), refresh=True)
