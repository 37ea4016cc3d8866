"""One server in this process: what `skitaid serve` does, for a person or for the fleet."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from skitaid.conf import load_server
from skitaid.errors import SkitaidError
from skitaid.notices import notices
from skitaid.paths import Paths
from skitaid.pidfile import PidFile
from skitaid.places import server_pid
from skitaid.supervisor import log
from skitaid.supervisor.lifeline import Lifeline
from skitaid.supervisor.listeners import CannotListen, listen
from skitaid.supervisor.master import Master
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.settings import Settings
from skitaid.workers.run import main as run_worker

D = TypeVar("D")

messages = logging.getLogger(__name__)


def serve(
    conf: Path, paths: Paths, notify_fd: int | None = None, lifeline_fd: int | None = None
) -> int:
    """Run the server of `conf` until it is told to stop; return the exit code.

    One line is written to `notify_fd` when all workers are ready. The server stops gracefully
    at the end of file of `lifeline_fd`: then who started it is gone. Raises `SkitaidError`
    if the server cannot even begin.
    """
    run_dir = paths.run_dir(conf.stem)
    settings = load_server(conf, run_dir)
    notify = _given("--notify-fd", notify_fd, Notify) or Notify(None)
    lifeline = _given("--lifeline-fd", lifeline_fd, Lifeline)
    pid_file = PidFile(server_pid(paths, conf.stem), f"server {conf.stem}")
    try:
        log.set_up(settings.name)
        for notice in notices(settings):
            messages.warning("not yet: %s", notice)
        with _listen(settings) as listener:
            master = Master(
                settings,
                listener,
                run_worker,
                notify=notify,
                lifeline=lifeline,
                not_inherited=(pid_file,),
            )
            return master.run()
    finally:
        pid_file.remove()


def _listen(settings: Settings) -> socket.socket:
    try:
        return listen(settings.ip, settings.port)
    except CannotListen as error:
        raise SkitaidError(f"server {settings.name}: {error}") from None


def _given(option: str, descriptor: int | None, kind: Callable[[int], D]) -> D | None:
    """What is at the other end of a descriptor that the caller says he has passed."""
    if descriptor is None:
        return None
    try:
        return kind(descriptor)
    except OSError as error:
        message = f"{option} {descriptor} is not an open descriptor: {error.strerror}"
        raise SkitaidError(message) from None
