"""Which of our processes still live, however they were started and whoever their parent was.

The test process becomes a subreaper: what loses its parent (a detached fleet, a worker whose
master was killed) becomes its child, so everything a test has started stays below it.
"""

from __future__ import annotations

import ctypes
import os
import time

import psutil

from skitaid.supervisor.pidfd import Pidfd

PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h


def adopt_orphans() -> None:
    """Make this process the parent of all its descendants that lose theirs."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def our_processes() -> list[psutil.Process]:
    """All living descendants that are of Skitaid, by title or command line."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if _is_ours(process)]


def wait_gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until these are dead, all together `seconds` at most; those who are not."""
    deadline = time.monotonic() + seconds
    return [one for one in processes if not _wait_dead(one.pid, deadline - time.monotonic())]


def reap_adopted(known: set[int]) -> None:
    """Bury our dead, except those (`known`) that a Popen of ours will bury."""
    for process in psutil.Process().children():
        if process.pid not in known and _is_dead_of_ours(process):
            os.waitpid(process.pid, os.WNOHANG)


def _is_ours(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "skitaid" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def _is_dead_of_ours(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE and process.name().startswith("skitaid")
    except psutil.NoSuchProcess:
        return False


def _wait_dead(pid: int, seconds: float) -> bool:
    try:
        process = Pidfd(pid)
    except ProcessLookupError:
        return True
    try:
        return process.wait(max(0.0, seconds))
    finally:
        process.close()
