"""What becomes of a complete request: a file, a handler, a redirect, or an error page.

Runs on the loop, once per request, before anything slow. The order is the conf's promise:
a physical file first (GET and HEAD), then XML-RPC and JSON-RPC, then the app.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import BinaryIO
from urllib.parse import quote

from skitai import rpc
from skitai.errors import HttpError
from skitai.pages import error_page
from skitai.request import Request, decode_path
from skitai.serialize import HTML
from skitai.stream import Stream
from skitai.table import Found
from skitai.wasc import Wasc
from skitaid.workers import awaiting
from skitaid.workers.handoff import Handoff
from skitaid.workers.settings import Settings
from skitaid.workers.threads import HandlerThreads

from . import reply, static
from .call import Context, RpcCall, WebCall
from .connection import ClientConnection
from .mounts import Methods, Missed, Mounts, Moved, Proxied
from .pump import pump

log = logging.getLogger(__name__)

_AUTHORITY = re.compile(rb"[^/?#]*")
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
    ) -> None:
        self._loop = loop
        self._max_age = settings.static_max_age
        self._mounts = mounts
        self._has_directories = mounts.has_directories
        self._is_proxy = settings.forward_proxy
        self._methods = Methods(mounts)
        self._context = Context(wasc, handoff, self._start_stream)
        self._handoff = handoff
        self._threads = threads
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, connection: ClientConnection, request: Request) -> None:
        """Answer a request, now or later."""
        try:
            request.path = decode_path(_origin_form(request.target))
        except ValueError:
            self._error(connection, request, 400, "The path is not percent-encoded UTF-8.")
            return
        try:
            if not request.path.startswith("/"):
                self._no_path(connection, request)
            elif self._is_proxy and b"://" in request.target.partition(b"?")[0]:
                self._error(connection, request, 501, "This version has no forward proxy yet.")
            elif (
                self._has_directories
                and request.method in ("GET", "HEAD")
                and self._send_file(connection, request)
            ):
                pass
            elif request.method == "POST" and (rpc.is_xml(request) or rpc.is_json(request)):
                self._submit_rpc(connection, request)
            else:
                self._to_app(connection, request)
        except Exception:  # a defect of ours costs one request, not the connection
            log.exception("%s %s: failed before a handler", request.method, request.uri)
            self._error(connection, request, 500, "The request failed; the server's log says why.")

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """What runs on the loop: `async def` handlers, and large files on their way."""
        return self._tasks

    def cancel(self) -> None:
        """Give up what runs on the loop. For the end of the worker."""
        for task in self._tasks:
            task.cancel()

    # --- apps ---

    def _to_app(self, connection: ClientConnection, request: Request) -> None:
        match self._mounts.find(request.path, request.method):
            case Found() as found:
                self._submit(connection, request, found)
            case None:
                self._error(connection, request, 404, f"There is nothing at {request.path}.")
            case Missed() as missed:
                self._miss(connection, request, missed)
            case Moved(path):
                self._redirect(connection, request, path)
            case Proxied(cluster):
                sentence = f"This version has no reverse proxy yet, so @{cluster} is not asked."
                self._error(connection, request, 501, sentence)

    def _miss(self, connection: ClientConnection, request: Request, missed: Missed) -> None:
        """The app has no rule for the path, or none for the method (RFC 9110 section 15.5.6)."""
        if missed.methods:
            allow = ("Allow", ", ".join(sorted({*missed.methods, "OPTIONS"})))
            if request.method == "OPTIONS":
                self._whole(connection, request, 200, [allow], b"")
                return
            sentence = f"{request.path} does not answer {request.method}."
            error = HttpError(405, sentence, (allow,))
        else:
            error = HttpError(404, f"There is nothing at {request.path}.")
        found = missed.table.missing(error, missed.base)
        if found is not None:
            self._submit(connection, request, found)
            return
        fields = [("Content-Type", HTML), *error.headers]
        page = error_page(error.status, error.detail)
        self._whole(connection, request, error.status, fields, page)

    def _submit(self, connection: ClientConnection, request: Request, found: Found) -> None:
        request.channel = connection
        call = WebCall(connection, request, found, self._context)
        if found.route.is_async:
            self._run(call.run_async())
        elif self._threads.is_full():
            self._refuse(connection, request)
        else:
            self._threads.submit(call)

    def _submit_rpc(self, connection: ClientConnection, request: Request) -> None:
        if self._threads.is_full():
            self._refuse(connection, request)
            return
        request.channel = connection
        self._threads.submit(RpcCall(connection, request, self._methods, self._context))

    def _start_stream(
        self, connection: ClientConnection, request: Request, kind: str, stream: Stream, name: str
    ) -> None:
        self._run(pump(connection, request, kind, stream, self._threads, self._handoff, name))

    def _run(self, coroutine: awaiting.AnyCoroutine) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- files ---

    def _send_file(self, connection: ClientConnection, request: Request) -> bool:
        """Whether a file (or the redirect to its directory) was the answer."""
        for place in self._mounts.below(request.path):
            found = static.find(place.directory, place.rest)
            if isinstance(found, static.IndexBelow):
                self._redirect(connection, request, request.path + "/")
                return True
            if found is not None:
                self._send_static(connection, request, found)
                return True
        return False

    def _send_static(
        self, connection: ClientConnection, request: Request, file: static.StaticFile
    ) -> None:
        fields = file.fields(self._max_age)
        if not file.is_newer_than(request.get_header("if-modified-since")):
            self._whole(connection, request, 304, fields, b"")
        elif request.method == "HEAD":
            head = self._file_head(connection, request, file, fields)
            connection.respond(request, head, connection.keep_alive)
        elif file.size > static.AT_ONCE:
            self._run(self._stream(connection, request, file, fields))
        else:
            try:
                with file.open() as source:
                    content = source.read()
            except OSError as error:
                self._unreadable(connection, request, error)
            else:
                self._whole(connection, request, 200, fields, content)

    def _file_head(
        self,
        connection: ClientConnection,
        request: Request,
        file: static.StaticFile,
        fields: list[tuple[str, str]],
    ) -> bytes:
        return reply.head(
            200, fields, file.size, keep_alive=connection.keep_alive, version=request.version
        )

    async def _stream(
        self,
        connection: ClientConnection,
        request: Request,
        file: static.StaticFile,
        fields: list[tuple[str, str]],
    ) -> None:
        """A large file, piece by piece, as fast as the client takes it."""
        keep_alive = connection.keep_alive
        head = self._file_head(connection, request, file, fields)
        try:
            source = await self._loop.run_in_executor(None, file.open)
        except OSError as error:
            self._unreadable(connection, request, error)
            return
        with source:
            try:
                await connection.send(head)
                await self._pump(connection, source, file.size)
            except ConnectionResetError:
                return  # the client has gone, and nobody else waits for this
            except (OSError, EOFError) as error:
                log.error("%s broke off while being sent: %s", file.path, error)
                connection.abort()
                return
        connection.end(request, keep_alive)

    async def _pump(self, connection: ClientConnection, source: BinaryIO, size: int) -> None:
        left = size
        while left:
            piece = await self._loop.run_in_executor(None, source.read, min(left, static.CHUNK))
            if not piece:
                raise EOFError(f"it is {left} bytes shorter than when it was opened")
            left -= len(piece)
            await connection.send(piece)

    # --- answers made here ---

    def _no_path(self, connection: ClientConnection, request: Request) -> None:
        """The other forms of a target: for the server as a whole, and for a tunnel."""
        if request.method == "OPTIONS" and request.target == b"*":
            self._whole(connection, request, 204, [], b"")
        elif request.method == "CONNECT":
            self._error(connection, request, 501, "This server makes no tunnels.")
        else:
            self._error(connection, request, 400, "The request target is not a path.")

    def _redirect(self, connection: ClientConnection, request: Request, path: str) -> None:
        fields = [("Location", _location(path, request.target)), ("Content-Type", HTML)]
        # 308 keeps the method and the body, RFC 9110 section 15.4.9.
        status = 301 if request.method in ("GET", "HEAD") else 308
        self._whole(connection, request, status, fields, error_page(status))

    def _refuse(self, connection: ClientConnection, request: Request) -> None:
        sentence = "Too many requests are waiting for a handler."
        page = error_page(503, sentence)
        self._whole(connection, request, 503, [("Content-Type", HTML), RETRY_AFTER], page)

    def _unreadable(self, connection: ClientConnection, request: Request, error: OSError) -> None:
        log.error("%s %s: the file cannot be read: %s", request.method, request.uri, error)
        self._error(connection, request, 404, f"There is nothing at {request.path}.")

    def _error(
        self, connection: ClientConnection, request: Request, status: int, detail: str
    ) -> None:
        page = error_page(status, detail)
        self._whole(connection, request, status, [("Content-Type", HTML)], page)

    def _whole(
        self,
        connection: ClientConnection,
        request: Request,
        status: int,
        fields: list[tuple[str, str]],
        body: bytes,
    ) -> None:
        keep_alive = connection.keep_alive
        data = reply.whole(
            status,
            fields,
            body,
            keep_alive=keep_alive,
            version=request.version,
            is_head=request.method == "HEAD",
        )
        connection.respond(request, data, keep_alive)


def _origin_form(target: bytes) -> bytes:
    """The path and query of a target; an absolute-form one loses scheme and host.

    A server must accept the absolute form from any client (RFC 9112 section 3.2.2).
    """
    if target.startswith(b"/") or b"://" not in target:
        return target
    rest = target.partition(b"://")[2]
    path = rest[len(_AUTHORITY.match(rest)[0]) :]  # type: ignore[index]  # it matches all
    return path if path.startswith(b"/") else b"/" + path


def _location(path: str, target: bytes) -> str:
    """A path of ours as a Location, with the request's query.

    The path is one we serve, so it starts with one slash: more would name another host.
    """
    query = target.partition(b"?")[2].decode("latin-1")
    return quote("/" + path.lstrip("/")) + ("?" + query if query else "")
