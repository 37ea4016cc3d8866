"""One request on its way through a handler: made on the loop, run, and sent by the loop.

`run` is called on a handler thread, or `run_async` on the loop for an `async def` handler; the
finished call then goes through the hand-off to `on_loop`, which sends it. A call is used by one
thread at a time: the loop makes it, the handler fills it, the loop sends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

import msgspec

from skitai import handling, rpc
from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML, Body
from skitai.stream import Stream
from skitai.table import Found
from skitai.was import WAS
from skitai.wasc import Wasc
from skitaid.workers.handoff import Handoff

from . import reply
from .connection import ClientConnection

log = logging.getLogger(__name__)

_SIMPLE = HTML.encode("ascii")

StartStream = Callable[[ClientConnection, Request, str, Stream, str], None]


class Context(msgspec.Struct, frozen=True):
    """What all calls of a worker share. start_stream: called on the loop."""

    wasc: Wasc
    handoff: Handoff
    start_stream: StartStream


class WebCall:
    """A request, the handler found for it, and what is to be sent."""

    __slots__ = (
        "_connection",
        "_context",
        "_data",
        "_keep_alive",
        "_kind",
        "_stream",
        "found",
        "request",
    )

    def __init__(
        self, connection: ClientConnection, request: Request, found: Found, context: Context
    ) -> None:
        self.request = request
        self.found = found
        self._connection = connection
        self._context = context
        self._kind = ""
        self._data = b""
        self._stream: Stream | None = None
        self._keep_alive = True

    @property
    def handler_name(self) -> str:
        """For messages."""
        return self.found.name

    def run(self) -> None:
        """On a handler thread."""
        request = self.request
        if request.is_given_up:
            return
        request.started = monotonic()
        was = WAS(self._context.wasc, self.found, request)
        self._fill(*handling.answer(was, self.found))
        self._let_go()
        self._context.handoff.post(self)

    async def run_async(self) -> None:
        """On the loop."""
        self.request.started = monotonic()
        was = WAS(self._context.wasc, self.found, self.request)
        self._fill(*await handling.answer_async(was, self.found))
        self._let_go()
        self.on_loop()

    def on_loop(self) -> None:
        """Send the response, if the client is still there."""
        if self._stream is None:
            self._connection.respond(self.request, self._data, self._keep_alive)
        else:
            self._context.start_stream(
                self._connection, self.request, self._kind, self._stream, self.handler_name
            )

    def _let_go(self) -> None:
        """Nothing stays open for a request that is answered; a stream's is, when that is over."""
        if self.request.errand is not None and self._stream is None:
            self.request.errand.close(self.found.name)

    def _fill(self, kind: str, body: Body) -> None:
        if isinstance(body, Stream):
            self._kind, self._stream = kind, body
            self.request.returned = monotonic()
            return
        self._keep_alive = self._connection.keep_alive
        self._data = to_bytes(self.request, kind, body, self._keep_alive)


class RpcCall:
    """One RPC document."""

    __slots__ = ("_connection", "_context", "_data", "_keep_alive", "_methods", "request")

    def __init__(
        self,
        connection: ClientConnection,
        request: Request,
        methods: rpc.Methods,
        context: Context,
    ) -> None:
        self.request = request
        self._connection = connection
        self._methods = methods
        self._context = context
        self._data = b""
        self._keep_alive = True

    @property
    def handler_name(self) -> str:
        """For messages; which methods a document calls is known only when it has been read."""
        return "an RPC document"

    def run(self) -> None:
        """On a handler thread."""
        request = self.request
        if request.is_given_up:
            return
        request.started = monotonic()
        try:
            kind, body = rpc.Document(self._context.wasc, self._methods, request).answer()
        except BaseException:  # a defect of ours: whoever asks must have an answer
            log.exception("%s %s: failed", request.method, request.uri)
            request.start_anew().status = 500
            kind, body = HTML, error_page(500)
        if request.errand is not None:
            request.errand.close(self.handler_name)
        self._keep_alive = self._connection.keep_alive
        self._data = to_bytes(request, kind, body, self._keep_alive)
        self._context.handoff.post(self)

    def on_loop(self) -> None:
        """Send the response, if the client is still there."""
        self._connection.respond(self.request, self._data, self._keep_alive)


def to_bytes(request: Request, kind: str, body: bytes, keep_alive: bool) -> bytes:
    """The whole response; status and fields are those of the request's response."""
    response = request.answered_with
    is_plain = response is None and keep_alive and request.version == "1.1"
    if is_plain and kind and request.method != "HEAD":
        return reply.ok(_SIMPLE if kind is HTML else kind.encode(), body)
    response = response or request.response
    fields = response.fields
    if kind and not response.has_key("content-type"):
        fields = (("Content-Type", kind), *fields)
    return reply.whole(
        response.status,
        fields,
        body,
        keep_alive=keep_alive,
        version=request.version,
        is_head=request.method == "HEAD",
        reason=response.reason,
    )
