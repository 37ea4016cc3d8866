"""Does what was decided: forks, tells, kills, answers, logs. Makes no decision.

Lives in the master's only thread. Holds what the book must not, the processes and their pipes, by
the serial of their worker. What an action brings about is returned as events, like any other news.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never

import msgspec

from skitaid.supervisor.actions import (
    Action,
    Announce,
    Answer,
    Become,
    Bury,
    CloseListeners,
    Drop,
    Dump,
    Exit,
    Forget,
    Fork,
    HandOver,
    Kill,
    KillTrial,
    Load,
    Log,
    Look,
    Prepare,
    ReopenLog,
    Report,
    Tell,
    Try,
)
from skitaid.supervisor.control_records import Request, ServerStatus
from skitaid.supervisor.control_socket import ControlSocket
from skitaid.supervisor.events import (
    Event,
    Figures,
    Forked,
    ForkFailed,
    Loaded,
    LoadFailed,
    Looked,
    OperatorWishes,
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
from skitaid.supervisor.listeners import CannotListen
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.nurseries import Nurseries
from skitaid.supervisor.orphans import bury
from skitaid.supervisor.pidfd import Pidfd
from skitaid.supervisor.report import with_figures
from skitaid.supervisor.settings import CannotLoad, Settings
from skitaid.supervisor.spawn import Closeable
from skitaid.supervisor.succession import Succession
from skitaid.supervisor.survey import Asker
from skitaid.supervisor.trial import Trial
from skitaid.supervisor.waiting import Waiter
from skitaid.workers import control
from skitaid.workers.scoreboard import Field, Slot

log = logging.getLogger(__name__)


class Performer:
    """The master's hands."""

    def __init__(
        self,
        nurseries: Nurseries,
        load: Callable[[], Settings],
        reopen_log: Callable[[], None],
        waiter: Waiter[Event],
        control_socket: ControlSocket[Request, Event],
        notify: Notify,
        succession: Succession | None,
        not_inherited: list[Closeable],
    ) -> None:
        """`not_inherited`: what a worker closes, besides what is named here."""
        self.exit_code: int | None = None  # set when the master is to leave its loop
        self.become: Become | None = None  # likewise, for another program
        self._succession = succession
        self._trial: Trial | None = None
        self._nurseries = nurseries
        self._load_settings = load
        self._reopen_log = reopen_log
        self._waiter = waiter
        self._control_socket = control_socket
        self._notify = notify
        self._belongings: list[Closeable] = [waiter, control_socket, notify, *not_inherited]
        self._processes: dict[int, Pidfd] = {}
        self._pipes: dict[int, socket.socket] = {}  # until its other end is closed
        # Descriptors of what workers have answered, by serial and survey, until handed over.
        self._answers: dict[tuple[int, int], list[int]] = {}
        self._belongings.append(_Answers(self._answers))

    def perform(self, action: Action) -> list[Event]:
        """Carry out one action."""
        match action:
            case Fork():
                return [self._fork(action)]
            case Tell():
                self._tell(action)
            case Kill():
                self._kill(action)
            case Dump():
                self._dump(action)
            case HandOver():
                self._hand_over(action)
            case Drop():
                control.close_all(self._answers.pop((action.serial, action.survey)))
            case Look():
                return [self._look(action)]
            case Announce():
                log.info("all workers are ready at %s", action.address)
                self._notify.ready(f"ready {action.address}")
            case Answer():
                self._answer(action)
            case Report():
                self._control_socket.tell(action.ticket, action.progress)
            case Load():
                return [self._load(action)]
            case Prepare():
                self._nurseries.prepare(action.generation, action.settings)
            case Forget():
                self._nurseries.forget(action.generation)
            case CloseListeners():
                self._nurseries.close()
            case Log():
                log.log(action.level, "%s", action.text)
            case Try():
                return self._try()
            case KillTrial():
                self._kill_trial()
            case Become():
                self.become = action
            case ReopenLog():
                self._reopen()
            case Bury():
                bury(self._ours())
            case Exit():
                self.exit_code = action.code
            case _:
                assert_never(action)
        return []

    def _answer(self, action: Answer) -> None:
        reply = action.reply
        if isinstance(reply, ServerStatus):
            reply = with_figures(reply, self._nurseries.scoreboard)
        self._control_socket.answer(action.ticket, reply)

    def _fork(self, action: Fork) -> Event:
        try:
            nursery = self._nurseries[action.generation]
            worker = nursery.spawn(
                action.ordinal, self._not_inherited(action.generation), action.standings
            )
        except OSError as error:
            return ForkFailed(action.serial, error.strerror or str(error))
        self.hold(action.serial, worker.process, worker.control)
        return Forked(action.serial, worker.process.pid)

    def hold(self, serial: int, process: Pidfd, pipe: socket.socket | None) -> None:
        """Look after a living worker; None if it has hung up."""
        self._processes[serial] = process
        self._waiter.watch(process, partial(self._reap, serial))
        if pipe:
            self._pipes[serial] = pipe
            self._waiter.watch(pipe, partial(self._hear, serial))

    def pipe(self, serial: int) -> int:
        """The descriptor of its control pipe; -1 if it has hung up."""
        pipe = self._pipes.get(serial)
        return pipe.fileno() if pipe else -1

    def _load(self, action: Load) -> Event:
        """Whatever goes wrong with a conf, the master lives."""
        try:
            settings = self._load_settings()
            if not settings.preload:  # else the next program does
                self._nurseries.bind(settings)
        except (CannotLoad, CannotListen) as error:
            return LoadFailed(str(error), action.ticket)
        except Exception:
            return LoadFailed(traceback.format_exc(), action.ticket)
        return Loaded(settings, action.ticket)

    def _not_inherited(self, generation: int) -> list[Closeable]:
        return [
            *self._belongings,
            *self._processes.values(),
            *self._pipes.values(),
            *([self._trial] if self._trial else []),
            *self._nurseries.not_inherited(generation),
        ]

    def _tell(self, action: Tell, descriptors: Sequence[int] = ()) -> None:
        pipe = self._pipes.get(action.serial)
        if pipe is None:  # it hung up; the book has set it a time to be gone
            return
        try:
            control.send(pipe, action.record, descriptors)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is dying and will be reaped
        except BlockingIOError:
            log.warning("pid %d does not read its pipe", self._processes[action.serial].pid)

    def _kill(self, action: Kill) -> None:
        process = self._processes.get(action.serial)
        if process:  # else it was reaped just now, and its death is the next event
            process.send(signal.SIGKILL)

    def _try(self) -> list[Event]:
        if self._succession is None:
            return [TrialEnded(1, "this program does not know how to run itself anew")]
        bound = list(self._nurseries.listeners())
        try:
            self._trial = Trial(self._succession.trial(bound))
        except OSError as error:
            return [TrialEnded(1, f"the trial cannot be run: {error}")]
        self._waiter.watch(self._trial, self._reap_trial)
        return []

    def _reap_trial(self) -> list[Event]:
        assert self._trial
        self._waiter.forget(self._trial)
        trial, self._trial = self._trial, None
        return [TrialEnded(*trial.reap())]

    def _kill_trial(self) -> None:
        if self._trial:  # else it has just ended
            self._trial.kill()

    def _ours(self) -> set[int]:
        """The pids of all whom we have started and watch."""
        trial = {self._trial.pid} if self._trial else set()
        return trial | {process.pid for process in self._processes.values()}

    def _reopen(self) -> None:
        try:
            self._reopen_log()
        except OSError as error:
            log.error("the log cannot be reopened, it goes on where it was: %s", error)

    def _dump(self, action: Dump) -> None:
        process = self._processes.get(action.serial)
        if process:
            process.send(signal.SIGUSR2)

    def _look(self, action: Look) -> Event:
        board = self._nurseries.scoreboard
        return Looked(tuple(_figures(serial, board[slot]) for serial, slot in action.ordinals))

    def _hear(self, serial: int) -> list[Event]:
        """The next record of a worker; nothing if none waits."""
        descriptors: list[int] = []
        try:
            record = control.receive_from_worker(self._pipes[serial], descriptors)
        except BlockingIOError:
            return []
        except msgspec.DecodeError:  # an app has got hold of the pipe; the master must live
            log.exception("pid %d sent what is no record", self._processes[serial].pid)
            control.close_all(descriptors)
            return []
        if record is None:
            self._hang_up(serial)
            return [WorkerHungUp(serial)]
        if isinstance(record, control.Told):
            control.close_all(self._answers.pop((serial, record.survey), ()))
            self._answers[serial, record.survey] = descriptors
        else:
            control.close_all(descriptors)
        return [_event(serial, record)]

    def _hand_over(self, action: HandOver) -> None:
        """Also what came of workers that are dead by now."""
        survey = action.survey
        told = [(ordinal, (serial, survey.label)) for serial, ordinal in survey.told.items()]
        held = [(ordinal, fd) for ordinal, key in told for fd in self._answers.pop(key)]
        packets = [
            held[i : i + control.DESCRIPTORS_MAX]
            for i in range(0, len(held), control.DESCRIPTORS_MAX)
        ]
        for asker in survey.askers:
            for number, packet in enumerate(packets or [[]], 1):
                is_last = number >= len(packets)
                ordinals = [ordinal for ordinal, _ in packet]
                record = control.Answers(
                    asker.ticket, action.facts, ordinals, survey.silent, is_last
                )
                self._send_answers(asker, record, [fd for _, fd in packet])
        control.close_all(fd for _, fd in held)

    def _send_answers(self, asker: Asker, record: control.Answers, descriptors: list[int]) -> None:
        if asker.serial:
            self._tell(Tell(asker.serial, record), descriptors)
        elif record.is_last:
            self._control_socket.answer(asker.ticket, record, descriptors)
        else:
            self._control_socket.tell(asker.ticket, record, descriptors)

    def _reap(self, serial: int) -> list[Event]:
        """The worker is dead: its last words first, then its exit code."""
        last_words = self._last_words(serial)
        process = self._processes.pop(serial)
        _, status = os.waitpid(process.pid, 0)
        self._waiter.forget(process)
        process.close()
        return [*last_words, WorkerDied(serial, os.waitstatus_to_exitcode(status))]

    def _last_words(self, serial: int) -> list[Event]:
        """All that is left in the pipe; a process the app has forked may still hold it open."""
        words: list[Event] = []
        while serial in self._pipes and (heard := self._hear(serial)):
            words += heard
        if serial in self._pipes:
            self._hang_up(serial)
        return words

    def _hang_up(self, serial: int) -> None:
        pipe = self._pipes.pop(serial)
        self._waiter.forget(pipe)
        pipe.close()


class _Answers(msgspec.Struct, frozen=True):
    """Those that are held, for a worker that is forked meanwhile: they are not for it."""

    held: dict[tuple[int, int], list[int]]

    def close(self) -> None:
        for descriptors in self.held.values():
            control.close_all(descriptors)


def _figures(serial: int, slot: Slot) -> Figures:
    beat = slot[Field.HEARTBEAT]
    heartbeat = beat / 1e9 if beat else None
    return Figures(serial, heartbeat, slot[Field.RSS], slot[Field.IN_FLIGHT])


def _event(serial: int, record: control.FromWorker) -> Event:
    match record:
        case control.Ready():
            return WorkerReady(serial)
        case control.BootFailed():
            return WorkerBootFailed(serial, record.reason)
        case control.Draining():
            return WorkerDraining(serial, record.in_flight)
        case control.WantRestart():
            return WorkerWantsRestart(serial, record.reason)
        case control.WantShutdown():
            return WorkerWantsShutdown(serial)
        case control.Wish() | control.WishForMember():
            return OperatorWishes(serial, record)
        case control.Ask():
            return WorkerAsks(serial, record.ticket, record.question)
        case control.Told():
            return WorkerTold(serial, record.survey)
        case control.Members(ticket, total, members):
            return WorkerMembers(serial, ticket, total, members)
        case _:
            assert_never(record)
