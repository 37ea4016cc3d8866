"""One server in this process: what `skitaid serve` does, for a person or for the fleet."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from skitaid import check, masters
from skitaid.conf import load_server
from skitaid.errors import SkitaidError
from skitaid.paths import Paths
from skitaid.pidfile import PidFile
from skitaid.places import server_pid
from skitaid.supervisor import activation, legacy, log
from skitaid.supervisor.legacy import Legacy
from skitaid.supervisor.lifeline import Lifeline
from skitaid.supervisor.listeners import CannotListen, try_to_listen
from skitaid.supervisor.master import Master
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.open_files import raise_limit
from skitaid.supervisor.orders import ENDS, ORDERS
from skitaid.supervisor.preload import preload
from skitaid.supervisor.privileges import let_others_enter
from skitaid.supervisor.service_manager import ServiceManager
from skitaid.supervisor.settings import CannotLoad, Settings
from skitaid.supervisor.signals import hold
from skitaid.supervisor.spawn import RunWorker
from skitaid.supervisor.succession import Succession
from skitaid.workers.apps import AppFailed
from skitaid.workers.run import main as run_worker

D = TypeVar("D")

messages = logging.getLogger(__name__)


def serve(
    conf: Path,
    paths: Paths,
    notify_fd: int | None = None,
    lifeline_fd: int | None = None,
    legacy_fd: int | None = None,
) -> int:
    """Run the server of `conf` until it is told to stop; return the exit code.

    One line is written to `notify_fd` when all workers are ready. The server stops gracefully
    at the end of file of `lifeline_fd`: then who started it is gone. On `legacy_fd` is what the
    program before this one in the same process has left. Raises `SkitaidError` if the server
    cannot even begin.
    """
    _hold_orders(is_first=legacy_fd is None)
    raise_limit()
    let_others_enter()
    service_manager = ServiceManager()
    left = _given("--legacy-fd", legacy_fd, legacy.read)
    run_dir = paths.run_dir(conf.stem)
    settings, broken = _settings(conf, run_dir, left)
    notify = _given("--notify-fd", notify_fd, Notify) or Notify(None)
    lifeline = _given("--lifeline-fd", left.lifeline if left else lifeline_fd, Lifeline)
    held = left.pid_file if left else None
    if not left:
        masters.wait_if_stopping(paths, conf.stem)
    pid_file = PidFile(server_pid(paths, conf.stem), f"server {conf.stem}", held)
    try:
        logs = log.set_up(settings.name, settings.worker.logs)
        for warning in check.warnings(settings):
            messages.warning("%s", warning)
        master = Master(
            settings,
            _run_worker(settings, first=left is None),
            load=partial(_load, conf, run_dir),
            reopen_log=logs.reopen,
            notify=notify,
            service_manager=service_manager,
            lifeline=lifeline,
            succession=_succession(conf, paths, pid_file),
            left=left,
            broken=broken,
            given=None if left else activation.given(settings.ip, settings.port),
            not_inherited=(pid_file,),
        )
        return master.run()
    except CannotListen as error:
        raise SkitaidError(f"server {settings.name}: {error}") from None
    finally:
        pid_file.remove()


def _hold_orders(*, is_first: bool) -> None:
    """Until the master hears them. What ends a server ends a start, too, whatever an app imports.

    Not if there are workers to be told, and not as process 1, to which the kernel does not
    deliver what it has no handler for.
    """
    if not is_first or os.getpid() == 1:
        hold(ORDERS)
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an import may catch KeyboardInterrupt
    hold(ORDERS.keys() - set(ENDS))


def _settings(conf: Path, run_dir: Path, left: Legacy | None) -> tuple[Settings, str]:
    """Those of the conf. If it has broken since the trial those of the last program, and why."""
    try:
        settings = load_server(conf, run_dir)
        bound = [(each.ip, each.port) for each in left.listeners] if left else []
        for address in settings.addresses if left else ():
            if address not in bound:
                try_to_listen(*address)
        return settings, ""
    except (SkitaidError, CannotListen) as error:
        last = legacy.settings_of(left) if left else None
        if last is None:
            raise
        return last, str(error)


def _run_worker(settings: Settings, *, first: bool) -> RunWorker:
    """What a worker does; with the apps, if they are to be preloaded."""
    if not settings.preload:
        return run_worker
    try:
        return partial(run_worker, preloaded=preload(settings.worker))
    except AppFailed as error:
        if first:
            raise SkitaidError(f"server {settings.name}: {error}") from None
        messages.error("not preloaded, workers try for themselves:\n%s", error)
        return run_worker  # those of the last program serve on


def _load(conf: Path, run_dir: Path) -> Settings:
    """The conf as it is now."""
    try:
        return load_server(conf, run_dir)
    except SkitaidError as error:
        raise CannotLoad(str(error)) from None


def _succession(conf: Path, paths: Paths, pid_file: PidFile) -> Succession:
    """The same server by whatever program is installed then. -P as the fleet does it."""
    directories = ["--etc", str(paths.etc), "--var", str(paths.var)]
    serve = [sys.executable, "-P", "-m", "skitaid", *directories, "serve", str(conf)]
    return Succession(
        trial=lambda bound: [*serve, "--trial", json.dumps(bound)],
        command=lambda descriptor: [*serve, "--legacy-fd", str(descriptor)],
        pid_file=pid_file.descriptor,
    )


def _given(option: str, descriptor: int | None, kind: Callable[[int], D]) -> D | None:
    """What is at the other end of a descriptor that the caller says he has passed."""
    if descriptor is None:
        return None
    try:
        return kind(descriptor)
    except OSError as error:
        message = f"{option} {descriptor} is not an open descriptor: {error.strerror}"
        raise SkitaidError(message) from None
