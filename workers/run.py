"""The worker process, from fork to exit code. Called in the child by `supervisor.spawn`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping

import uvloop

from skitai.app import Application

from . import control
from .admin.errors import Errors
from .apps import AppFailed, load_all
from .backlog import open_backlog
from .doors import Doors
from .heartbeat import Heartbeat
from .life import Life
from .logs.open import ProcessLogs
from .scoreboard import Field, Scoreboard, Slot, State
from .settings import Settings
from .site import WebSite
from .watchdog import Watchdog

log = logging.getLogger(__name__)

# Objects that may come into being, more than go, until the collector looks for circles among them.
# With Python's 700 it looks at whatever is on its way in a busy worker, again and again, and finds
# nothing: that was a fortieth of the time of a fan-out.
YOUNG = 10_000


def main(
    settings: Settings,
    doors: Doors,
    pipe: socket.socket,
    ordinal: int,
    scoreboard: Scoreboard,
    preloaded: Mapping[str, Application] | None = None,
) -> int:
    """Serve until the master says otherwise. Returns the exit code.

    doors: what the master has opened. pipe: this worker's end of the control pipe. ordinal:
    which worker of the server this is, from 0; its slot on the scoreboard has the same index.
    preloaded: the apps, if the master has imported them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the master, which tells us
    watchdog = Watchdog(pipe, settings.drain_timeout)  # before any other thread
    logs = ProcessLogs(f"{settings.name}/{ordinal}", settings.logs)
    logs.start_writer()
    errors = Errors(ordinal)
    logging.getLogger().addHandler(errors)
    slot = scoreboard[ordinal]
    _introduce(slot, settings)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    access_log = logs.access_log(loop)
    try:
        apps = load_all(settings.routes) if preloaded is None else preloaded
        site = WebSite(loop, settings, apps, scoreboard, ordinal, access_log, errors)
        gc.set_threshold(YOUNG)
        for listener in doors.listeners:
            open_backlog(listener)
    except (AppFailed, OSError) as error:
        control.send(pipe, control.BootFailed(control.cut(str(error))))
        return control.EXIT_BOOT_FAILED
    life = Life(loop, site, pipe, slot, settings.drain_timeout, logs.reopen)
    watchdog.report = site.requests_in_hand
    heartbeat = Heartbeat(loop, slot, settings.worker_timeout, site.handlers)
    heartbeat.beat()
    try:
        loop.run_until_complete(life.lead(doors))
        # One more round, so that what was closed at the end really closes.
        loop.run_until_complete(asyncio.sleep(0))
        site.leave_nothing()
    finally:
        heartbeat.stop()
        if access_log is not None:
            access_log.hand_over()
        loop.close()
    return control.EXIT_CLEAN


def _introduce(slot: Slot, settings: Settings) -> None:
    slot[Field.PID] = os.getpid()
    slot[Field.STARTED] = time.monotonic_ns()
    slot[Field.THREADS] = settings.threads
    slot[Field.STATE] = State.BOOTING
