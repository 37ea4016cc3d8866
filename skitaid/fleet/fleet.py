"""The fleet process: wait, note, decide, perform, as the master of a server does.

One process, one thread. It serves nothing itself and reads no server's conf, so nothing in a
conf can hurt it. If it dies, its masters see their lifelines end and stop gracefully.
"""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial

import msgspec
import setproctitle

from skitaid.conf import load_fleet
from skitaid.fleet.book import Book
from skitaid.fleet.decide import decide
from skitaid.fleet.events import Event, FleetAsked, FleetStarted
from skitaid.fleet.perform import Performer
from skitaid.fleet.records import Request
from skitaid.paths import Paths
from skitaid.pidfile import PidFile
from skitaid.places import fleet_control, fleet_pid
from skitaid.supervisor import log
from skitaid.supervisor.control_socket import ControlSocket
from skitaid.supervisor.events import StopWanted, TimePassed
from skitaid.supervisor.loop import Loop
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.signals import Signals
from skitaid.supervisor.waiting import Waiter

GRACEFUL = {signal.SIGTERM: False, signal.SIGINT: False, signal.SIGQUIT: True}


def run(paths: Paths, notify: Notify) -> int:
    """Run all enabled servers until told to stop; return the exit code.

    `notify` gets one line, a `FleetStatus` in JSON, when each server is up or has failed. Raises
    `AlreadyRunning`, and `ConfError` for skitaid.conf.
    """
    python = load_fleet(paths.fleet_conf).python
    pid_file = PidFile(fleet_pid(paths), "skitaid")
    try:
        log.set_up("skitaid")
        setproctitle.setproctitle("skitaid")
        return _Fleet(paths, python, notify).run(paths.enabled())
    finally:
        pid_file.remove()


class _Fleet:
    """Owns all descriptors of the process."""

    def __init__(self, paths: Paths, python: str, notify: Notify) -> None:
        self._signals = Signals(GRACEFUL)
        self._waiter: Waiter[Event] = Waiter()
        self._control_socket: ControlSocket[Request, Event] = ControlSocket(
            str(fleet_control(paths)), self._waiter, msgspec.json.Decoder(Request), FleetAsked
        )
        self._book = Book(time.monotonic(), random.random, pid=os.getpid(), unix_time=time.time())
        self._performer = Performer(paths, python, self._waiter, self._control_socket, notify)

    def run(self, names: list[str]) -> int:
        """Lead the fleet until its last master is gone."""
        self._waiter.watch(self._signals, self._note_signals)
        loop = Loop(
            self._waiter,
            decide=partial(decide, self._book),
            perform=self._performer.perform,
            next_deadline=self._book.next_deadline,
            exit_code=lambda: self._performer.exit_code,
        )
        exit_code = loop.run(first=FleetStarted(tuple(names)), idle=TimePassed())
        self._control_socket.remove()
        self._waiter.close()
        self._signals.close()
        return exit_code

    def _note_signals(self) -> list[Event]:
        return [StopWanted(GRACEFUL[number], number.name) for number in self._signals.take()]
