"""The log of a process that serves: lines on stderr, `2026-11-22 11:06:48 [info] web: text`.

Set up once per process, at its start; a forked worker only changes the name. Where stderr
goes (a terminal, a file, a service manager) is the business of whoever started the process.
"""

from __future__ import annotations

import logging
import sys


class _Formatter(logging.Formatter):
    """Local time, level in lower case, the process' name, the text."""

    def __init__(self, name: str) -> None:
        escaped = name.replace("%", "%%")
        super().__init__(f"%(asctime)s [%(levelname)s] {escaped}: %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        lowered = logging.makeLogRecord(record.__dict__)
        lowered.levelname = record.levelname.lower()
        return super().format(lowered)


def set_up(name: str) -> None:
    """Send everything from level info up to stderr, as coming from `name`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(name))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
