"""What becomes of a complete request: a file, a handler, a redirect, or an error page.

Runs on the loop, once per request, before anything slow. The order is the conf's promise:
a physical file first (GET and HEAD), then what is passed on to a cluster, then XML-RPC and
JSON-RPC, then the app.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from skitai import rpc
from skitai.mounting import miss
from skitai.pages import error_page
from skitai.request import Request, decode_path, split_target
from skitai.serialize import HTML
from skitai.stream import Stream
from skitai.table import Found
from skitai.wasc import Wasc
from skitaid.workers import awaiting
from skitaid.workers.handoff import Handoff
from skitaid.workers.settings import Settings
from skitaid.workers.threads import HandlerThreads

from . import answers
from .call import Context, RpcCall, WebCall
from .connection import ClientConnection
from .files import Files
from .forward_proxy import ForwardProxy
from .mounts import Counting, Failed, Methods, Missed, Mounts, Moved
from .pump import pump
from .reverse_proxy import ReverseProxy

log = logging.getLogger(__name__)

RETRY_AFTER = ("Retry-After", "1")  # seconds, for a client told that the queue is full


class Dispatcher:
    """The site of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        mounts: Mounts,
        wasc: Wasc,
        handoff: Handoff,
        threads: HandlerThreads,
        reload: Callable[[], None] | None = None,
        proxy: ReverseProxy | None = None,
        forward: ForwardProxy | None = None,
        counting: Counting = lambda *name: None,
    ) -> None:
        """reload: called before requests of apps in development mode; None: there are none.

        proxy: for the routes of clusters; None: there are none. forward: for targets that are no
        paths; None: this is no forward proxy. counting: as for `Mounts`.
        """
        self._loop = loop
        self._mounts = mounts
        self._has_directories = mounts.has_directories
        self._forward = forward
        self.takes_connect = forward is not None
        self._methods = Methods(mounts)
        self._context = Context(wasc, handoff, self._start_stream)
        self._handoff = handoff
        self._threads = threads
        self._reload = reload
        self._proxy = proxy
        # The server's own pages by their paths, before all others: set when all is put together.
        self.own: Mapping[str, Callable[[ClientConnection, Request], None]] = {}
        self._of_files = counting("file", "", "", "")
        self._of_documents = counting("rpc", "", "", "")
        self._of_forwarding = counting("forward", "", "", "")
        self._tasks: set[asyncio.Task[None]] = set()
        self._files = Files(loop, mounts, settings, self.run)

    def handle(self, connection: ClientConnection, request: Request) -> None:
        """Answer a request, now or later."""
        forward = self._forward
        # A CONNECT is, whatever it names: what is behind it must not be read as a request.
        may_be_forward = not request.target.startswith(b"/") or request.method == "CONNECT"
        if forward is not None and may_be_forward:
            request.series = self._of_forwarding
            if forward.answer(connection, request):
                return
            request.series = None
        try:
            request.path = decode_path(split_target(request.target)[1])
        except ValueError:
            answers.error(connection, request, 400, "The path is not percent-encoded UTF-8.")
            return
        try:
            own = self.own.get(request.path)
            if own is not None:
                own(connection, request)
            elif not request.path.startswith("/"):
                self._no_path(connection, request)
            elif self._has_directories and self._is_file(connection, request):
                pass
            elif (
                self._proxy is not None
                and (proxied := self._mounts.proxied(request.path, request.method)) is not None
            ):
                request.series = proxied.series
                self._proxy.pass_on(connection, request, proxied)
            elif request.method == "POST" and (rpc.is_xml(request) or rpc.is_json(request)):
                self._submit_rpc(connection, request)
            else:
                self._to_app(connection, request)
        except Exception:  # a defect of ours costs one request, not the connection
            log.exception("%s %s: failed before a handler", request.method, request.uri)
            sentence = "The request failed; the server's log says why."
            answers.error(connection, request, 500, sentence)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """What runs on the loop: `async def` handlers, and large files on their way."""
        return self._tasks

    def cancel(self) -> None:
        """Give up what runs on the loop. For the end of the worker."""
        for task in self._tasks:
            task.cancel()

    def _is_file(self, connection: ClientConnection, request: Request) -> bool:
        """Whether it is one, and was answered therefore."""
        if request.method not in ("GET", "HEAD"):
            return False
        request.series = self._of_files
        if self._files.answer(connection, request):
            return True
        request.series = None
        return False

    # --- apps ---

    def _to_app(self, connection: ClientConnection, request: Request) -> None:
        if self._reload is not None and self._mounts.is_in_devel(request.path):
            self._reload()
        match self._mounts.find(request.path, request.method):
            case Found() as found:
                self._submit(connection, request, found)
            case None:
                answers.error(connection, request, 404, f"There is nothing at {request.path}.")
            case Missed() as missed:
                self._miss(connection, request, missed)
            case Moved(path):
                answers.redirect(connection, request, path)
            case Failed(_, page):
                answers.whole(connection, request, 500, [("Content-Type", HTML)], page)

    def _miss(self, connection: ClientConnection, request: Request, missed: Missed) -> None:
        """The app has no rule for the path, or none for the method."""
        error = miss(request.path, request.method, missed.methods)
        if missed.methods and request.method == "OPTIONS":
            answers.whole(connection, request, 200, list(error.headers), b"")
            return
        found = missed.table.missing(error, missed.base)
        if found is not None:
            self._submit(connection, request, found)
            return
        fields = [("Content-Type", HTML), *error.headers]
        page = error_page(error.status, error.detail)
        answers.whole(connection, request, error.status, fields, page)

    def _submit(self, connection: ClientConnection, request: Request, found: Found) -> None:
        request.channel = connection
        request.series = found.series
        if found.route.timeout is not None:
            request.timeout = found.route.timeout
        call = WebCall(connection, request, found, self._context)
        if found.route.is_async:
            self.run(call.run_async())
        elif self._threads.is_full():
            self._refuse(connection, request)
        else:
            self._threads.submit(call)

    def _submit_rpc(self, connection: ClientConnection, request: Request) -> None:
        if self._reload is not None:  # which apps it calls is known when a thread has read it
            self._reload()
        if self._threads.is_full():
            self._refuse(connection, request)
            return
        request.channel = connection
        request.series = self._of_documents
        self._threads.submit(RpcCall(connection, request, self._methods, self._context))

    def send(self, connection: ClientConnection, request: Request, stream: Stream) -> None:
        """Answer with a stream of the server's own, of the type that its response says."""
        self._start_stream(connection, request, "", stream, "the server")

    def _start_stream(
        self, connection: ClientConnection, request: Request, kind: str, stream: Stream, name: str
    ) -> None:
        self.run(pump(connection, request, kind, stream, self._threads, self._handoff, name))

    def run(self, coroutine: awaiting.AnyCoroutine) -> None:
        """On the loop, until it is over or the worker leaves."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- answers made here ---

    def _no_path(self, connection: ClientConnection, request: Request) -> None:
        """The asterisk form is for the server as a whole; there are no others."""
        if request.method == "OPTIONS" and request.target == b"*":
            answers.whole(connection, request, 204, [], b"")
        else:
            answers.error(connection, request, 400, "The request target is not a path.")

    def _refuse(self, connection: ClientConnection, request: Request) -> None:
        sentence = "Too many requests are waiting for a handler."
        page = error_page(503, sentence)
        answers.whole(connection, request, 503, [("Content-Type", HTML), RETRY_AFTER], page)
