"""What an operator wants of the fleet, as functions that return when it is done.

They run in the command's process, block it as long as it takes, and raise `SkitaidError` with
what the operator has to know. They print nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from skitaid import masters
from skitaid.conf import load_server
from skitaid.errors import Complaint, ConfError, ConfNotFound, SkitaidError, did_you_mean
from skitaid.fleet import fleet
from skitaid.fleet.daemon import detach
from skitaid.fleet.records import (
    FleetStatus,
    Look,
    Reply,
    Request,
    Rotate,
    Start,
    Status,
    Stop,
)
from skitaid.log_tail import part, size
from skitaid.paths import Paths
from skitaid.pidfile import AlreadyRunning, holder, holding_process
from skitaid.places import fleet_control, fleet_log, fleet_pid
from skitaid.silence import why_silent
from skitaid.supervisor.control_call import NoAnswer, ask
from skitaid.supervisor.control_records import Refused
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.privileges import let_others_enter
from skitaid.workers.logs.owned import open_owned

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
_status = msgspec.json.Decoder(FleetStatus)


class NotRunning(SkitaidError):
    """There is no fleet."""

    def __init__(self) -> None:
        super().__init__("skitaid is not running; skitaid start starts all enabled servers")


class Refusal(SkitaidError):
    """The fleet has heard, and will not."""


def start(paths: Paths) -> FleetStatus:
    """Start the fleet in the background; return when each server is up or has failed.

    The servers that are up stay up, whatever became of the others; those are tried again with
    growing pauses. Only if none came up the fleet ends. Before all that every conf is checked,
    and nothing is started if there is a mistake in any.
    """
    _check_startable(paths)
    _check_writable(fleet_log(paths))
    log_from = size(fleet_log(paths))
    try:
        line = detach(lambda notify: fleet.run(paths, notify, fleet_log(paths)), fleet_log(paths))
    except KeyboardInterrupt:
        message = "skitaid goes on starting without you; skitaid status tells how far it is"
        raise SkitaidError(message) from None
    if not line:
        why = part(fleet_log(paths), log_from).strip()
        nothing = f"{fleet_log(paths)} does not tell why; is there room on its disk?"
        raise SkitaidError(f"skitaid did not start:\n{why or nothing}")
    started = _status.decode(line)
    if not any(server.state == "running" for server in started.servers):
        _wait_gone(paths)
    return started


def run(paths: Paths, notify: Notify | None = None, log_path: Path | None = None) -> int:
    """Run the fleet in this process; return its exit code.

    `notify` gets a `FleetStatus` as a line of JSON when each server is up or has failed.
    `log_path` is where stderr goes, if that is a log that may be rotated.
    """
    _check_startable(paths)
    let_others_enter()
    return fleet.run(paths, notify or Notify(None), log_path)


def start_servers(paths: Paths, names: Sequence[str]) -> FleetStatus:
    """Start these servers of the running fleet; return when each is up or has failed.

    Of those that are up, workers that wait for their next try are tried at once.
    """
    _check_confs(paths, names)
    up = _up(paths)
    outcome = _ask(paths, Start(list(names)))
    again = [name for name in names if name in up]
    if again:
        masters.start(paths, again)
    return outcome


def restart(paths: Paths, names: Sequence[str], told: Callable[[str], None]) -> FleetStatus:
    """Have these servers, or all, run what is installed now; the fleet itself stays, or is started.

    Those that run restart themselves in place, without losing a request; `told` gets their
    progress. The others are started. A conf with a mistake leaves everything as it is. With all,
    servers whose conf is not enabled any more are stopped.
    """
    if not names and not is_running(paths):
        return start(paths)
    wanted = names or paths.enabled()
    _check_confs(paths, wanted)
    up = _up(paths)
    if not names:
        _stop_others(paths, wanted, graceful=True)
    outcome = _ask(paths, Start(list(wanted)))
    again = [name for name in wanted if name in up]
    if again:
        masters.restart(paths, again, told)
    return outcome


def _up(paths: Paths) -> list[str]:
    return [server.name for server in status(paths).servers if server.state == "running"]


def _stop_others(paths: Paths, wanted: Sequence[str], graceful: bool) -> None:
    known = [server.name for server in status(paths).servers]
    try:
        _ask(paths, Stop([name for name in known if name not in wanted], graceful))
    except Refusal:
        pass  # it has noticed meanwhile that their confs are gone, and has forgotten them


def look(paths: Paths, names: Sequence[str]) -> FleetStatus:
    """Make the fleet look at servers-enabled now; return when these servers are up or gone.

    Those that are gone for good are not in the answer.
    """
    return _ask(paths, Look(list(names)))


def rotate(paths: Paths, names: Sequence[str]) -> FleetStatus:
    """Make these servers write to new log files; without names all, and the fleet."""
    return _ask(paths, Rotate(list(names)), masters.PATIENCE)


def stop_servers(paths: Paths, names: Sequence[str], graceful: bool) -> FleetStatus:
    """Stop these servers of the running fleet; return when their masters are gone."""
    return _ask(paths, Stop(list(names), graceful))


def stop(paths: Paths, graceful: bool) -> int | None:
    """Stop the whole fleet; return its pid when it is gone. None if it did not run."""
    process = holding_process(fleet_pid(paths))
    if process is None:
        return None
    try:
        process.send(signal.SIGQUIT if graceful else signal.SIGTERM)
        process.send(signal.SIGCONT)  # else it would never hear of it, if somebody has stopped it
        process.wait()
    except ProcessLookupError:
        pass  # it has just gone by itself
    except PermissionError:
        message = f"skitaid (pid {process.pid}) belongs to another user, who may stop it"
        raise SkitaidError(message) from None
    finally:
        process.close()
    return process.pid


def is_running(paths: Paths) -> bool:
    """Whether there is a fleet."""
    return holder(fleet_pid(paths)) is not None


def status(paths: Paths) -> FleetStatus:
    """The fleet's word on its servers. Raises `NotRunning`."""
    return _ask(paths, Status(), masters.PATIENCE)


def _check_writable(log_path: Path) -> None:
    """Raises SkitaidError if there is no place for the log, which would tell of all else."""
    let_others_enter()
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        os.close(open_owned(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    except OSError as error:
        raise SkitaidError(
            f"skitaid cannot write {log_path}: {error.strerror}; --var, or var_path of"
            " skitaid.conf, names another directory"
        ) from None


def _check_startable(paths: Paths) -> None:
    pid = holder(fleet_pid(paths))
    if pid is not None:
        raise AlreadyRunning(f"skitaid is already running (pid {pid})")
    names = paths.enabled()
    if not names:
        raise ConfNotFound(f"there is no server to start: {paths.servers_enabled} has no conf")
    _check_confs(paths, names)


def _check_confs(paths: Paths, names: Iterable[str]) -> None:
    """Raises `ConfError` with the mistakes of all confs at once."""
    complaints = [mistake for name in names for mistake in _complaints(paths, name)]
    if complaints:
        raise ConfError(complaints)


def _complaints(paths: Paths, name: str) -> tuple[Complaint, ...]:
    enabled = paths.enabled()
    if name not in enabled:
        hint = did_you_mean(name, enabled)
        raise ConfNotFound(f"there is no {name}.conf in {paths.servers_enabled}{hint}")
    try:
        load_server(paths.servers_enabled / f"{name}.conf", paths.run_dir(name))
    except ConfError as error:
        return error.complaints
    return ()


def _wait_gone(paths: Paths) -> None:
    process = holding_process(fleet_pid(paths))
    if process:
        process.wait()
        process.close()


def _ask(paths: Paths, request: Request, timeout: float | None = None) -> FleetStatus:
    control = str(fleet_control(paths))
    try:
        if timeout is None:  # if only it is awake
            ask(control, Status(), _reply, masters.PATIENCE)
        reply = ask(control, request, _reply, timeout)
    except NoAnswer as error:
        pid = holder(fleet_pid(paths))
        if pid is None:
            raise NotRunning from None
        message = f"skitaid (pid {pid}) runs but does not answer: {error}{why_silent(pid)}"
        raise SkitaidError(message) from None
    if isinstance(reply, Refused):
        raise Refusal(reply.reason)
    return reply
