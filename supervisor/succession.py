"""One program taking another's place in the same process: exec, with all that must stay open.

The pid stays, so whoever watches the master (the fleet, a service manager) sees nothing happen.
Signals that come in the meantime wait in the kernel: they are blocked before the exec, which
keeps the mask and what is pending, until the next program has its own handlers.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

import msgspec

from skitaid.supervisor import legacy
from skitaid.supervisor.legacy import Legacy
from skitaid.supervisor.signals import Signals


class Succession(msgspec.Struct, frozen=True):
    """How this server is run again."""

    trial: Callable[[list[tuple[str, int]]], list[str]]  # command; it may not bind these
    command: Callable[[int], list[str]]  # with the descriptor of the legacy
    pid_file: int  # descriptor


def succeed(
    command: Callable[[int], list[str]],
    left: Legacy,
    signals: Signals,
    environment: Mapping[str, str],
) -> OSError:
    """Become the next program. Comes back only if the kernel refuses, with its reason.

    `environment`: what only the next program gets, besides our own.
    """
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, signals.numbers)
    for number in signals.take():
        signal.raise_signal(number)  # pending again, and so for who comes after us
    memory = legacy.write(left)
    inherited = [*left.descriptors(), memory]
    _pass_on(inherited, True)
    arguments = command(memory)
    try:
        os.execve(arguments[0], arguments, {**os.environ, **environment})  # noqa: S606 - ours
    except OSError as error:
        _pass_on(inherited, False)
        os.close(memory)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        return error


def _pass_on(descriptors: list[int], inheritable: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inheritable)
