"""Messages: one line each (a traceback follows), as text or as JSON, to the log they belong to.

What this package itself says goes to server.log, and all that apps say, whatever logger they use,
to app.log; failures of handlers are the apps' too. On the screen both are together.

A worker's messages are written by its log writer. The master writes its few itself: it has one
thread only, so that it can fork, and a child that an app has forked has no log writer either.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial

import msgspec

from .outlet import STDERR, Outlet
from .writer import Channel, LogWriter

FLUSH = 2.0  # seconds at the end of a process
OURS = ("skitaid", "asyncio")  # and below


class TextFormatter(logging.Formatter):
    """`2026-11-22 11:06:48 [info] web/0: text`: local time, level, process, text."""

    def __init__(self, process: str) -> None:
        escaped = process.replace("%", "%%")
        super().__init__(f"%(asctime)s [%(levelname)s] {escaped}: %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        lowered = logging.makeLogRecord(record.__dict__)
        lowered.levelname = record.levelname.lower()
        return super().format(lowered)


class JsonFormatter(logging.Formatter):
    """An object in one line: time, level, process, logger, text, and trace if there is one."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": iso(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "text": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry, order=None).decode()


def formatter(process: str, style: str) -> logging.Formatter:
    """style: "text" or "json"."""
    return JsonFormatter(process) if style == "json" else TextFormatter(process)


def iso(moment: float) -> str:
    """Local time with its offset, to the millisecond."""
    local = time.localtime(moment)
    zone = time.strftime("%z", local)
    milliseconds = int(moment % 1 * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{milliseconds:03d}{zone[:3]}:{zone[3:]}"


class MessageHandler(logging.Handler):
    """The root logger's handler. logging's own lock makes it the one poster of its channels."""

    def __init__(self, server: list[Outlet], app: list[Outlet]) -> None:
        """server, app: where messages of ours, and of apps, go."""
        super().__init__()
        channels = {id(each): Channel(each) for each in (*server, *app)}
        self._server = [channels[id(each)] for each in server]
        self._app = [channels[id(each)] for each in app]
        self._writer: LogWriter | None = None
        self._pid = 0  # the process the writer lives in

    def write_through(self, writer: LogWriter) -> None:
        """From now on `writer` writes. In the process where its thread is."""
        self._writer = writer
        self._pid = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            data = _encoded(self.format(record))
        except Exception:  # a message with wrong arguments; logging shows where it comes from
            self.handleError(record)
            return
        channels = self._server if _is_ours(record.name) else self._app
        if self._writer is not None and self._pid == os.getpid():
            for channel in channels:
                self._writer.post(channel, data)
        else:
            _write_now(channels, data)

    def report(self, level: int, text: str) -> None:
        """About the logs themselves: past the lock, which may be held by who waits for us."""
        record = logging.LogRecord("skitaid.logs", level, "", 0, text, None, None)
        _write_now(self._server, _encoded(self.format(record)))

    def flush(self) -> None:
        if self._writer is not None and self._pid == os.getpid():
            self._writer.flush(FLUSH)

    def close(self) -> None:
        super().close()
        for channel in (*self._server, *self._app):
            channel.outlet.close()


def _write_now(channels: list[Channel], data: bytes) -> None:
    """To all that take it; if none does to standard error, which under the fleet is server.log
    as it was opened by who may do that. A full disk must not end a master: then it is lost.
    """
    taken = [_is_written(channel.outlet.write, data) for channel in channels]
    if not any(taken):
        _is_written(partial(os.write, STDERR), data)


def _is_written(write: Callable[[bytes], object], data: bytes) -> bool:
    try:
        write(data)
    except OSError:
        return False
    return True


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in OURS
