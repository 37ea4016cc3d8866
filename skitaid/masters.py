"""What an operator wants of running masters, each asked by its own control socket.

It does not matter who started them, the fleet or `skitaid serve`. The functions run in the
command's process, block it as long as it takes, and raise `SkitaidError` with what the operator
has to know.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence

import msgspec

from skitaid.conf import load_server
from skitaid.errors import EXIT_CONF, ConfError, SkitaidError
from skitaid.paths import Paths
from skitaid.pidfile import holder, holding_process
from skitaid.places import server_control, server_pid
from skitaid.silence import why_silent
from skitaid.supervisor import control_call
from skitaid.supervisor.control_call import NoAnswer, ask
from skitaid.supervisor.control_records import (
    Refused,
    Reload,
    Reply,
    Restart,
    Rotate,
    ServerStatus,
    Start,
    Status,
    Stop,
)
from skitaid.workers.control import Answers, Question

PATIENCE = 5.0  # seconds for an answer that needs no waiting

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)

log = logging.getLogger(__name__)


def reload(paths: Paths, names: Sequence[str], told: Callable[[str], None]) -> list[str]:
    """Conf and apps anew for these servers, or for all that run; returns their names.

    Comes back when the last old worker is gone. `told` gets lines of progress. A server that
    cannot be reloaded does not keep the others from it; it goes on as it was, and its reason is
    in the `SkitaidError` at the end.
    """
    return _each(paths, names, lambda name: _reload(paths, name, told))


def _reload(paths: Paths, name: str, told: Callable[[str], None]) -> None:
    try:
        _ask(paths, name, Reload(), told)
    except SkitaidError as error:
        if _has_mistakes(paths, name):
            error.exit_code = EXIT_CONF
        raise


def _has_mistakes(paths: Paths, name: str) -> bool:
    """Whether it is the conf that is to blame."""
    try:
        load_server(paths.conf(name), paths.run_dir(name))
    except ConfError:
        return True
    except SkitaidError:  # it is gone, or was started from somewhere else
        return False
    return False


def restart(paths: Paths, names: Sequence[str], told: Callable[[str], None]) -> list[str]:
    """These servers, or all that run, anew from the first line of their program on.

    As `reload`, but the master too becomes what is installed now. Its process stays the same.
    """
    return _each(paths, names, lambda name: _ask(paths, name, Restart(), told))


def start(paths: Paths, names: Sequence[str]) -> list[str]:
    """Workers of these servers that wait for their next try are forked now."""
    return _each(paths, names, lambda name: _ask(paths, name, Start()))


def inquire(paths: Paths, name: str, question: Question) -> tuple[Answers, dict[int, bytes]]:
    """What all workers of a server say to a question, by ordinal."""
    try:
        return control_call.inquire(str(server_control(paths, name)), question, PATIENCE)
    except NoAnswer as error:
        raise _why(paths, name, error) from None


def stop(paths: Paths, names: Sequence[str], graceful: bool) -> list[str]:
    """End these servers; comes back when their masters are gone."""
    return _each(paths, names, lambda name: _stop(paths, name, graceful))


def rotate(paths: Paths, names: Sequence[str]) -> list[str]:
    """New log files for these servers."""
    return _each(paths, names, lambda name: _ask(paths, name, Rotate()))


def reply_of(paths: Paths, name: str, request: msgspec.Struct) -> Reply:
    """What the master of a server that runs says to a request."""
    return _ask(paths, name, request)


def wait_if_stopping(paths: Paths, name: str) -> None:
    """Wait for the end of a master of this server that ends anyhow; not for one that serves on.

    Such a one has lost its fleet, say, and finishes what it has in hand: for its `drain_timeout`
    at most.
    """
    process = holding_process(server_pid(paths, name))
    if process is None:
        return
    if _is_stopping(paths, name):
        log.warning("server %s is still stopping (pid %d): waiting for its end", name, process.pid)
        process.wait()
    process.close()


def running(paths: Paths) -> list[str]:
    """The enabled servers that have a master."""
    return [name for name in paths.enabled() if holder(server_pid(paths, name)) is not None]


def _each(paths: Paths, names: Sequence[str], do: Callable[[str], object]) -> list[str]:
    chosen = list(names) or running(paths)
    if not chosen:
        raise SkitaidError("no server is running; skitaid start starts all enabled servers")
    failed = [error for name in chosen if (error := _failure(do, name))]
    if failed:
        together = SkitaidError("\n".join(map(str, failed)))
        together.exit_code = min(error.exit_code for error in failed)
        raise together
    return chosen


def _failure(do: Callable[[str], object], name: str) -> SkitaidError | None:
    try:
        do(name)
    except SkitaidError as error:
        return error
    return None


def _stop(paths: Paths, name: str, graceful: bool) -> None:
    process = holding_process(server_pid(paths, name))
    if process is None:
        return  # it has just gone by itself
    try:
        process.send(signal.SIGCONT)  # else it would never hear of it, if somebody has stopped it
        _ask(paths, name, Stop(graceful))
        process.wait()
    except ProcessLookupError:
        pass  # the same
    except PermissionError:
        message = f"{name} (pid {process.pid}) belongs to another user, who may stop it"
        raise SkitaidError(message) from None
    finally:
        process.close()


def _is_stopping(paths: Paths, name: str) -> bool:
    try:
        status = ask(str(server_control(paths, name)), Status(), _reply, PATIENCE)
    except NoAnswer:
        return False
    return isinstance(status, ServerStatus) and status.state == "stopping"


def _ask(
    paths: Paths,
    name: str,
    request: msgspec.Struct,
    told: Callable[[str], None] = lambda text: None,
) -> Reply:
    control = str(server_control(paths, name))
    try:
        ask(control, Status(), _reply, PATIENCE)  # if it is awake, the rest may take its time
        reply = ask(control, request, _reply, None, told)
    except NoAnswer as error:
        raise _why(paths, name, error) from None
    if isinstance(reply, Refused):
        raise SkitaidError(f"{name}: {reply.reason}")
    return reply


def _why(paths: Paths, name: str, error: NoAnswer) -> SkitaidError:
    """What is the matter with a master that does not answer."""
    pid = holder(server_pid(paths, name))
    if pid is None:
        return SkitaidError(f"{name} is not running; skitaid start {name} starts it")
    return SkitaidError(f"{name} (pid {pid}) runs but does not answer: {error}{why_silent(pid)}")
