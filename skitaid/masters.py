"""What an operator wants of running masters, each asked by its own control socket.

It does not matter who started them, the fleet or `skitaid serve`. The functions run in the
command's process, block it as long as it takes, and raise `SkitaidError` with what the operator
has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from skitaid.errors import SkitaidError
from skitaid.paths import Paths
from skitaid.pidfile import holder
from skitaid.places import server_control, server_pid
from skitaid.silence import why_silent
from skitaid.supervisor.control_call import NoAnswer, ask
from skitaid.supervisor.control_records import Refused, Reload, Reply, Restart, Status

PATIENCE = 5.0  # seconds for an answer that needs no waiting

_reply: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def reload(paths: Paths, names: Sequence[str], told: Callable[[str], None]) -> list[str]:
    """Conf and apps anew for these servers, or for all that run; returns their names.

    Comes back when the last old worker is gone. `told` gets lines of progress. A server that
    cannot be reloaded does not keep the others from it; it goes on as it was, and its reason is
    in the `SkitaidError` at the end.
    """
    return _each(paths, names, lambda name: _ask(paths, name, Reload(), told))


def restart(paths: Paths, names: Sequence[str], told: Callable[[str], None]) -> list[str]:
    """These servers, or all that run, anew from the first line of their program on.

    As `reload`, but the master too becomes what is installed now. Its process stays the same.
    """
    return _each(paths, names, lambda name: _ask(paths, name, Restart(), told))


def running(paths: Paths) -> list[str]:
    """The enabled servers that have a master."""
    return [name for name in paths.enabled() if holder(server_pid(paths, name)) is not None]


def _each(paths: Paths, names: Sequence[str], do: Callable[[str], None]) -> list[str]:
    chosen = list(names) or running(paths)
    if not chosen:
        raise SkitaidError("no server is running; skitaid start starts all enabled servers")
    failed = [reason for name in chosen if (reason := _failure(do, name))]
    if failed:
        raise SkitaidError("\n".join(failed))
    return chosen


def _failure(do: Callable[[str], None], name: str) -> str:
    try:
        do(name)
    except SkitaidError as error:
        return str(error)
    return ""


def _ask(paths: Paths, name: str, request: msgspec.Struct, told: Callable[[str], None]) -> None:
    control = str(server_control(paths, name))
    try:
        ask(control, Status(), _reply, PATIENCE)  # if it is awake, the rest may take its time
        reply = ask(control, request, _reply, None, told)
    except NoAnswer as error:
        pid = holder(server_pid(paths, name))
        if pid is None:
            message = f"{name} is not running; skitaid start {name} starts it"
            raise SkitaidError(message) from None
        message = f"{name} (pid {pid}) runs but does not answer: {error}{why_silent(pid)}"
        raise SkitaidError(message) from None
    if isinstance(reply, Refused):
        raise SkitaidError(f"{name}: {reply.reason}")
