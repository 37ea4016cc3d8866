"""Why a process that runs gives no answer, as far as it can be seen from outside."""

from __future__ import annotations

import psutil

_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def why_silent(pid: int) -> str:
    """The end of a sentence about a process that does not answer; "" if there is no more to say."""
    try:
        is_stopped = psutil.Process(pid).status() in _STOPPED
    except psutil.NoSuchProcess:  # it has ended just now
        return ""
    return f"; it is stopped, kill -CONT {pid} lets it go on" if is_stopped else ""
