"""One request at its handler: arguments in, bytes of the response out.

`WebCall.run` runs on a handler thread, or `run_async` on the loop for an `async def` handler;
the finished call then goes through the hand-off to `on_loop`, which writes it. A call is used
by one thread at a time: the loop makes it, the handler fills it, the loop sends it.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterable
from time import monotonic
from typing import Any

from skitai import serialize
from skitai.engine import Engine
from skitai.errors import HttpError
from skitai.request import Request
from skitai.response import Response
from skitai.routing import name_of
from skitai.was import WAS
from skitaid.workers.handoff import Handoff

from . import reply
from .connection import ClientConnection
from .mounts import Found

log = logging.getLogger("skitai.app")

_SIMPLE = serialize.HTML.encode("ascii")


class WebCall:
    """A request, the handler found for it, and the bytes to send."""

    __slots__ = ("_connection", "_data", "_found", "_handoff", "_keep_alive", "_request", "_was")

    def __init__(
        self,
        connection: ClientConnection,
        request: Request,
        found: Found,
        engine: Engine,
        handoff: Handoff,
    ) -> None:
        self._connection = connection
        self._request = request
        self._found = found
        self._handoff = handoff
        self._was = WAS(engine, found.app, request)
        self._data = b""
        self._keep_alive = True

    @property
    def request(self) -> Request:
        """The one it answers."""
        return self._request

    @property
    def handler_name(self) -> str:
        """For messages."""
        return name_of(self._found.route.handler)

    def run(self) -> None:
        """On a handler thread."""
        if self._request.is_given_up:
            return
        self._request.started = monotonic()
        try:
            value = self._found.route.handler(self._was, **self._arguments())
            self._answer(value)
        except BaseException as error:  # a SystemExit too: it must not end the thread
            self._fail(error)
        self._handoff.post(self)

    async def run_async(self) -> None:
        """On the loop."""
        self._request.started = monotonic()
        try:
            value = await self._found.route.handler(self._was, **self._arguments())
            self._answer(value)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise  # the worker leaves
            self._fail(error)  # something that the handler awaited was cancelled
        except BaseException as error:  # a SystemExit too: it must not end the loop
            self._fail(error)
        self.on_loop()

    def on_loop(self) -> None:
        """Send the response, if the client is still there."""
        self._connection.respond(self._request, self._data, self._keep_alive)

    def _arguments(self) -> dict[str, Any]:
        """Path, query and form in one. Raises HttpError 400 for missing or unexpected ones."""
        given = arguments(self._request, self._found.params)
        complaint = self._found.route.signature.complaint(given)
        if complaint is not None:
            raise HttpError(400, f"{self._request.path}: {complaint}.")
        return given

    def _answer(self, value: Any) -> None:
        request, response = self._request, self._was._response
        keep_alive = self._keep_alive = self._connection.keep_alive
        kind, body = serialize.to_body(value)
        if (
            response is None
            and keep_alive
            and request.version == "1.1"
            and request.method != "HEAD"
        ):
            self._data = reply.ok(_SIMPLE if kind is serialize.HTML else kind.encode(), body)
            return
        response = response or Response()
        fields: Iterable[tuple[str, str]] = response.fields
        if not response.has_key("content-type"):
            fields = [("Content-Type", kind), *fields]
        self._data = reply.whole(
            response.status,
            fields,
            body,
            keep_alive=keep_alive,
            version=request.version,
            is_head=request.method == "HEAD",
            reason=response.reason,
        )

    def _fail(self, error: BaseException) -> None:
        request = self._request
        trace = ""
        if not isinstance(error, HttpError):
            log_failure(request, self._found, error)
            if self._found.app.is_devel():
                trace = "".join(traceback.format_exception(error))
            error = HttpError(500, "The handler failed; the server's log says why.")
        self._keep_alive = self._connection.keep_alive
        self._data = reply.whole(
            error.status,
            [("Content-Type", reply.HTML), *_without_type(error.headers)],
            reply.error_page(error.status, error.detail, trace),
            keep_alive=self._keep_alive,
            version=request.version,
            is_head=request.method == "HEAD",
        )


def _without_type(fields: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """The page is ours, and so is its type."""
    return [(name, value) for name, value in fields if name.lower() != "content-type"]


def _is_cancelled() -> bool:
    """Whether it is the current task itself that somebody cancels."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def arguments(request: Request, params: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a handler: what the path gives is joined to query and form.

    A name that comes both ways has a list: the values of query and form, then the path's.
    Raises HttpError 400.
    """
    given = request.args
    if not params:
        return given
    both = dict(given)
    for name, value in params.items():
        if name not in both:
            both[name] = value
        elif isinstance(both[name], list):
            both[name] = [*both[name], value]
        else:
            both[name] = [both[name], value]
    return both


def log_failure(request: Request, found: Found, error: BaseException) -> None:
    """One entry with the request, the handler and the traceback."""
    where = (request.id, request.method, request.uri, name_of(found.route.handler))
    if isinstance(error, serialize.Unsupported):
        log.error("request %s, %s %s: %s %s", *where, error)
    else:
        log.error("request %s, %s %s: %s raised %s", *where, type(error).__name__, exc_info=error)
