"""What the fleet does about what happened: pure, like the master's `decide`.

A master's exit code says how it ended: 0 it was shut down and stays down, anything else is a
failure and tried again with growing pauses. One broken server never touches the others; only a
fleet of which no server comes up at its start ends itself.

Who is to be started is only queued. After every event `_settle` starts as many as may be
starting at once, so that a machine with 50 servers does not import 50 apps at the same time.
"""

from __future__ import annotations

import logging
import signal
from typing import assert_never

from skitaid.fleet import moves, records
from skitaid.fleet.actions import (
    Action,
    FleetAnswer,
    Look,
    ReadFleetConf,
    ReopenLog,
    Settled,
    Signal,
    Spawn,
)
from skitaid.fleet.book import Book, Caller, Stage
from skitaid.fleet.events import (
    ConfsSeen,
    ConfsTouched,
    Event,
    FleetAsked,
    FleetStarted,
    MasterDied,
    MasterReady,
    MasterSpawned,
    MeaninglessSignal,
    ReadWanted,
    RotateWanted,
    SpawnFailed,
)
from skitaid.fleet.follow import follow
from skitaid.fleet.server import Failure, Server, State
from skitaid.supervisor.actions import Bury, Exit, Log
from skitaid.supervisor.control_records import Refused
from skitaid.supervisor.events import ChildDied, StopWanted, TimePassed
from skitaid.supervisor.exit_code import describe
from skitaid.workers.control import EXIT_CLEAN


def decide(book: Book, event: Event, now: float) -> list[Action]:
    """Note the event in the book; return what is to be done, in order."""
    return [*_apply(book, event, now), *_settle(book, now)]


def _apply(book: Book, event: Event, now: float) -> list[Action]:
    match event:
        case TimePassed():
            return []
        case ChildDied():
            return [Bury()]
        case FleetStarted():
            return [Bury(), *follow(book, event.confs, now)]
        case ConfsTouched():
            book.touched(now)
            return []
        case ConfsSeen():
            return _seen(book, event, now)
        case MasterSpawned():
            return _spawned(book.servers[event.name], event)
        case SpawnFailed():
            return _failed(book.servers[event.name], Failure(event.reason, now, 0, 0))
        case MasterReady():
            return _ready(book.servers[event.name], now)
        case MasterDied():
            return _died(book, event, now)
        case ReadWanted():
            text = f"{event.cause}: reading skitaid.conf and servers-enabled again"
            return [Log(logging.INFO, text), ReadFleetConf(), Look()]
        case RotateWanted():
            return _rotate_all(book, event.cause)
        case MeaninglessSignal():
            return [Log(logging.INFO, f"{event.cause} is for a master, not for the fleet")]
        case StopWanted():
            return _stop_fleet(book, event, now)
        case FleetAsked():
            return _asked(book, event, now)
        case _:
            assert_never(event)


def _seen(book: Book, event: ConfsSeen, now: float) -> list[Action]:
    if book.stage is Stage.STOPPING:
        return []
    book.callers += book.lookers
    book.lookers = []
    return follow(book, event.confs, now)


def _spawn(server: Server, now: float) -> Action:
    server.move(State.STARTING, now)
    server.start_again = False
    server.when_ready = []
    return Spawn(server.name)


def _spawned(server: Server, event: MasterSpawned) -> list[Action]:
    server.pid = event.pid
    server.log_from = event.log_from
    server.digest = event.digest
    return []


def _ready(server: Server, now: float) -> list[Action]:
    if server.state is not State.STARTING:  # its word crossed our signal
        return []
    server.move(State.RUNNING, now)
    log = Log(logging.INFO, f"{server.name} is ready (pid {server.pid})")
    return [log, *moves.told_when_ready(server)]


def _died(book: Book, event: MasterDied, now: float) -> list[Action]:
    server = book.servers[event.name]
    server.pid, server.kill_at = 0, None
    why = f"master {describe(event.exit_code)}"
    if server.state is State.STOPPING:
        return _stopped(server, why, now)
    if event.exit_code == EXIT_CLEAN:
        server.move(State.STOPPED, now)
        server.is_held = True
        return [Log(logging.INFO, f"{server.name} was shut down and stays down")]
    # Of a failed start its log knows the reason; of a sudden end only we know.
    is_start = server.state is not State.RUNNING
    log_from = server.log_from if is_start else event.log_to
    last_words = event.said.rpartition("\n")[2] if is_start else ""
    return _failed(server, Failure(why, now, log_from, event.log_to), last_words)


def _stopped(server: Server, why: str, now: float) -> list[Action]:
    server.move(State.STOPPED, now)
    if server.start_again:
        server.start_again = False
        server.move(State.QUEUED, now)
    return [Log(logging.INFO, f"{server.name} is stopped ({why})")]


def _failed(server: Server, failure: Failure, last_words: str = "") -> list[Action]:
    """last_words: of the master, which the log of a container does not have."""
    server.failure = failure
    server.move(State.WAITING, failure.at)
    wait = server.backoff.failed(failure.at) - failure.at
    text = f"{server.name}: {failure.why}; the next try is in {wait:.1f} s"
    return [Log(logging.ERROR, f"{text}; its last words: {last_words}" if last_words else text)]


def _rotate_all(book: Book, cause: str) -> list[Action]:
    told = [a for server in book.servers.values() for a in moves.tell(server, signal.SIGUSR1)]
    return [ReopenLog(), Log(logging.INFO, f"{cause}: writing to new log files"), *told]


def _stop_fleet(book: Book, event: StopWanted, now: float) -> list[Action]:
    book.stage = Stage.STOPPING
    book.look_at = None
    how = "when all is answered" if event.graceful else "now"
    log = Log(logging.INFO, f"{event.cause}: stopping {how}")
    return [log, *moves.stop(book.servers.values(), event.graceful, now)]


def _asked(book: Book, event: FleetAsked, now: float) -> list[Action]:
    request = event.request
    if isinstance(request, records.Status):
        return [FleetAnswer(event.ticket, book.report(book.servers, now))]
    if book.stage is Stage.STOPPING:
        return [FleetAnswer(event.ticket, Refused("skitaid is stopping"))]
    if isinstance(request, records.Look):
        book.lookers.append(Caller(event.ticket, tuple(request.names)))
        return [Look()]
    if isinstance(request, records.Stop | records.Rotate):
        unknown = [name for name in request.names if name not in book.servers]
        if unknown:
            return [FleetAnswer(event.ticket, Refused(_unknown(book, unknown[0])))]
    if isinstance(request, records.Rotate):
        return _asked_to_rotate(book, event.ticket, request.names, now)
    book.callers.append(Caller(event.ticket, tuple(request.names)))
    servers = [book.server(name, now) for name in request.names]
    if isinstance(request, records.Stop):
        return moves.stop(servers, request.graceful, now)
    moves.start(servers, now)
    return []


def _unknown(book: Book, name: str) -> str:
    return f"skitaid runs no server {name}; it runs {', '.join(sorted(book.servers))}"


def _asked_to_rotate(book: Book, ticket: int, names: list[str], now: float) -> list[Action]:
    told = [a for server in book.named(names) for a in moves.tell(server, signal.SIGUSR1)]
    answer = FleetAnswer(ticket, book.report(names or book.servers, now))
    return [*(told if names else _rotate_all(book, "skitaid rotate")), answer]


def _settle(book: Book, now: float) -> list[Action]:
    actions = [_kill(server) for server in book.overdue(now)]
    actions += _look_if_due(book, now)
    for server in book.due(now):
        server.move(State.QUEUED, now)
    actions += [_spawn(server, now) for server in book.next_to_start(now)]
    if book.stage is Stage.STARTING and book.all_settled(book.servers):
        actions += _started(book, now)
    actions += [
        FleetAnswer(caller.ticket, book.report(caller.names, now))
        for caller in book.take_settled_callers()
    ]
    book.forget_removed()
    if book.stage is Stage.STOPPING and not book.with_master():
        actions.append(Exit(book.exit_code))
    return actions


def _look_if_due(book: Book, now: float) -> list[Action]:
    if book.look_at is None or now < book.look_at:
        return []
    book.look_at = None
    return [Look()]


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
    return [*actions, log, *moves.stop(book.servers.values(), graceful=False, now=now)]
