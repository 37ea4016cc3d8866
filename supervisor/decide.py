"""What the master does about what happened.

Pure: the only thing that changes is the book, and all that is to be done is returned. No
syscall, no clock, no waiting; a rolling change is state in the book, advanced by events.

Each event has one rule below. After every rule `_settle` looks at the whole book: it kills who
is overdue, forks who is missing, announces completeness, and leaves when all are gone.
"""

from __future__ import annotations

import logging
from typing import assert_never

from skitaid.supervisor.actions import Action, Announce, Answer, Exit, Fork, Kill, Log
from skitaid.supervisor.address import address
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.control_records import Done, Status, Stop
from skitaid.supervisor.events import (
    Asked,
    Event,
    Forked,
    ForkFailed,
    Started,
    StopWanted,
    TimePassed,
    WorkerBootFailed,
    WorkerDied,
    WorkerDraining,
    WorkerHungUp,
    WorkerReady,
    WorkerWantsRestart,
    WorkerWantsShutdown,
)
from skitaid.supervisor.exit_code import describe
from skitaid.supervisor.report import status
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.stopping import STOP_TIME, leaves, stop, stop_all


def decide(book: Book, settings: Settings, event: Event, now: float) -> list[Action]:
    """Note the event in the book; return what is to be done, in order."""
    return [*_apply(book, settings, event, now), *_settle(book, settings, now)]


def _apply(book: Book, settings: Settings, event: Event, now: float) -> list[Action]:
    match event:
        case Started() | TimePassed():
            return []
        case Forked():
            book.children[event.serial].pid = event.pid
            return []
        case ForkFailed():
            return _fork_failed(book, event, now)
        case WorkerReady():
            return _ready(book.children[event.serial], now)
        case WorkerBootFailed():
            return _boot_failed(book, event, now)
        case WorkerDraining():
            return _draining(book.children[event.serial], event)
        case WorkerWantsRestart():
            return _wants_restart(book.children[event.serial], event)
        case WorkerWantsShutdown():
            child = book.children[event.serial]
            cause = f"an app asks for it in {child}"
            return stop(book, settings, StopWanted(graceful=True, cause=cause), now)
        case WorkerHungUp():
            return _hung_up(book.children[event.serial], now)
        case WorkerDied():
            return _died(book, event, now)
        case StopWanted():
            return stop(book, settings, event, now)
        case Asked():
            return _asked(book, settings, event, now)
        case _:
            assert_never(event)


def _fork_failed(book: Book, event: ForkFailed, now: float) -> list[Action]:
    child = book.strike_off(event.serial)
    reason = f"worker {child.ordinal} could not be forked: {event.reason}"
    return _boot_trouble(book, reason, now)


def _ready(child: Child, now: float) -> list[Action]:
    if child.state is not State.BOOTING:  # its word crossed ours: it will hear that it must leave
        return []
    child.move(State.READY)
    child.ready_at = now
    return [Log(logging.INFO, f"{child} is ready after {now - child.forked_at:.2f} s")]


def _boot_failed(book: Book, event: WorkerBootFailed, now: float) -> list[Action]:
    child = book.children[event.serial]
    if child.state is not State.BOOTING:
        return []
    leaves(child, now)
    return _boot_trouble(book, f"{child} could not boot:\n{event.reason.rstrip()}", now)


def _boot_trouble(book: Book, reason: str, now: float) -> list[Action]:
    """At the first start nothing is served unless all is well; later the others serve on."""
    book.note_error(reason, now)
    if book.stage is Stage.STARTING:
        book.exit_code = 1
        return [Log(logging.ERROR, reason), *stop_all(book, now)]
    if book.stage is Stage.STOPPING:
        return [Log(logging.WARNING, reason)]
    wait = book.boots.failed(now) - now
    return [Log(logging.ERROR, f"{reason}\nthe next try is in {wait:.1f} s")]


def _draining(child: Child, event: WorkerDraining) -> list[Action]:
    return [Log(logging.INFO, f"{child} finishes {event.in_flight} requests and leaves")]


def _wants_restart(child: Child, event: WorkerWantsRestart) -> list[Action]:
    """It is replaced when its turn comes. Asking twice is asking once."""
    if child.worn:
        return []
    child.worn = event.reason
    return [Log(logging.INFO, f"{child} asks to be replaced: {event.reason}")]


def _hung_up(child: Child, now: float) -> list[Action]:
    """Usually its death follows at once. If not, it can be told nothing any more."""
    if child.kill_at is None:
        child.kill_at = now + STOP_TIME
    return []


def _died(book: Book, event: WorkerDied, now: float) -> list[Action]:
    child = book.strike_off(event.serial)
    if not child.serves:  # it was told to leave, or said why it must
        return []
    if child.state is State.BOOTING:
        return _boot_trouble(book, f"{child} {describe(event.exit_code)} before it was ready", now)
    text = f"{child} {describe(event.exit_code)}"
    book.note_error(text, now)
    wait = book.crashes.failed(now) - now
    when = f"in {wait:.1f} s" if wait else "now"
    return [Log(logging.WARNING, f"{text}; another takes its place {when}")]


def _asked(book: Book, settings: Settings, event: Asked, now: float) -> list[Action]:
    match event.request:
        case Status():
            return [Answer(event.ticket, status(book, settings, now))]
        case Stop(graceful=graceful):
            wanted = StopWanted(graceful, "control socket")
            return [Answer(event.ticket, Done()), *stop(book, settings, wanted, now)]
        case _:
            assert_never(event.request)


def _settle(book: Book, settings: Settings, now: float) -> list[Action]:
    actions = _kill_overdue(book, now)
    if book.stage is Stage.STOPPING:
        return actions if book.children else [*actions, Exit(book.exit_code)]
    if now >= book.fork_from():
        actions += [_fork(book, now) for _ in range(book.missing(settings.processes))]
    if book.stage is Stage.STARTING and len(book.ready()) >= settings.processes:
        book.stage = Stage.SERVING
        actions.append(Announce(address(settings)))
    return actions


def _kill_overdue(book: Book, now: float) -> list[Action]:
    actions: list[Action] = []
    for child in book.overdue(now):
        child.kill_at = None  # SIGKILL needs no second
        actions += [
            Log(logging.WARNING, f"{child} did not leave in time and is killed"),
            Kill(child.serial),
        ]
    return actions


def _fork(book: Book, now: float) -> Action:
    child = book.enter(now)
    return Fork(child.serial, child.ordinal)
