"""Imports the apps in the master, before it forks, so that the workers share their pages.

Imported modules cannot be unloaded, so this is done once in the life of a program: new code comes
with the next one, which takes this one's place (`restarting`). A fork copies neither threads nor
the other ends of sockets; what an app has started or opened by its import is told, by name.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from traceback import walk_stack

import psutil

from skitai.app import Application
from skitaid.workers.apps import load_all
from skitaid.workers.settings import Settings

log = logging.getLogger(__name__)


def preload(settings: Settings) -> dict[str, Application]:
    """The apps, for all workers to be forked. Raises `AppFailed`."""
    before = set(_sockets())
    apps = load_all(settings.routes)
    gc.collect()  # what is left is frozen by `Master.run`
    for thread in _other_threads():
        log.warning(
            "preload: an app has started the thread %s%s by its import; no worker has it,"
            " and a lock that it holds at a fork is never released there",
            thread.name,
            _where(thread),
        )
    for inode, descriptor in _sockets().items():
        if inode not in before:
            log.warning(
                "preload: an app has opened a socket by its import, %s; all workers share it,"
                " and what is for one of them another may read",
                _ends(descriptor),
            )
    return apps


def _other_threads() -> list[threading.Thread]:
    others = [each for each in threading.enumerate() if each is not threading.main_thread()]
    if others:  # Python's own word on it would come at every fork, without the names
        warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
    return others


def _where(thread: threading.Thread) -> str:
    """What it runs: its outermost function that is not of Python's `threading`."""
    frame = sys._current_frames().get(thread.ident or 0)
    codes = [each.f_code for each, _ in walk_stack(frame)] if frame else []
    ours = [code for code in codes if code.co_filename != threading.__file__]
    if not ours:
        return ""
    return f" (it runs {ours[-1].co_name}, {ours[-1].co_filename}:{ours[-1].co_firstlineno})"


def _sockets() -> dict[str, int]:
    """A descriptor of each open socket, by what the kernel calls the socket."""
    return {name: number for number, name in _open_files() if name.startswith("socket:")}


def _open_files() -> Iterator[tuple[int, str]]:
    for number in os.listdir("/proc/self/fd"):
        try:
            yield int(number), os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # that of the listing itself
            pass


def _ends(descriptor: int) -> str:
    """Its addresses, as far as it has any."""
    for each in psutil.Process().net_connections(kind="all"):
        if each.fd == descriptor:
            ends = (("at", each.laddr), ("to", each.raddr))
            told = [f"{word} {_address(end)}" for word, end in ends if end]
            return " ".join([f"descriptor {descriptor}", *told])
    return f"descriptor {descriptor}"


def _address(end: object) -> str:
    """Of the internet, or the path of a socket in the file system."""
    return ":".join(map(str, end)) if isinstance(end, tuple) else str(end)
