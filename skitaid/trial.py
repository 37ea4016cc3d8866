"""`skitaid serve --trial`: would this server come up? Its master asks before it restarts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from skitaid.conf import load_server
from skitaid.errors import EXIT_FAILED, SkitaidError
from skitaid.paths import Paths
from skitaid.supervisor.listeners import CannotListen, try_to_listen
from skitaid.supervisor.privileges import become
from skitaid.supervisor.trial import COMES_UP
from skitaid.workers.trial import why_not


def run(conf: Path, paths: Paths, bound: list[tuple[str, int]]) -> NoReturn:
    """Load the conf, bind its address unless it is in `bound`, boot its apps, and end the process.

    If all went well the exit code is 0, and `COMES_UP` its last word; else the reason is on stderr.
    Threads that an app has started do not hold it up.
    """
    exit_code = EXIT_FAILED
    try:
        _try(conf, paths, bound)
        sys.stderr.write(f"\n{COMES_UP}\n")
        exit_code = 0
    except (SkitaidError, CannotListen) as error:
        sys.stderr.write(f"{error}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def _try(conf: Path, paths: Paths, bound: list[tuple[str, int]]) -> None:
    settings = load_server(conf, paths.run_dir(conf.stem))
    for address in settings.addresses:
        if address not in bound:
            _try_address(*address, bound)
    become(settings.identity, settings.umask)  # no app is ever run with the master's rights
    reason = why_not(settings.worker)
    if reason:
        raise SkitaidError(reason)


def _try_address(ip: str, port: int, bound: list[tuple[str, int]]) -> None:
    try:
        try_to_listen(ip, port)
    except CannotListen as error:
        if port not in (port for _, port in bound):
            raise
        raise SkitaidError(
            f"{error}; if that is this server itself with another ip: a reload can change that, a"
            " restart cannot, nor a reload with preload = yes, which is one; stop and start it"
        ) from None
