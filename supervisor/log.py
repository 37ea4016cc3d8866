"""The messages of a process that serves; see `workers/logs` for where they go.

Set up once per process, at its start. The fleet writes to stderr alone, a master also to the
logs of its server; a forked worker first changes the name, and then has logs of its own.
"""

from __future__ import annotations

from skitaid.workers.logs.open import ProcessLogs
from skitaid.workers.settings import Logs


def set_up(name: str, logs: Logs = Logs()) -> ProcessLogs:  # noqa: B008  # it is frozen
    """Send everything from level info up to stderr and to `logs`, as coming from `name`."""
    return ProcessLogs(name, logs)
