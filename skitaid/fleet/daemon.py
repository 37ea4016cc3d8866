"""Detaching from the terminal: the fleet's own process, and how its starter hears from it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from skitaid.errors import SkitaidError
from skitaid.output import to_log
from skitaid.supervisor import log as process_log
from skitaid.supervisor.exit_code import EXIT_CRASHED
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.privileges import let_others_enter

log = logging.getLogger(__name__)


def detach(run: Callable[[Notify], int], log_path: Path) -> str:
    """Call `run` in a process of its own that outlives this one and its terminal.

    Waits for the line that it writes to its `Notify`, and returns it: "" if it ended, or let
    go, without one. Its stderr is appended to `log_path`. The caller has no threads.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _fork_again(run, writer, log_path)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        os.waitpid(child, 0)
        return pipe.readline()


def _fork_again(run: Callable[[Notify], int], notify: int, log_path: Path) -> NoReturn:
    """A session of our own, then a child that is not its leader: it never gets a terminal."""
    try:
        os.setsid()
        if os.fork() == 0:
            _live(run, notify, log_path)
    except OSError as error:
        os.write(2, f"skitaid cannot be started: {error}\n".encode())
    finally:
        os._exit(0)


def _live(run: Callable[[Notify], int], notify: int, log_path: Path) -> NoReturn:
    """The whole life of the detached process."""
    exit_code = EXIT_CRASHED
    try:
        let_others_enter()
        to_log(log_path)
        os.chdir("/")
        process_log.set_up("skitaid")
        exit_code = run(Notify(notify))
    except SkitaidError as error:
        exit_code = error.exit_code
        log.error("%s", error)
    except BaseException:
        log.exception("skitaid crashed")
    finally:
        os._exit(exit_code)
