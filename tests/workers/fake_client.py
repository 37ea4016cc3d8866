"""A client without a network: a `ClientConnection` fed by hand, with a clock set by hand.

    client = FakeClient()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.statuses == [200]

The transport behaves as uvloop's: what the client does not read stays in a buffer, the protocol
is paused above the high-water mark and resumed below the low one, a close waits for the buffer,
an abort does not, and nothing is delivered while reading is paused.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from skitai.request import Request
from skitaid.workers.settings import Limits
from skitaid.workers.web import reply
from skitaid.workers.web.bodies import Bodies
from skitaid.workers.web.body import BodySink
from skitaid.workers.web.connection import ClientConnection
from skitaid.workers.web.connections import Connections
from skitaid.workers.web.forwarded import NOBODY, Proxies
from skitaid.workers.web.uploads import Uploads


@dataclass(order=True)
class Timer:
    when: float
    number: int
    callback: Callable[..., Any] = field(compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeLoop:
    """The few methods of a loop that a connection uses."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._soon: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._timers: list[Timer] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        self._soon.append((callback, args))

    call_soon_threadsafe = call_soon  # there are no threads

    def call_at(self, when: float, callback: Callable[..., Any]) -> Timer:
        timer = Timer(when, next(self._numbers), callback)
        heapq.heappush(self._timers, timer)
        return timer

    def settle(self) -> None:
        """Run what is to run soon, until nothing is left."""
        while self._soon:
            callback, args = self._soon.popleft()
            callback(*args)

    def advance(self, seconds: float) -> None:
        """Let time pass, timers in their order."""
        end = self._now + seconds
        self.settle()
        while self._timers and self._timers[0].when <= end:
            timer = heapq.heappop(self._timers)
            self._now = max(self._now, timer.when)
            if not timer.is_cancelled:
                timer.callback()
            self.settle()
        self._now = end


QUIET, _OTHER_END = socket.socketpair()  # nothing ever arrives on it


class FakeTransport(asyncio.Transport):
    """The server's end of the connection."""

    def __init__(self, loop: FakeLoop, is_tls: bool) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711), "socket": QUIET})
        self._loop = loop
        self._is_tls = is_tls
        self._high = 65536
        self._is_paused = False
        self._is_closing = False
        self._inbox: deque[bytes] = deque()
        self.protocol: ClientConnection | None = None
        self.written = b""
        self.unsent = 0
        self.client_reads = True
        self.is_reading_paused = False
        self.has_ended = False  # write_eof
        self.is_lost = False
        self.is_aborted = False

    # what the connection calls

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high = high

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self.has_ended, "written after write_eof"
        assert not self._is_closing, "written after close"
        self.written += data
        if self.client_reads:
            return
        self.unsent += len(data)
        if self.unsent > self._high and not self._is_paused:
            self._is_paused = True
            self._protocol().pause_writing()

    def can_write_eof(self) -> bool:
        return not self._is_tls

    def write_eof(self) -> None:
        assert not self._is_tls
        self.has_ended = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self.unsent:
                self._lose()

    def abort(self) -> None:
        self.is_aborted = True
        self._is_closing = True
        self.unsent = 0
        self._lose()

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False
        self._loop.call_soon(self._deliver)

    # what the client does

    def receive(self, data: bytes) -> None:
        self._inbox.append(data)
        self._deliver()

    def receive_eof(self) -> None:
        if not self._is_closing and not self._protocol().eof_received():
            self.close()

    def read(self, size: int) -> None:
        """The client takes some of what waits for it."""
        self.unsent -= min(size, self.unsent)
        if self._is_paused and self.unsent <= self._high // 4:
            self._is_paused = False
            self._protocol().resume_writing()
        if self._is_closing and not self.unsent:
            self._lose()

    def lose(self) -> None:
        """The client is gone."""
        self._is_closing = True
        self._lose()

    def _deliver(self) -> None:
        while self._inbox and not self.is_reading_paused and not self._is_closing:
            self._protocol().data_received(self._inbox.popleft())

    def _lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._loop.call_soon(self._protocol().connection_lost, None)

    def _protocol(self) -> ClientConnection:
        assert self.protocol is not None
        return self.protocol


class FakeSite:
    """Answers each request with what it got, at once or when it is told to."""

    takes_connect = False

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.answers_at_once = True
        self.size = 0  # further bytes in each answer
        self.in_hand: tuple[ClientConnection, Request] | None = None

    def handle(self, connection: ClientConnection, request: Request) -> None:
        assert self.in_hand is None, "a second request was handed over before the first's answer"
        self.seen.append(request)
        self.in_hand = connection, request
        if self.answers_at_once:
            self.answer()

    def answer(self, keep_alive: bool = True) -> None:
        """Answer the request in hand."""
        self.send(*self.prepare(keep_alive))

    def prepare(self, keep_alive: bool = True) -> tuple[bytes, bool]:
        """The answer to the request in hand, and whether it promises to stay."""
        assert self.in_hand is not None
        connection, request = self.in_hand
        keep_alive = keep_alive and connection.keep_alive
        body = self._echo(request) + b" " * self.size
        is_head = request.method == "HEAD"
        data = reply.whole(
            200, [], body, keep_alive=keep_alive, version=request.version, is_head=is_head
        )
        return data, keep_alive

    def send(self, data: bytes, keep_alive: bool) -> None:
        """Hand over the answer to the request in hand."""
        assert self.in_hand is not None
        (connection, request), self.in_hand = self.in_hand, None
        connection.respond(request, data, keep_alive)

    @staticmethod
    def _echo(request: Request) -> bytes:
        got = [request.method, request.uri, request.body.decode("latin-1")]
        return json.dumps(got).encode()


class FakeClient:
    """One connection and everything around it."""

    def __init__(
        self,
        limits: Limits | None = None,
        is_tls: bool = False,
        connections: Connections | None = None,
        loop: FakeLoop | None = None,
        uploads: Uploads | None = None,
        proxies: Proxies = NOBODY,
        passed_on: Sequence[Callable[..., BodySink | None]] = (),
    ) -> None:
        """uploads: None for tests that send none. passed_on: see `Bodies`."""
        self.loop = loop or FakeLoop()
        self.site = FakeSite()
        any_loop = cast(asyncio.AbstractEventLoop, self.loop)
        self.connections = connections or Connections(any_loop)
        self.transport = FakeTransport(self.loop, is_tls)
        limits = limits or Limits()
        bodies = Bodies(limits, cast(Uploads, uploads), passed_on)
        self.connection = ClientConnection(
            any_loop, self.site, self.connections, limits, bodies.choose, proxies
        )
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)

    def send(self, data: bytes, bytewise: bool = False) -> None:
        """Bytes of the client; in one piece, or each in its own."""
        pieces = [data[i : i + 1] for i in range(len(data))] if bytewise else [data]
        for piece in pieces:
            self.transport.receive(piece)
            self.loop.settle()

    def send_eof(self) -> None:
        """The client sends no more, but still reads."""
        self.transport.receive_eof()
        self.loop.settle()

    def answer(self, keep_alive: bool = True) -> None:
        """The site answers the request in hand."""
        self.site.answer(keep_alive)
        self.loop.settle()

    def drain(self, when_empty: Callable[[], None] = lambda: None) -> None:
        """The worker is told to leave."""
        self.connections.drain(when_empty)
        self.loop.settle()

    def stop_reading(self) -> None:
        """From now on what the server writes stays in its buffer."""
        self.transport.client_reads = False

    def read(self, size: int) -> None:
        """Take some of what waits."""
        self.transport.read(size)
        self.loop.settle()

    @property
    def seen(self) -> list[tuple[str, str, bytes]]:
        """The requests that reached the site."""
        return [(each.method, each.uri, each.body) for each in self.site.seen]

    @property
    def answers(self) -> list[Answer]:
        """What was written, as responses."""
        methods = [each.method for each in self.site.seen]
        return read_answers(self.transport.written, methods)

    @property
    def statuses(self) -> list[int]:
        """Their status codes."""
        return [each.status for each in self.answers]

    @property
    def is_closed(self) -> bool:
        """The server has closed the connection."""
        return self.transport.is_lost

    @property
    def is_ended(self) -> bool:
        """The server has said that it will send no more."""
        return self.transport.has_ended or self.transport.is_closing()


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    fields: dict[str, str]  # names in lower case
    body: bytes


def read_answers(data: bytes, methods: list[str]) -> list[Answer]:
    """Whole responses in `data`, which must have nothing else in it.

    methods: of the requests they answer, as far as those are known: a HEAD has no body.
    """
    answers: list[Answer] = []
    asked = iter(methods)
    while data:
        head, blank, data = data.partition(b"\r\n\r\n")
        assert blank, f"a response header is cut off: {head!r}"
        start, *lines = head.decode("latin-1").split("\r\n")
        status = int(start.removeprefix("HTTP/1.1 ")[:3])
        pairs = [line.partition(": ")[::2] for line in lines]
        fields = {name.lower(): value for name, value in pairs}
        assert len(fields) == len(pairs), f"a header field was sent twice: {lines}"
        has_body = status >= 200 and next(asked, "") != "HEAD"
        size = int(fields.get("content-length", "0")) if has_body else 0
        assert len(data) >= size, f"a body of {size} bytes is cut off: {data!r}"
        answers.append(Answer(status, fields, data[:size]))
        data = data[size:]
    return answers
