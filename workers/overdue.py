"""Requests that take longer than `request_timeout`: told once, answered 503, their slots counted.

Runs on the loop. One timer serves all: it sleeps until the first request in hand is due, or, when
there is none, for as long as one that comes now may take. Nothing is noted down per request. Where
a route has a time of its own, that counts.

A thread cannot be stopped from outside. So the client is sent away, and the handler goes on: what
it returns is dropped, and if it never returns, its run slot is lost. One that waits in getwait()
holds no slot, and one that comes back gives it back. When all slots of the worker are lost, no
handler can run any more, and the worker asks to be replaced; its successor is ready first.
A handler that has not begun never does, and one on the loop is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable

from skitai.app import Application
from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML

from .in_hand import AtWork, at_work
from .web import reply
from .web.connections import Connection, Connections

NEVER = math.inf
RARELY = 5.0  # seconds between two looks when nobody has a time: a reload may bring one
COARSE = 1.0  # seconds between two looks at least; less if request_timeout is short itself

log = logging.getLogger(__name__)


class Overdue:
    """One per worker in which requests may take too long."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeout: float,
        shortest: Callable[[], float],
        slots: int,
        connections: Connections,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """timeout: `request_timeout`; 0.0 for none. shortest: the least of that and of what routes
        have, as they are by then; `NEVER` if nobody has any. slots: run slots there are. tasks: of
        `async def` handlers.
        """
        self._loop = loop
        self._timeout = timeout
        self._shortest = shortest
        self._slots = slots
        self._connections = connections
        self._tasks = tasks
        self._astray: dict[int, Request] = {}  # by id: given up, but still on a thread
        self._when_lost: Callable[[str], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, when_lost: Callable[[str], None]) -> None:
        """Begin. when_lost: called once, with the reason, when no run slot is left."""
        self._when_lost = when_lost
        self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now, shortest = time.monotonic(), self._shortest()
        next_due = now + min(shortest, RARELY)
        late: list[tuple[Connection, Request]] = []
        for connection in self._connections.answering():
            request = connection.in_hand
            if request is None or connection.is_streaming:
                continue
            due = _since(request) + self._time_of(request)
            if due <= now:
                late.append((connection, request))
            else:
                next_due = min(next_due, due)
        if late or self._astray:
            self._judge(late, now)
        rest = max(next_due - now, min(COARSE, shortest / 4))
        self._timer = self._loop.call_later(rest, self._look)

    def _time_of(self, request: Request) -> float:
        return (self._timeout if request.timeout is None else request.timeout) or NEVER

    def _judge(self, late: list[tuple[Connection, Request]], now: float) -> None:
        busy = {id(work.request): work for work in at_work(self._tasks)}
        for connection, request in late:
            self._give_up(connection, request, busy.get(id(request)), now)
        self._astray = {key: each for key, each in self._astray.items() if key in busy}
        lost = sum(busy[key].is_running for key in self._astray)
        if lost >= self._slots and self._when_lost is not None:
            when_lost, self._when_lost = self._when_lost, None
            when_lost(f"all {self._slots} run slots are held by handlers past their time")

    def _give_up(
        self, connection: Connection, request: Request, work: AtWork | None, now: float
    ) -> None:
        where = f"{work.handler}: {work.doing()}\n{work.stack()}" if work else "no thread was free"
        log.warning(
            "request %s, %s %s: given up after %.1f s, %s is %g s; %s",
            request.id,
            request.method,
            request.uri,
            now - _since(request),
            "request_timeout" if request.timeout is None else "the timeout of its route",
            self._time_of(request),
            where,
        )
        if work is not None and work.task is not None:
            work.task.cancel()
        elif work is not None:
            self._astray[id(request)] = request
        send_away(connection, request, "The request took too long.")


def send_away(connection: Connection, request: Request, sentence: str) -> None:
    """Answer 503 in the place of the handler, of whom nothing has been sent yet."""
    request.is_given_up = True
    data = reply.whole(
        503,
        [("Content-Type", HTML)],
        error_page(503, sentence),
        keep_alive=False,
        version=request.version,
        is_head=request.method == "HEAD",
    )
    connection.respond(request, data, False)


def shortest(timeout: float, apps: Iterable[Application]) -> float:
    """The least time that a request may have. timeout: of the conf; 0.0 for none."""
    routes = (
        route.timeout
        for app in apps
        for package in app.family()
        for route in package.router.routes()
    )
    return min((each for each in (timeout, *routes) if each), default=NEVER)


def _since(request: Request) -> float:
    """A long upload is no fault of the handler, nor is a long queue on the connection."""
    return request.started or request.taken
