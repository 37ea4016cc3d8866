"""The worker process, from fork to exit code. Called in the child by `supervisor.spawn`."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl

import uvloop

from . import control
from .apps import AppFailed, load_all
from .life import Life
from .settings import Settings
from .site import WebSite

log = logging.getLogger(__name__)


def main(settings: Settings, listener: socket.socket, pipe: socket.socket, ordinal: int) -> int:
    """Serve until the master says otherwise. Returns the exit code.

    listener: bound and listening, shared with the other workers. pipe: this worker's end of
    the control pipe. ordinal: which worker of the server this is, from 0.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the master, which tells us
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        site = WebSite(loop, settings, load_all(settings.routes))
    except (AppFailed, ssl.SSLError, OSError) as error:
        control.send(pipe, control.BootFailed(control.cut(str(error))))
        return control.EXIT_BOOT_FAILED
    life = Life(loop, site, pipe, settings.drain_timeout)
    try:
        loop.run_until_complete(life.lead(listener))
        # One more round, so that what was closed at the end really closes.
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    return control.EXIT_CLEAN
