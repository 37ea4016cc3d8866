"""What the fleet does about what happened: pure, like the master's `decide`.

A master's exit code says what it wants: 0 it was shut down and stays down, 3 start it again
now, anything else is a failure and tried again with growing pauses. One broken server never
touches the others; only a fleet of which no server comes up at its start ends itself.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable
from typing import assert_never

from skitaid.fleet.actions import Action, FleetAnswer, Settled, Signal, Spawn
from skitaid.fleet.book import Book, Caller, Stage
from skitaid.fleet.events import (
    Event,
    FleetAsked,
    FleetStarted,
    MasterDied,
    MasterReady,
    MasterSpawned,
    SpawnFailed,
)
from skitaid.fleet.records import Restart, Start, Status, Stop
from skitaid.fleet.server import Failure, Server, State
from skitaid.supervisor.actions import Exit, Log
from skitaid.supervisor.control_records import Refused
from skitaid.supervisor.events import StopWanted, TimePassed
from skitaid.supervisor.exit_code import describe
from skitaid.workers.control import EXIT_CLEAN, EXIT_RESTART

STOP_TIME = 10.0  # seconds for a fast stop: a master gives its workers 3, the rest is margin


def decide(book: Book, event: Event, now: float) -> list[Action]:
    """Note the event in the book; return what is to be done, in order."""
    return [*_apply(book, event, now), *_settle(book, now)]


def _apply(book: Book, event: Event, now: float) -> list[Action]:
    match event:
        case TimePassed():
            return []
        case FleetStarted():
            return [_spawn(book.server(name, now), now) for name in event.names]
        case MasterSpawned():
            return _spawned(book.servers[event.name], event)
        case SpawnFailed():
            return _failed(book.servers[event.name], Failure(event.reason, now, 0, 0))
        case MasterReady():
            return _ready(book.servers[event.name], now)
        case MasterDied():
            return _died(book, event, now)
        case StopWanted():
            return _stop_fleet(book, event, now)
        case FleetAsked():
            return _asked(book, event, now)
        case _:
            assert_never(event)


def _spawn(server: Server, now: float) -> Action:
    server.move(State.STARTING, now)
    server.start_again = False
    return Spawn(server.name)


def _spawned(server: Server, event: MasterSpawned) -> list[Action]:
    server.pid = event.pid
    server.log_from = event.log_from
    return []


def _ready(server: Server, now: float) -> list[Action]:
    if server.state is not State.STARTING:  # its word crossed our signal
        return []
    server.move(State.RUNNING, now)
    return [Log(logging.INFO, f"{server.name} is ready (pid {server.pid})")]


def _died(book: Book, event: MasterDied, now: float) -> list[Action]:
    server = book.servers[event.name]
    server.pid, server.kill_at = 0, None
    why = f"master {describe(event.exit_code)}"
    if server.state is State.STOPPING:
        return _stopped(server, why, now)
    if event.exit_code == EXIT_CLEAN:
        server.move(State.STOPPED, now)
        return [Log(logging.INFO, f"{server.name} was shut down and stays down")]
    if event.exit_code == EXIT_RESTART and server.state is State.RUNNING:
        return [Log(logging.INFO, f"{server.name} wants a restart"), _spawn(server, now)]
    # Of a failed start its log knows the reason; of a sudden end only we know.
    log_from = event.log_to if server.state is State.RUNNING else server.log_from
    return _failed(server, Failure(why, now, log_from, event.log_to))


def _stopped(server: Server, why: str, now: float) -> list[Action]:
    server.move(State.STOPPED, now)
    log = Log(logging.INFO, f"{server.name} is stopped ({why})")
    return [log, _spawn(server, now)] if server.start_again else [log]


def _failed(server: Server, failure: Failure) -> list[Action]:
    server.failure = failure
    server.move(State.WAITING, failure.at)
    wait = server.backoff.failed(failure.at) - failure.at
    return [Log(logging.ERROR, f"{server.name}: {failure.why}; the next try is in {wait:.1f} s")]


def _stop_fleet(book: Book, event: StopWanted, now: float) -> list[Action]:
    book.stage = Stage.STOPPING
    how = "when all is answered" if event.graceful else "now"
    log = Log(logging.INFO, f"{event.cause}: stopping {how}")
    return [log, *_stop(book.servers.values(), event.graceful, now)]


def _stop(servers: Iterable[Server], graceful: bool, now: float) -> list[Action]:
    return [action for server in servers for action in _stop_one(server, graceful, now)]


def _stop_one(server: Server, graceful: bool, now: float) -> list[Action]:
    """A fast stop overtakes a graceful one; a graceful one has its own end in the master."""
    server.start_again = False
    if server.state is State.WAITING:
        server.move(State.STOPPED, now)
    elif server.has_master and server.kill_at is None:
        if server.state is State.STOPPING and graceful:
            return []
        if server.state is not State.STOPPING:
            server.move(State.STOPPING, now)
        if graceful:
            return [Signal(server.name, signal.SIGQUIT)]
        server.kill_at = now + STOP_TIME
        return [Signal(server.name, signal.SIGTERM)]
    return []


def _asked(book: Book, event: FleetAsked, now: float) -> list[Action]:
    request = event.request
    if isinstance(request, Status):
        return [FleetAnswer(event.ticket, book.report(book.servers, now))]
    if book.stage is Stage.STOPPING:
        return [FleetAnswer(event.ticket, Refused("skitaid is stopping"))]
    unknown = [name for name in request.names if name not in book.servers]
    if unknown and isinstance(request, Stop):
        reason = f"skitaid runs no server {unknown[0]}; it runs {', '.join(sorted(book.servers))}"
        return [FleetAnswer(event.ticket, Refused(reason))]
    servers = [book.server(name, now) for name in request.names]
    book.callers.append(Caller(event.ticket, tuple(request.names)))
    match request:
        case Start():
            return _start(servers, now)
        case Stop():
            return _stop(servers, request.graceful, now)
        case Restart():
            stopped = _stop([s for s in servers if s.has_master], request.graceful, now)
            return [*stopped, *_start(servers, now)]
        case _:
            assert_never(request)


def _start(servers: Iterable[Server], now: float) -> list[Action]:
    """Somebody has stepped in, so the past is forgotten."""
    actions: list[Action] = []
    for server in servers:
        server.backoff.reset()
        server.failure = None
        if server.state is State.STOPPING:
            server.start_again = True
        elif not server.has_master:
            actions.append(_spawn(server, now))
    return actions


def _settle(book: Book, now: float) -> list[Action]:
    actions = [_kill(server) for server in book.overdue(now)]
    actions += [_spawn(server, now) for server in book.due(now)]
    if book.stage is Stage.STARTING and book.all_settled(book.servers):
        actions += _started(book, now)
    actions += [
        FleetAnswer(caller.ticket, book.report(caller.names, now))
        for caller in book.take_settled_callers()
    ]
    if book.stage is Stage.STOPPING and not book.with_master():
        actions.append(Exit(book.exit_code))
    return actions


def _kill(server: Server) -> Action:
    server.kill_at = None  # SIGKILL needs no second
    return Signal(server.name, signal.SIGKILL)


def _started(book: Book, now: float) -> list[Action]:
    """The first tries are over. A fleet with nothing to watch but failures is no use."""
    book.stage = Stage.RUNNING
    actions: list[Action] = [Settled(book.report(book.servers, now))]
    if any(server.state is State.RUNNING for server in book.servers.values()):
        return actions
    book.stage, book.exit_code = Stage.STOPPING, 1
    log = Log(logging.ERROR, "no server came up; skitaid leaves")
    return [*actions, log, *_stop(book.servers.values(), graceful=False, now=now)]
