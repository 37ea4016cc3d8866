"""The master of one server: wait, note, decide, perform.

One process, one thread, no app code (but see `preload`). Everything it learns becomes an event,
in one place (the `Waiter`); everything it knows is in the book; everything it does is an action
of `decide`. Nothing here may block except the wait itself: a worker that does not read, a caller
that does not listen, a drain that takes long must not delay the death of another worker being
noticed.
"""

from __future__ import annotations

import gc
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from skitaid.supervisor.actions import Action, Become
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.control_records import Request
from skitaid.supervisor.control_socket import ControlSocket
from skitaid.supervisor.deadlines import next_deadline
from skitaid.supervisor.decide import decide
from skitaid.supervisor.events import (
    Asked,
    BecameNothing,
    ConfBroken,
    Event,
    Started,
    StopWanted,
    TimePassed,
)
from skitaid.supervisor.leaving import leave
from skitaid.supervisor.legacy import Legacy
from skitaid.supervisor.lifeline import Lifeline
from skitaid.supervisor.loop import Loop
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.nurseries import Nurseries
from skitaid.supervisor.orders import NEWS
from skitaid.supervisor.perform import Performer
from skitaid.supervisor.pidfd import Pidfd
from skitaid.supervisor.service_manager import ServiceManager
from skitaid.supervisor.service_state import service_state
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.signals import Signals
from skitaid.supervisor.spawn import Closeable, RunWorker
from skitaid.supervisor.succession import Succession, succeed
from skitaid.supervisor.title import be_master
from skitaid.supervisor.waiting import Waiter, earliest
from skitaid.workers.scoreboard import Scoreboard


def control_path(run_dir: str) -> str:
    """Where the master of the server with this run directory is asked."""
    return str(Path(run_dir) / "control")


class Master:
    """Built when the socket is bound; `run` returns when all workers are gone."""

    def __init__(
        self,
        settings: Settings,
        run_worker: RunWorker,
        *,
        load: Callable[[], Settings],
        notify: Notify,
        service_manager: ServiceManager,
        reopen_log: Callable[[], None] = lambda: None,
        lifeline: Lifeline | None = None,
        succession: Succession | None = None,
        left: Legacy | None = None,
        broken: str = "",
        given: socket.socket | None = None,
        not_inherited: tuple[Closeable, ...] = (),
    ) -> None:
        """Binds the address. Raises `CannotListen`.

        `load` reads the conf again, and raises `CannotLoad`. `reopen_log` makes stderr a new
        file where the old one was. `left`: what the program before this one has left to us.
        `broken`: why the conf cannot be used any more; then `settings` are among what was left.
        `given`: the socket of these settings, if somebody else has bound it.
        `not_inherited`: what the caller holds open and no worker may, as its pid file.
        """
        self._name = settings.name
        self._broken = broken
        self._lifeline = lifeline
        self._succession = succession
        self._service_manager = service_manager
        self._nurseries = Nurseries(run_worker, Scoreboard(left.scoreboard if left else -1))
        for listening in left.listeners if left else []:
            bound = socket.socket(fileno=listening.descriptor)
            self._nurseries.adopt(listening.ip, listening.port, bound)
        if given:
            self._nurseries.adopt(settings.ip, settings.port, given)
        self._nurseries.bind(settings)
        self._signals = Signals(NEWS)
        self._waiter: Waiter[Event] = Waiter()
        self._control_socket: ControlSocket[Request, Event] = ControlSocket(
            control_path(settings.run_dir),
            self._waiter,
            msgspec.json.Decoder(Request),
            Asked,
            **_inherited_callers(left),
        )
        self._book = Book(
            settings, time.monotonic(), random.random, pid=os.getpid(), unix_time=time.time()
        )
        self._performer = Performer(
            self._nurseries,
            load,
            reopen_log,
            self._waiter,
            self._control_socket,
            notify,
            succession,
            [self._signals, *([lifeline] if lifeline else []), *not_inherited],
        )
        if left:
            self._inherit(left)
        self._nurseries.prepare(self._book.wanted.number, settings)
        self._nurseries.let_go()  # what only the program before this one needed

    def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        be_master(self._name)
        gc.freeze()  # what is loaded now is never collected, so workers share its pages
        self._watch()
        loop = Loop(
            self._waiter,
            decide=self._decide,
            perform=self._performer.perform,
            next_deadline=self._next_deadline,
            exit_code=self._exit_code,
        )
        exit_code = loop.run(first=self._first(), idle=TimePassed())
        while self._performer.exit_code is None:
            exit_code = loop.run(first=self._become(), idle=TimePassed())
        self._close()
        return exit_code

    def _first(self) -> Event:
        return ConfBroken(self._broken) if self._broken else Started()

    def _decide(self, event: Event, now: float) -> list[Action]:
        actions = decide(self._book, event, now)
        self._service_manager.note(service_state(self._book, event, now), now)
        return actions

    def _next_deadline(self) -> float | None:
        """Of what is to be decided, or of the next word to the service manager."""
        return earliest(next_deadline(self._book), self._service_manager.due)

    def _exit_code(self) -> int | None:
        """None: go on. To become another program the loop is left too, with all news handled."""
        if self._performer.become and self._performer.exit_code is None:
            return 0
        return self._performer.exit_code

    def _inherit(self, left: Legacy) -> None:
        self._book.inherit(left)
        for worker in left.workers:
            pipe = socket.socket(fileno=worker.pipe) if worker.pipe >= 0 else None
            self._performer.hold(worker.serial, Pidfd(worker.pid), pipe)

    def _become(self) -> Event:
        """Another program goes on here. Comes back only with the reason why not."""
        become, self._performer.become = self._performer.become, None
        assert become
        if self._book.stage is Stage.STOPPING:  # decided in the same moment
            return BecameNothing("the server is being stopped", become.tickets)
        assert self._succession
        error = succeed(
            self._succession.command,
            self._legacy(become),
            self._signals,
            self._service_manager.environment,
        )
        return BecameNothing(f"the program cannot be run: {error}", become.tickets)

    def _legacy(self, become: Become) -> Legacy:
        assert self._succession
        return leave(
            self._book,
            self._nurseries,
            tickets=list(become.tickets),
            pipe=self._performer.pipe,
            pid_file=self._succession.pid_file,
            control=self._control_socket.listener.fileno(),
            callers=self._control_socket.callers(),
            lifeline=self._lifeline.fileno() if self._lifeline else None,
        )

    def _watch(self) -> None:
        self._waiter.watch(self._signals, self._note_signals)
        if self._lifeline:
            self._waiter.watch(self._lifeline, self._note_lifeline)

    def _note_signals(self) -> list[Event]:
        return [NEWS[number] for number in self._signals.take()]

    def _note_lifeline(self) -> list[Event]:
        assert self._lifeline
        if not self._lifeline.is_cut():
            return []
        self._waiter.forget(self._lifeline)
        return [StopWanted(graceful=True, cause="the process that started this server is gone")]

    def _close(self) -> None:
        self._control_socket.remove()
        self._nurseries.close()
        self._waiter.close()
        self._signals.close()


def _inherited_callers(left: Legacy | None) -> Any:
    """What a control socket takes over."""
    if left is None:
        return {}
    callers = {ticket: socket.socket(fileno=number) for ticket, number in left.callers.items()}
    return {"listener": socket.socket(fileno=left.control), "callers": callers}
