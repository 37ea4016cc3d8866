"""The fleet process: wait, note, decide, perform, as the master of a server does.

One process, one thread. It serves nothing itself, and of a server's conf it wants to know only
whether it has changed and has mistakes, so nothing in a conf can hurt it. If it dies, its
masters see their lifelines end and stop gracefully.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from pathlib import Path

import msgspec
import setproctitle

from skitaid.conf import load_fleet
from skitaid.fleet import confs
from skitaid.fleet.actions import Action
from skitaid.fleet.book import Book
from skitaid.fleet.decide import decide
from skitaid.fleet.events import (
    ConfSeen,
    ConfsTouched,
    Event,
    FleetAsked,
    FleetStarted,
    MeaninglessSignal,
    ReadWanted,
    RotateWanted,
)
from skitaid.fleet.perform import Performer
from skitaid.fleet.records import Request
from skitaid.fleet.service_state import service_state
from skitaid.fleet.watch import Watch
from skitaid.paths import Paths
from skitaid.pidfile import PidFile
from skitaid.places import fleet_control, fleet_pid
from skitaid.supervisor import log as process_log
from skitaid.supervisor.control_socket import ControlSocket
from skitaid.supervisor.events import ChildDied, StopWanted, TimePassed
from skitaid.supervisor.loop import Loop
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.service_manager import ServiceManager
from skitaid.supervisor.signals import Signals, hold
from skitaid.supervisor.waiting import Waiter, earliest

# What each signal says. Those that only a master knows are caught too, or they would kill the
# fleet when somebody sends them to the wrong pid.
SIGNALS: dict[signal.Signals, Event] = {
    signal.SIGTERM: StopWanted(graceful=False, cause="SIGTERM"),
    signal.SIGINT: StopWanted(graceful=False, cause="SIGINT"),
    signal.SIGQUIT: StopWanted(graceful=True, cause="SIGQUIT"),
    signal.SIGHUP: ReadWanted("SIGHUP"),
    signal.SIGUSR1: RotateWanted("SIGUSR1"),
    signal.SIGUSR2: MeaninglessSignal("SIGUSR2"),
    signal.SIGTTIN: MeaninglessSignal("SIGTTIN"),
    signal.SIGTTOU: MeaninglessSignal("SIGTTOU"),
}
NEWS: dict[signal.Signals, Event] = {**SIGNALS, signal.SIGCHLD: ChildDied()}

# Servers that start at the same time, for each processor: importing apps is work for it, and
# half of it is waiting for the disk.
STARTS_PER_CPU = 2
STARTS_AT_LEAST = 4

log = logging.getLogger(__name__)


def run(paths: Paths, notify: Notify, log_path: Path | None = None) -> int:
    """Run all enabled servers until told to stop; return the exit code.

    `notify` gets one line, a `FleetStatus` in JSON, when each server is up or has failed.
    `log_path` is the file that stderr is appended to, if it is one that may be rotated. Raises
    `AlreadyRunning`, and `ConfError` for skitaid.conf.
    """
    hold(SIGNALS)
    python = load_fleet(paths.fleet_conf).python
    pid_file = PidFile(fleet_pid(paths), "skitaid")
    try:
        process_log.set_up("skitaid")
        setproctitle.setproctitle("skitaid")
        return _Fleet(paths, python, notify, log_path).run()
    finally:
        pid_file.remove()


class _Fleet:
    """Owns all descriptors of the process."""

    def __init__(self, paths: Paths, python: str, notify: Notify, log_path: Path | None) -> None:
        self._paths = paths
        self._service_manager = ServiceManager()
        self._signals = Signals(NEWS)
        self._waiter: Waiter[Event] = Waiter()
        self._watch = _watch()
        self._control_socket: ControlSocket[Request, Event] = ControlSocket(
            str(fleet_control(paths)), self._waiter, msgspec.json.Decoder(Request), FleetAsked
        )
        self._book = Book(
            time.monotonic(),
            random.random,
            pid=os.getpid(),
            unix_time=time.time(),
            starts_max=_starts_max(),
        )
        self._performer = Performer(
            paths,
            python,
            self._waiter,
            self._control_socket,
            notify,
            look=self._look,
            log_path=log_path,
        )

    def run(self) -> int:
        """Lead the fleet until its last master is gone."""
        self._waiter.watch(self._signals, self._note_signals)
        if self._watch:
            self._waiter.watch(self._watch, self._note_changes)
        loop = Loop(
            self._waiter,
            decide=self._decide,
            perform=self._performer.perform,
            next_deadline=self._next_deadline,
            exit_code=lambda: self._performer.exit_code,
        )
        exit_code = loop.run(first=FleetStarted(self._look()), idle=TimePassed())
        self._control_socket.remove()
        self._waiter.close()
        self._signals.close()
        if self._watch:
            self._watch.close()
        return exit_code

    def _decide(self, event: Event, now: float) -> list[Action]:
        actions = decide(self._book, event, now)
        self._service_manager.note(service_state(self._book, event, now), now)
        return actions

    def _next_deadline(self) -> float | None:
        """Of what is to be decided, or of the next word to the service manager."""
        return earliest(self._book.next_deadline(), self._service_manager.due)

    def _look(self) -> tuple[ConfSeen, ...]:
        """First watch, then read: what changes in between is seen again."""
        if self._watch:
            self._watch.aim(confs.what_to_watch(self._paths))
        return confs.look(self._paths)

    def _note_signals(self) -> list[Event]:
        return [NEWS[number] for number in self._signals.take()]

    def _note_changes(self) -> list[Event]:
        return [ConfsTouched()] if self._watch and self._watch.take() else []


def _watch() -> Watch | None:
    try:
        return Watch()
    except OSError as error:
        log.warning("changes in servers-enabled are seen on SIGHUP only: %s", error.strerror)
        return None


def _starts_max() -> int:
    return max(STARTS_AT_LEAST, STARTS_PER_CPU * len(os.sched_getaffinity(0)))
