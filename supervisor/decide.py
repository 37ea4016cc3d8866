"""What the master does about what happened.

Pure: the only thing that changes is the book, and all that is to be done is returned. No
syscall, no clock, no waiting; a rolling change is state in the book, advanced by events.

Each event has one rule below, or in a file of its own. After every rule `_settle` looks at the
whole book: it kills who is overdue, forks who is missing, moves a rolling change on, announces
completeness, and leaves when all are gone.
"""

from __future__ import annotations

import logging
from typing import assert_never

from skitaid.supervisor import expiry, members, restarting, rolling, surveying
from skitaid.supervisor.actions import (
    Action,
    Announce,
    Answer,
    Bury,
    Dump,
    Exit,
    Fork,
    Kill,
    Log,
    ReopenLog,
    Tell,
)
from skitaid.supervisor.address import address
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.control_records import (
    ChangeMembers,
    Done,
    Inquire,
    ListClusters,
    Reload,
    Restart,
    Rotate,
    ShowCluster,
    Start,
    Status,
    Stop,
)
from skitaid.supervisor.counting import count
from skitaid.supervisor.events import (
    Asked,
    BecameNothing,
    ChildDied,
    ConfBroken,
    CountWanted,
    Event,
    Forked,
    ForkFailed,
    Loaded,
    LoadFailed,
    LogsMoved,
    Looked,
    NewsOfWorker,
    OperatorWishes,
    ReloadWanted,
    RestartWanted,
    Started,
    StopWanted,
    TimePassed,
    TrialEnded,
    WorkerAsks,
    WorkerBootFailed,
    WorkerDied,
    WorkerDraining,
    WorkerHungUp,
    WorkerMembers,
    WorkerReady,
    WorkerTold,
    WorkerWantsRestart,
    WorkerWantsShutdown,
)
from skitaid.supervisor.exit_code import describe
from skitaid.supervisor.liveness import DUMP_TIME, boots_too_long, look, looked
from skitaid.supervisor.recycling import aged, wear
from skitaid.supervisor.report import status
from skitaid.supervisor.stopping import STOP_TIME, leaves, stop, stop_all, was_ready
from skitaid.supervisor.survey import Asker
from skitaid.supervisor.wishes import wish
from skitaid.workers import control


def decide(book: Book, event: Event, now: float) -> list[Action]:
    """Note the event in the book; return what is to be done, in order."""
    return [*_apply(book, event, now), *_settle(book, now)]


def _apply(book: Book, event: Event, now: float) -> list[Action]:
    match event:
        case TimePassed():
            return []
        case Started() | ChildDied():
            return [Bury()]
        case Asked():
            return _asked(book, event, now)
        case StopWanted():
            return stop(book, event, now)
        case ReloadWanted():
            return rolling.reload(book, event, now)
        case Loaded():
            return rolling.loaded(book, event, now)
        case LoadFailed():
            return rolling.load_failed(book, event, now)
        case RestartWanted():
            return restarting.restart(book, event, now)
        case TrialEnded():
            return restarting.trial_ended(book, event, now)
        case BecameNothing():
            return restarting.became_nothing(book, event, now)
        case ConfBroken():
            return restarting.conf_broken(book, event, now)
        case CountWanted():
            return count(book, event)
        case Looked():
            return looked(book, event, now)
        case LogsMoved():
            return _reopen_logs(book, event)
        case ForkFailed():
            return _fork_failed(book, event, now)
        case WorkerDied():
            return _died(book, event, now)
        case _:
            return _news_of(book, book.children[event.serial], event, now)


def _news_of(book: Book, child: Child, event: NewsOfWorker, now: float) -> list[Action]:
    match event:
        case Forked():
            child.pid = event.pid
            return []
        case WorkerReady():
            return _ready(book, child, now)
        case WorkerBootFailed():
            return _boot_failed(book, child, event, now)
        case WorkerDraining():
            return _draining(child, event)
        case WorkerWantsRestart():
            return wear(child, f"it asks for it: {event.reason}")
        case WorkerWantsShutdown():
            cause = f"an app asks for it in {child}"
            return stop(book, StopWanted(graceful=True, cause=cause), now)
        case OperatorWishes():
            return wish(book, event.wish, now)
        case WorkerAsks():
            asker = Asker(event.serial, event.ticket)
            return surveying.ask(book, asker, event.question, now)
        case WorkerTold():
            return surveying.told(book, event)
        case WorkerMembers():
            return members.told(book, event)
        case WorkerHungUp():
            surveying.gone(book, event.serial)
            return _hung_up(child, now)
        case _:
            assert_never(event)


def _fork_failed(book: Book, event: ForkFailed, now: float) -> list[Action]:
    child = book.strike_off(event.serial)
    reason = f"worker {child.ordinal} could not be forked: {event.reason}"
    return _boot_trouble(book, child, reason, now)


def _ready(book: Book, child: Child, now: float) -> list[Action]:
    if child.state is not State.BOOTING:
        was_ready(child, now)
        return []
    child.move(State.READY)
    child.ready_at = now
    for generation in (book.wanted, book.fallback):
        if generation and generation.number == child.generation:
            generation.proven = True
    log = Log(logging.INFO, f"{child} is ready after {now - child.forked_at:.2f} s")
    return [log, *(rolling.dismiss_in_vain(book, now) if book.wanted.proven else [])]


def _boot_failed(book: Book, child: Child, event: WorkerBootFailed, now: float) -> list[Action]:
    if child.state is not State.BOOTING:
        return []
    leaves(child, now)
    return _boot_trouble(book, child, f"{child} could not boot:\n{event.reason.rstrip()}", now)


def _boot_trouble(book: Book, child: Child, reason: str, now: float) -> list[Action]:
    """At the first start nothing is served unless all is well; later the others serve on."""
    book.note_error(reason, now)
    if book.stage is Stage.STARTING:
        book.exit_code = 1
        return [Log(logging.ERROR, reason), *stop_all(book, now)]
    if book.stage is Stage.STOPPING:
        return [Log(logging.WARNING, reason)]
    if book.fallback and child.generation == book.wanted.number:
        return rolling.abandon(book, reason, now)
    told = rolling.disappoint(book, child, reason)
    wait = book.boots.failed(now) - now
    return [Log(logging.ERROR, f"{reason}\nthe next try is in {wait:.1f} s"), *told]


def _draining(child: Child, event: WorkerDraining) -> list[Action]:
    child.in_flight = event.in_flight
    return [Log(logging.INFO, f"{child} finishes {event.in_flight} requests and leaves")]


def _hung_up(child: Child, now: float) -> list[Action]:
    """Usually its death follows at once. If not, it can be told nothing any more."""
    if child.kill_at is None:
        child.kill_at = now + STOP_TIME
    return []


def _died(book: Book, event: WorkerDied, now: float) -> list[Action]:
    child = book.strike_off(event.serial)
    surveying.gone(book, event.serial)
    if not child.serves:  # it was told to leave, or said why it must
        return []
    if child.state is State.BOOTING:
        reason = f"{child} {describe(event.exit_code)} before it was ready"
        return _boot_trouble(book, child, reason, now)
    text = f"{child} {describe(event.exit_code)}"
    book.note_error(text, now)
    wait = book.crashes.failed(now) - now
    when = f"in {wait:.1f} s" if wait else "now"
    return [Log(logging.WARNING, f"{text}; another takes its place {when}")]


def _reopen_logs(book: Book, event: LogsMoved) -> list[Action]:
    """First the master, so that its line on it is the first of the new log."""
    tell = [Tell(child.serial, control.ReopenLogs()) for child in book.children.values()]
    return [ReopenLog(), Log(logging.INFO, f"{event.cause}: logs are reopened"), *tell]


def _asked(book: Book, event: Asked, now: float) -> list[Action]:
    match event.request:
        case Status():
            return [Answer(event.ticket, status(book, now))]
        case Inquire(question=question):
            return surveying.ask(book, Asker(0, event.ticket), question, now)
        case Start():
            book.forgive()
            return [Answer(event.ticket, Done())]
        case Rotate():
            reopened = _reopen_logs(book, LogsMoved("control socket"))
            return [*reopened, Answer(event.ticket, Done())]
        case Stop(graceful=graceful):
            wanted = StopWanted(graceful, "control socket")
            return [Answer(event.ticket, Done()), *stop(book, wanted, now)]
        case Reload():
            return rolling.reload(book, ReloadWanted("control socket", event.ticket), now)
        case Restart():
            return restarting.restart(book, RestartWanted("control socket", event.ticket), now)
        case ListClusters():
            return [Answer(event.ticket, members.clusters(book))]
        case ShowCluster():
            return members.show(book, event.ticket, event.request, now)
        case ChangeMembers():
            return members.change(book, event.request, "control socket", event.ticket)
        case _:
            assert_never(event.request)


def _settle(book: Book, now: float) -> list[Action]:
    actions = [*_boot_overdue(book, now), *_kill_overdue(book, now)]
    actions += [*members.settle(book, now), *surveying.settle(book, now)]
    if book.stage is Stage.STOPPING:
        actions += [*look(book, now), *rolling.give_up(book), *restarting.give_up(book)]
        is_over = not book.children and not book.trying
        return [*actions, Exit(book.exit_code)] if is_over else actions
    if now >= book.fork_from():
        actions += [_fork(book, now) for _ in range(book.missing())]
    if book.stage is Stage.STARTING and len(book.ready()) >= book.count:
        book.stage = Stage.SERVING
        actions.append(Announce(address(book.settings)))
    actions += [
        *look(book, now),
        *aged(book, now),
        *expiry.warn(book, now),
        *restarting.trial_overdue(book, now),
    ]
    return [*actions, *rolling.advance(book, now)]


def _boot_overdue(book: Book, now: float) -> list[Action]:
    actions: list[Action] = []
    for child in boots_too_long(book, now):
        leaves(child, now, after=DUMP_TIME)
        reason = f"{child} was not ready {now - child.forked_at:.0f} s after its fork"
        actions += [Dump(child.serial), *_boot_trouble(book, child, reason, now)]
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
    child = book.enter(book.steady, now)
    return Fork(child.serial, child.ordinal, child.generation, tuple(book.standings.values()))
