"""How one server is started, stopped and signalled: the steps that the fleet's rules share.

As pure as `decide`: the book changes, what is to be done is returned.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from skitaid.fleet.actions import Action, Signal
from skitaid.fleet.server import Server, State

STOP_TIME = 10.0  # seconds for a fast stop: a master gives its workers 3, the rest is margin


def start(servers: Iterable[Server], now: float) -> None:
    """Somebody has stepped in, so the past is forgotten. Each is run when it is its turn."""
    for server in servers:
        server.backoff.reset()
        server.failure = None
        server.is_held = False
        server.is_removed = False
        if server.state is State.STOPPING:
            server.start_again = True
        elif server.state in (State.STOPPED, State.WAITING):
            server.move(State.QUEUED, now)


def stop(servers: Iterable[Server], graceful: bool, now: float) -> list[Action]:
    """Each stays down until somebody starts it."""
    return [action for server in servers for action in _stop_one(server, graceful, now)]


def _stop_one(server: Server, graceful: bool, now: float) -> list[Action]:
    """A fast stop overtakes a graceful one; a graceful one has its own end in the master."""
    server.start_again = False
    server.is_held = True
    if server.state in (State.WAITING, State.QUEUED):
        server.move(State.STOPPED, now)
    elif server.has_master and server.kill_at is None:
        if server.state is State.STOPPING and graceful:
            return []
        if server.state is not State.STOPPING:
            server.move(State.STOPPING, now)
        if not graceful:
            server.kill_at = now + STOP_TIME
        number = signal.SIGQUIT if graceful else signal.SIGTERM
        # A master that somebody has stopped would hear it when it is continued, so it is.
        return [Signal(server.name, number), Signal(server.name, signal.SIGCONT)]
    return []


def tell(server: Server, number: signal.Signals) -> list[Action]:
    """Signal a running master. One that boots would die of it, so it hears when it is ready."""
    if server.state is State.RUNNING:
        return [Signal(server.name, number)]
    if server.state is State.STARTING and number not in server.when_ready:
        server.when_ready.append(number)
    return []


def told_when_ready(server: Server) -> list[Action]:
    """What it was spared while it booted."""
    numbers, server.when_ready = server.when_ready, []
    return [Signal(server.name, number) for number in numbers]
