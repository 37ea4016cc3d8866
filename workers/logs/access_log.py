"""The access log: a line for each request that was answered, or whose client has gone.

Runs on the loop. What a line is made of is kept as bytes, and a whole batch is formatted in one
step, which costs a third of formatting each line. The log writer's thread writes it: after
`LINGER`, or as soon as there are `BATCH` lines. So the loop makes no system call for it, wakes a
thread once per batch, and is not woken itself while it is idle.

    2026-11-22 11:06:48 192.0.2.7 GET /hello HTTP/1.1 200 160 5f2a9c-1b 0.1 0.4
    time, client, request, status, bytes, request id, milliseconds from the first byte to
    the start of the handler, and to the end of the response

A request that was passed on has two more: the member that was asked last, and the milliseconds
from then on.
"""

from __future__ import annotations

import asyncio
import time
from time import monotonic

import msgspec

from skitai.request import Request

from .outlet import Outlet
from .writer import Channel, LogWriter

LINGER = 0.1  # seconds
BATCH = 500  # lines; they are formatted within about a fifth of a millisecond
LINE = b"%b %b %b %b %b %b %d %b %b %b\n"
GONE = b"HTTP/1.1 499"  # the client went before the response was begun; nginx's number

# The usual durations in milliseconds; a look here costs a quarter of formatting.
_TENTHS = tuple(b"%.1f" % (tenths / 10) for tenths in range(1000))
_METHODS = {each: each.encode() for each in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")}


class Entry(msgspec.Struct):
    """A line as JSON. Times in milliseconds, but for `time`; "" and 0 are unknown."""

    time: str  # local, with its offset
    peer: str
    method: str
    target: str
    version: str
    status: int
    bytes: int
    id: str
    wait_ms: float
    ms: float


class PassedEntry(Entry):
    """The same for a request that was passed on to a member."""

    member: str
    member_ms: float


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
        self._encode = msgspec.json.Encoder().encode
        self._count = 0  # lines that are not handed over yet
        self._lines: list[bytes] = []  # of JSON
        self._values: list[bytes | int] = []  # for so many times LINE
        self._offset = 0.0  # of the wall clock to the monotonic one
        self._next_second = 0.0  # monotonic, when the stamp is to change
        self._stamp = b""
        self._iso = ("", "")  # up to the second, and from the milliseconds on

    def note(self, request: Request, status: bytes, size: int, now: float) -> None:
        """A request is over. size: bytes that were sent for it, header included."""
        if now >= self._next_second:
            self._turn(now)
        if not self._count:
            self._loop.call_later(LINGER, self.hand_over)
        self._count += 1
        began = request.began
        wait = request.started - began if request.started else 0.0
        if self._is_json:
            self._lines.append(self._json(request, status, size, wait, now))
            return
        try:
            waited, took = _TENTHS[int(wait * 10000)], _TENTHS[int((now - began) * 10000)]
        except IndexError:
            waited, took = b"%.1f" % (wait * 1000), b"%.1f" % ((now - began) * 1000)
        if request.member:
            took = b"%b %b %.1f" % (took, request.member, (now - request.asked) * 1000)
        self._values += (
            self._stamp,
            request.caller.address.encode() or b"-",
            _METHODS.get(request.method) or request.method.encode(),
            request.target,
            b"HTTP/1.1" if request.version == "1.1" else b"HTTP/1.0",
            status,
            size,
            request.id_bytes(),
            waited,
            took,
        )
        if self._count >= BATCH:
            self.hand_over()

    def refused(self, peer: str, status: int, size: int) -> None:
        """A client was sent away before its request could be read."""
        now = monotonic()
        if now >= self._next_second:
            self._turn(now)
        if not self._count:
            self._loop.call_later(LINGER, self.hand_over)
        self._count += 1
        if self._is_json:
            entry = Entry(self._iso_time(now), peer, "", "", "", status, size, "", 0.0, 0.0)
            self._lines.append(self._encode(entry) + b"\n")
        else:
            known = (self._stamp, peer.encode() or b"-")
            unknown = (b"-", b"-", b"-")
            self._values += (*known, *unknown, b"%d" % status, size, b"-", b"0.0", b"0.0")

    def hand_over(self) -> None:
        """What there is, to the writer."""
        count, self._count = self._count, 0
        if not count:
            return
        if self._is_json:
            data = b"".join(self._lines)
            self._lines.clear()
        else:
            data = (LINE * count) % tuple(self._values)
            self._values.clear()
        for channel in self._channels:
            self._writer.post(channel, data, count)

    def _turn(self, now: float) -> None:
        """To another second."""
        self._offset = time.time() - now
        second = int(now + self._offset)
        self._next_second = second + 1 - self._offset
        local = time.localtime(second)
        zone = time.strftime("%z", local)
        self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", local).encode()
        self._iso = (time.strftime("%Y-%m-%dT%H:%M:%S", local), f"{zone[:3]}:{zone[3:]}")

    def _iso_time(self, now: float) -> str:
        second, zone = self._iso
        return f"{second}.{int((now + self._offset) % 1 * 1000):03d}{zone}"

    def _json(self, request: Request, status: bytes, size: int, wait: float, now: float) -> bytes:
        values = (
            self._iso_time(now),
            request.caller.address,
            request.method,
            request.uri,
            request.version,
            int(status),
            size,
            request.id,
            round(wait * 1000, 1),
            round((now - request.began) * 1000, 1),
        )
        if request.member:
            asked = round((now - request.asked) * 1000, 1)
            return self._encode(PassedEntry(*values, request.member.decode(), asked)) + b"\n"
        return self._encode(Entry(*values)) + b"\n"
