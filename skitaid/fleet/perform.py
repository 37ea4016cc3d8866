"""Does what the fleet decided: runs masters, signals them, answers, logs. Makes no decision.

Lives in the fleet's only thread. Holds the processes, by the name of their server, and two pipes
for each: one on which the master says that it is ready, and its lifeline, which nobody writes
to and which the kernel closes when the fleet ends, however it ends.
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import assert_never

import msgspec

from skitaid.conf import load_fleet
from skitaid.errors import ConfError
from skitaid.fleet import confs
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
from skitaid.fleet.events import (
    ConfSeen,
    ConfsSeen,
    Event,
    MasterDied,
    MasterReady,
    MasterSpawned,
    SpawnFailed,
)
from skitaid.fleet.records import Request
from skitaid.log_tail import part, size
from skitaid.output import to_log
from skitaid.paths import Paths
from skitaid.places import server_log
from skitaid.supervisor.actions import Bury, Exit, Log
from skitaid.supervisor.control_socket import ControlSocket
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.orphans import bury
from skitaid.supervisor.pidfd import Pidfd
from skitaid.supervisor.waiting import Waiter
from skitaid.workers.logs.owned import open_owned

READY_MAX = 4096  # bytes of the line that a master writes when it is ready
SAID_MAX = 2048  # bytes of a log's end that are looked at

log = logging.getLogger(__name__)


class Master(msgspec.Struct):
    """A master process as the fleet holds it."""

    process: subprocess.Popen[bytes]
    pidfd: Pidfd
    ready: int  # read end; -1 when all is read
    lifeline: int  # write end


class Performer:
    """The fleet's hands."""

    def __init__(
        self,
        paths: Paths,
        python: str,
        waiter: Waiter[Event],
        control_socket: ControlSocket[Request, Event],
        notify: Notify,
        *,
        look: Callable[[], tuple[ConfSeen, ...]],
        log_path: Path | None,
    ) -> None:
        """`python` runs the masters; `notify` gets the first `FleetStatus` as a line of JSON.

        `look` reads servers-enabled; `log_path` is where stderr goes, if that is a log.
        """
        self.exit_code: int | None = None  # set when the fleet is to leave its loop
        self._paths = paths
        self._python = python
        self._waiter = waiter
        self._control_socket = control_socket
        self._notify = notify
        self._look = look
        self._log_path = log_path
        self._masters: dict[str, Master] = {}

    def perform(self, action: Action) -> list[Event]:
        """Carry out one action."""
        match action:
            case Spawn():
                return [self._spawn(action.name)]
            case Signal():
                self._signal(action)
            case Look():
                return [ConfsSeen(self._look())]
            case ReadFleetConf():
                self._read_fleet_conf()
            case ReopenLog():
                self._reopen_log()
            case FleetAnswer():
                self._control_socket.answer(action.ticket, action.reply)
            case Settled():
                self._notify.ready(msgspec.json.encode(action.status).decode())
            case Log():
                log.log(action.level, "%s", action.text)
            case Bury():
                bury({master.process.pid for master in self._masters.values()})
            case Exit():
                self.exit_code = action.code
            case _:
                assert_never(action)
        return []

    def _read_fleet_conf(self) -> None:
        """`python` may be another now; where things are stays as it was when we started."""
        try:
            self._python = load_fleet(self._paths.fleet_conf).python
        except ConfError as error:
            log.error("skitaid.conf has mistakes, so nothing of it has changed\n%s", error)

    def _reopen_log(self) -> None:
        if self._log_path is None:
            return
        try:
            to_log(self._log_path)
        except OSError as error:
            log.error("%s cannot be opened, the old file stays: %s", self._log_path, error.strerror)

    def _spawn(self, name: str) -> Event:
        digest = confs.digest(self._paths, name)
        log_path = server_log(self._paths, name)
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            log_descriptor = open_owned(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with os.fdopen(log_descriptor, "ab") as log_file:
                log_from = log_file.seek(0, os.SEEK_END)
                self._masters[name] = master = self._run(name, log_file.fileno())
        except OSError as error:
            return SpawnFailed(name, f"its master could not be run: {error}")
        self._waiter.watch(master.pidfd, partial(self._reap, name))
        self._waiter.watch(master.ready, partial(self._hear, name))
        return MasterSpawned(name, master.process.pid, log_from, digest)

    def _run(self, name: str, log_descriptor: int) -> Master:
        ready, notify = os.pipe()
        lifeline, mine = os.pipe()
        try:
            process = subprocess.Popen(
                self._command(name, notify, lifeline),
                stdin=subprocess.DEVNULL,
                stdout=log_descriptor,
                stderr=log_descriptor,
                pass_fds=(notify, lifeline),
                process_group=0,  # Ctrl-C is for the fleet, which tells its masters
            )
            return Master(process, _hold(process), ready, mine)
        except OSError:
            os.close(ready)
            os.close(mine)
            raise
        finally:
            os.close(notify)
            os.close(lifeline)

    def _command(self, name: str, notify: int, lifeline: int) -> list[str]:
        # -P: the directory we happen to be in is no place to import from.
        directories = ["--etc", str(self._paths.etc), "--var", str(self._paths.var)]
        descriptors = ["--notify-fd", str(notify), "--lifeline-fd", str(lifeline)]
        return [self._python, "-P", "-m", "skitaid", *directories, "serve", name, *descriptors]

    def _signal(self, action: Signal) -> None:
        master = self._masters.get(action.name)
        if master:  # else it was reaped just now, and its death is the next event
            master.pidfd.send(action.number)

    def _hear(self, name: str) -> list[Event]:
        """The master says that it is ready, or closes without a word."""
        line = os.read(self._masters[name].ready, READY_MAX)
        self._deafen(self._masters[name])
        return [MasterReady(name)] if line else []

    def _reap(self, name: str) -> list[Event]:
        master = self._masters.pop(name)
        exit_code = master.process.wait()
        self._deafen(master)
        self._waiter.forget(master.pidfd)
        master.pidfd.close()
        os.close(master.lifeline)
        log_path = server_log(self._paths, name)
        log_to = size(log_path)
        return [
            MasterDied(name, exit_code, log_to, part(log_path, max(0, log_to - SAID_MAX), log_to))
        ]

    def _deafen(self, master: Master) -> None:
        if master.ready >= 0:
            self._waiter.forget(master.ready)
            os.close(master.ready)
            master.ready = -1


def _hold(process: subprocess.Popen[bytes]) -> Pidfd:
    """A master that cannot be watched must not live: nobody would ever know of it."""
    try:
        return Pidfd(process.pid)
    except OSError:  # out of descriptors
        process.kill()
        process.wait()
        raise
