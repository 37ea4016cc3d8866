"""Forking one worker.

Runs in the master's main thread, which is its only one, so the fork is safe. The child keeps
the listening sockets, its end of its own control pipe, and stderr; everything else of the
master's it closes first, above all the siblings' pipes: an end kept open here would hide the
master's death from them. The child never comes back from here: whatever happens in it, it ends
in `os._exit`.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn, Protocol

import msgspec

from skitaid.supervisor import log as process_log
from skitaid.supervisor.exit_code import EXIT_CRASHED
from skitaid.supervisor.pidfd import Pidfd
from skitaid.supervisor.privileges import become
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.title import be_worker
from skitaid.workers import control
from skitaid.workers import settings as worker
from skitaid.workers.doors import Doors
from skitaid.workers.scoreboard import Scoreboard
from skitaid.workers.standing import Standing

RunWorker = Callable[[worker.Settings, Doors, socket.socket, int, Scoreboard], int]

# A key press in the terminal reaches the whole process group; it is the master who tells.
OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
OF_THE_MASTER = (signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU)

log = logging.getLogger(__name__)


class Closeable(Protocol):
    """What the master owns and a worker must not keep."""

    def close(self) -> None: ...


class Spawned(msgspec.Struct, frozen=True):
    """A worker as the master holds it."""

    process: Pidfd
    control: socket.socket  # the master's end of the pipe


class Nursery(msgspec.Struct, frozen=True):
    """All that is the same for every worker of a master."""

    run_worker: RunWorker
    settings: Settings
    doors: Doors
    scoreboard: Scoreboard

    def spawn(
        self,
        ordinal: int,
        not_inherited: list[Closeable],
        standings: tuple[Standing, ...] = (),
    ) -> Spawned:
        """Fork one worker. Raises `OSError` if the kernel refuses."""
        settings = self._settings_of_one(standings)
        mine, theirs = control.pair()
        self.scoreboard.take(ordinal)
        # A signal between fork and reset would be written into the master's queue.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                self._live(settings, ordinal, theirs, [*not_inherited, mine])
        except OSError:
            mine.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            theirs.close()
        return Spawned(_hold(pid, mine), mine)

    def _settings_of_one(self, standings: tuple[Standing, ...]) -> worker.Settings:
        """In the master, whose random numbers differ from fork to fork."""
        limit, jitter = self.settings.max_requests, self.settings.max_requests_jitter
        more = random.randint(0, jitter) if limit else 0
        return replace(self.settings.worker, max_requests=limit + more, standings=standings)

    def _live(
        self,
        settings: worker.Settings,
        ordinal: int,
        pipe: socket.socket,
        not_inherited: list[Closeable],
    ) -> NoReturn:
        """The whole life of the child process."""
        exit_code = EXIT_CRASHED
        try:
            for belonging in not_inherited:
                belonging.close()
            be_worker(settings.name, ordinal)
            become(self.settings.identity, self.settings.umask)
            process_log.set_up(f"{settings.name}/{ordinal}")
            _reset_signals()
            exit_code = self.run_worker(settings, self.doors, pipe, ordinal, self.scoreboard)
        except BaseException:
            log.exception("the worker crashed")
        finally:
            try:
                _flush()
            finally:
                os._exit(exit_code)


def _hold(pid: int, mine: socket.socket) -> Pidfd:
    """A child that cannot be watched must not live: nobody would ever know of it."""
    try:
        return Pidfd(pid)
    except OSError:  # out of descriptors
        mine.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _flush() -> None:
    """`os._exit` does not; what an app has printed would be lost."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()


def _reset_signals() -> None:
    for number in (*OF_THE_TERMINAL, *OF_THE_MASTER):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
