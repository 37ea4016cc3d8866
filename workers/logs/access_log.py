"""The access log: a line for each request that was answered, or whose client has gone.

Runs on the loop. A line is made at once, from what is at hand, which costs less than keeping the
parts; it is written by the log writer's thread, a batch at a time: after `LINGER`, or as soon as
there are `BATCH` of them. So the loop makes no system call for it, and wakes a thread some
ten times per second at most while it is busy, and never while it is idle.

    2026-11-22 11:06:48 192.0.2.7 GET /hello HTTP/1.1 200 160 5f2a9c-1b 0.1 0.4
    time, client, request, status, bytes, request id, milliseconds from the first byte to
    the start of the handler, and to the end of the response
"""

from __future__ import annotations

import asyncio
import time
from time import monotonic
from typing import Any

import msgspec

from skitai.request import Request

from .messages import iso
from .outlet import Outlet
from .writer import Channel, LogWriter

LINGER = 0.1  # seconds
BATCH = 1000  # lines
GONE = b"499"  # the client went before the response was begun; nginx's number

# The usual durations as text, in tenths of a millisecond: a look costs a quarter of formatting.
_TENTHS = tuple(f"{tenths / 10:.1f}" for tenths in range(1000))


class AccessLog:
    """One worker's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        writer: LogWriter,
        outlets: list[Outlet],
        style: str,
    ) -> None:
        """style: "text" or "json"."""
        self._loop = loop
        self._writer = writer
        self._channels = [Channel(each) for each in outlets]
        self._is_json = style == "json"
        self._lines: list[str] = []
        self._offset = 0.0  # of the wall clock to the monotonic one
        self._second = -1
        self._stamp = ""

    def note(self, request: Request, status: bytes, size: int) -> None:
        """A request is over. size: bytes that were sent for it, header included."""
        lines = self._lines
        now = monotonic()
        if not lines:
            self._begin_batch(now)
        began = request.began
        started = request.started
        wait = started - began if started else 0.0
        if self._is_json:
            lines.append(self._json(request, status, size, wait, now))
        else:
            moment = int(now + self._offset)
            if moment != self._second:
                self._turn(moment)
            took = int((now - began) * 10000)
            waited = int(wait * 10000)
            lines.append(
                f"{self._stamp} {request.peer or '-'} {request.method} "
                f"{request.target.decode('latin-1')} HTTP/{request.version} "
                f"{status.decode('latin-1')} {size} {request.id} "
                f"{_TENTHS[waited] if waited < 1000 else _ms(wait)} "
                f"{_TENTHS[took] if took < 1000 else _ms(now - began)}\n"
            )
        if len(lines) >= BATCH:
            self.hand_over()

    def refused(self, peer: str, status: int, size: int) -> None:
        """A client was sent away before its request could be read."""
        if not self._lines:
            self._begin_batch(monotonic())
        if self._is_json:
            entry = {"time": iso(time.time()), "peer": peer, "status": status, "bytes": size}
            self._lines.append(msgspec.json.encode(entry).decode() + "\n")
            return
        self._turn(int(monotonic() + self._offset))
        self._lines.append(f"{self._stamp} {peer or '-'} - - - {status} {size} - 0.0 0.0\n")

    def hand_over(self) -> None:
        """What there is, to the writer."""
        lines, self._lines = self._lines, []
        if lines:
            text = "".join(lines)
            for channel in self._channels:
                self._writer.post(channel, text, len(lines))

    def _begin_batch(self, now: float) -> None:
        self._offset = time.time() - now
        self._loop.call_later(LINGER, self.hand_over)

    def _turn(self, second: int) -> None:
        """To another second."""
        self._second = second
        self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))

    def _json(self, request: Request, status: bytes, size: int, wait: float, now: float) -> str:
        entry: dict[str, Any] = {
            "time": iso(now + self._offset),
            "peer": request.peer,
            "method": request.method,
            "target": request.uri,
            "version": request.version,
            "status": int(status),
            "bytes": size,
            "id": request.id,
            "wait_ms": round(wait * 1000, 1),
            "ms": round((now - request.began) * 1000, 1),
        }
        return msgspec.json.encode(entry).decode() + "\n"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
