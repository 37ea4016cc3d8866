"""The logs of a process that serves, put together: who writes where.

In the foreground everything also goes to the screen. Under the fleet the screen is server.log
itself, so there is nothing more to write to.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from skitaid.workers.settings import Logs

from .access_log import AccessLog
from .messages import MessageHandler, formatter
from .outlet import STDERR, LogFile, Outlet, Screen, leads_to
from .writer import LogWriter


class ProcessLogs:
    """One per process: the master's, and then each worker's own."""

    def __init__(self, process: str, settings: Logs) -> None:
        """Send all messages from level info up where they belong. process: "web", "web/0"."""
        self._settings = settings
        screen: list[Outlet] = []
        self._files: list[LogFile] = []
        names = ("server", "app", "request") if settings.directory else ()
        files = [LogFile(Path(settings.directory, f"{name}.log"), settings) for name in names]
        self._files = files
        if not files or not leads_to(STDERR, Path(settings.directory, "server.log")):
            screen = [Screen()]
        server, app, self._request = ([*files[i : i + 1], *screen] for i in range(3))
        self._handler = MessageHandler(server, app)
        self._handler.setFormatter(formatter(process, settings.style))
        self._writer: LogWriter | None = None
        root = logging.getLogger()
        for inherited in root.handlers[:]:  # its files would stay open in a forked worker
            root.removeHandler(inherited)
            inherited.close()
        root.addHandler(self._handler)
        root.setLevel(logging.INFO)

    def start_writer(self) -> None:
        """In a worker: from now on a thread of its own writes."""
        self._writer = LogWriter(self._handler.report)
        self._writer.reopen([*self._files[:1]])  # it must be open to say that no file can be opened
        self._handler.write_through(self._writer)

    def access_log(self, loop: asyncio.AbstractEventLoop) -> AccessLog | None:
        """None when there is to be none. After `start_writer`."""
        assert self._writer is not None
        if not self._settings.access:
            return None
        return AccessLog(loop, self._writer, self._request, self._settings.style)

    def reopen(self) -> None:
        """The files were moved away: have new ones."""
        if self._writer is not None:
            self._writer.reopen(list(self._files))
            return
        for each in self._files:
            try:
                each.reopen()
            except OSError as error:
                logging.getLogger(__name__).error("%s cannot be opened: %s", each.name, error)
