"""The server's own paths: who is let in, and what is answered there.

Runs on the loop, without any handler thread, and before the queue is looked at: so it answers when
every handler is busy and no request more is taken. The paths are exact ones; whatever else is below
`admin_path` belongs to the routes of the conf.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML
from skitai.stream import Stream
from skitaid.workers.awaiting import AnyCoroutine
from skitaid.workers.ledger import Series
from skitaid.workers.settings import Admin
from skitaid.workers.web import answers
from skitaid.workers.web.connection import ClientConnection

from .auth import Auth, Refused
from .console import EVENT_FIELDS, Answer, Console
from .status import StatusOf
from .templating import FILES

log = logging.getLogger(__name__)

JSON = "application/json"

Page = Callable[[ClientConnection, Request], None]
Make = Callable[[Request], Awaitable[Answer]]
Send = Callable[[ClientConnection, Request, Stream], None]


class AdminPages:
    """Of one worker. series: where requests to them are counted."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Admin,
        status: StatusOf,
        console: Console,
        run: Callable[[AnyCoroutine], None],
        send: Send,
        series: Series,
    ) -> None:
        """run: makes a task of a coroutine, and cancels it when the worker leaves. send: answers
        with a stream, which ends when the worker retires.
        """
        self._loop = loop
        self._status = status
        self._console = console
        self._run = run
        self._send = send
        self._series = series
        self._auth = Auth(settings) if settings.password else None
        self._path = settings.path

    def pages(self) -> Mapping[str, Page]:
        """By their paths. Without a password there is only the health."""
        pages: dict[str, Page] = {f"{self._path}/health": self._health}
        if self._auth is not None:
            pages[f"{self._path}/status.json"] = self.guarded(self._document)
            pages[f"{self._path}/metrics"] = self.guarded(self._metrics)
            pages |= self._status_pages(self._console, f"{self._path}/status")
        return pages

    def _status_pages(self, console: Console, base: str) -> dict[str, Page]:
        files = {f"{base}/{name}": self.guarded(partial(console.file, name)) for name in FILES}
        return {
            base: self.guarded(console.status),
            f"{base}/routes": self.guarded(console.routes),
            f"{base}/do": self.guarded(console.do, ("POST",)),
            f"{base}/events": self._let_in(self._events, ("GET",)),
            **files,
        }

    def guarded(self, make: Make, methods: tuple[str, ...] = ("GET", "HEAD")) -> Page:
        """A page for who is let in: `make` gives the answer."""
        return self._let_in(
            lambda connection, request: self._run(_send(connection, request, make)), methods
        )

    def _let_in(self, serve: Page, methods: tuple[str, ...]) -> Page:
        def page(connection: ClientConnection, request: Request) -> None:
            request.series = self._series
            assert self._auth is not None
            refused = self._auth.judge(request, time.monotonic())
            if refused is not None:
                self._refuse(connection, request, refused)
            elif request.method not in methods:
                _not_allowed(connection, request, methods)
            else:
                serve(connection, request)

        return page

    def _events(self, connection: ClientConnection, request: Request) -> None:
        """See `live`."""
        if self._console.live.is_full:
            fields = [("Content-Type", HTML), ("Retry-After", "10")]
            page = error_page(503, "As many look at the status page already as there may be.")
            answers.whole(connection, request, 503, fields, page)
            return
        request.response.start(200, headers=EVENT_FIELDS)
        request.returned = time.monotonic()
        watch = self._console.live.watch()
        self._send(connection, request, Stream(watch, watch.aclose, watch.aclose))

    def _health(self, connection: ClientConnection, request: Request) -> None:
        """For load balancers. A worker that leaves still lives, but is to be sent nothing more."""
        request.series = self._series
        if request.method not in ("GET", "HEAD"):
            _not_allowed(connection, request, ("GET", "HEAD"))
            return
        is_ready = not connection.is_draining
        body = {"status": "ok" if is_ready else "draining", "live": True, "ready": is_ready}
        fields = [("Content-Type", JSON), ("Cache-Control", "no-store")]
        status = 200 if is_ready else 503
        answers.whole(connection, request, status, fields, msgspec.json.encode(body))

    async def _document(self, request: Request) -> Answer:
        status = await self._status.status()
        return 200, [("Content-Type", JSON)], msgspec.json.encode(status, enc_hook=str)

    async def _metrics(self, request: Request) -> Answer:
        metrics = await self._status.metrics()
        body, kind = metrics.text(request.get_header("accept") or "")
        return 200, [("Content-Type", kind)], body

    def _refuse(self, connection: ClientConnection, request: Request, refused: Refused) -> None:
        if refused.why:
            log.warning(
                "request %s, %s %s: refused to %s: %s",
                request.id,
                request.method,
                request.uri,
                request.caller.address or "a unix socket",
                refused.why,
            )
        fields = [("Content-Type", HTML), ("Cache-Control", "no-store"), *refused.fields]
        page = error_page(refused.status, refused.detail)

        def answer() -> None:
            answers.whole(connection, request, refused.status, fields, page)

        if refused.delay:
            self._loop.call_later(refused.delay, answer)
        else:
            answer()


async def _send(connection: ClientConnection, request: Request, make: Make) -> None:
    try:
        status, fields, body = await make(request)
    except asyncio.CancelledError:
        raise  # the worker leaves
    except Exception:  # a defect of ours costs one request
        log.exception("%s %s: failed", request.method, request.uri)
        answers.error(connection, request, 500, "The request failed; the server's log says why.")
        return
    if all(name != "Cache-Control" for name, _ in fields):
        fields = [*fields, ("Cache-Control", "no-store")]
    answers.whole(connection, request, status, fields, body)


def _not_allowed(connection: ClientConnection, request: Request, methods: tuple[str, ...]) -> None:
    fields = [("Content-Type", HTML), ("Allow", ", ".join(methods))]
    answers.whole(connection, request, 405, fields, error_page(405))
