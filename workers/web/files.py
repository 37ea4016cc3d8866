"""Files for GET and HEAD: from memory, from the disk in one piece, or streamed.

Runs on the loop. What lives here: `FileCache`, the small files of this worker. A file that is in
it costs one stat and one write. The loop waits for the disk only to open a file and for the first
64 KiB; beyond that it reads what the kernel has in memory, and an executor thread reads the rest
and compresses. A file that turns out to be shorter than was said breaks the connection.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from skitai.request import Request
from skitaid.workers.settings import Settings

from . import answers, encodings, reply, representation, static
from .connection import ClientConnection
from .file_cache import Entry, FileCache, Page
from .file_stream import stream
from .mounts import Mounts
from .open_file import SUFFIXES, OpenFile, offers_of, open_file
from .ranges import Span
from .representation import Plan, Representation, is_plain_get, unmet

CACHE_SIZE = 16 * 1024 * 1024  # bytes of each worker's memory
AT_ONCE = 64 * 1024  # bytes: a file up to this size is read and sent in one piece, and kept
LOOK_EVERY = 1.0  # seconds between two looks for new neighbours of a file in memory

log = logging.getLogger(__name__)


class Files:
    """The directories of one server, as one worker serves them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        mounts: Mounts,
        settings: Settings,
        run: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """run: makes a task of what goes on for longer."""
        self._loop = loop
        self._mounts = mounts
        self._max_age = settings.static_max_age
        self._run = run
        self._cache = FileCache(CACHE_SIZE)

    def answer(self, connection: ClientConnection, request: Request) -> bool:
        """Whether a file, or the redirect to its directory, is the answer: sent or on its way."""
        for place in self._mounts.below(request.path):
            found = static.find(place.directory, place.rest)
            if isinstance(found, static.IndexBelow):
                answers.redirect(connection, request, request.path + "/")
                return True
            if found is not None and self._answer(connection, request, place.directory, found):
                return True
        return False

    def _answer(
        self,
        connection: ClientConnection,
        request: Request,
        directory: str,
        found: static.Candidate,
    ) -> bool:
        codings = _codings(request)
        page = self._from_memory(found, codings)
        if page is not None:
            _send_page(connection, request, page)
            return True
        try:
            opened = open_file(directory, found.path, codings, self._max_age)
        except FileNotFoundError:  # it has just gone, or may not be served
            return False
        except OSError as error:
            log.error("%s %s: the file cannot be read: %s", request.method, request.uri, error)
            if isinstance(error, PermissionError):
                answers.error(connection, request, 404, f"There is nothing at {request.path}.")
            else:  # too many open files, a broken disk: it is there, and will be again
                answers.error(connection, request, 500, "The file cannot be read now.")
            return True
        self._from_disk(connection, request, opened)
        return True

    def _from_memory(self, found: static.Candidate, codings: tuple[str, ...]) -> Page | None:
        entry = self._cache.get(found.path, static.stamp(found.status))
        if entry is None:
            return None
        coding = encodings.choose(codings, entry.offers)
        if entry.offers and self._has_other_neighbours(found, entry, coding):
            self._cache.drop(found.path)
            return None
        return entry.pages.get(coding)

    def _has_other_neighbours(self, found: static.Candidate, entry: Entry, coding: str) -> bool:
        """Whether the one that is to be sent has changed; now and then, whether any has."""
        now = self._loop.time()
        if now - entry.looked >= LOOK_EVERY:
            entry.looked = now
            return entry.offers != offers_of(found.path, found.status)
        stamp = entry.offers.get(coding)
        if stamp is None:
            return False
        status = static.status_of(found.path + SUFFIXES[coding])
        return status is None or static.stamp(status) != stamp

    def _from_disk(self, connection: ClientConnection, request: Request, opened: OpenFile) -> None:
        refusal = unmet(request, opened.representation)
        if refusal is not None:
            opened.file.close()
            _send(connection, request, refusal)
        elif not opened.is_made:
            self._run(self._encode(connection, request, opened))
        elif opened.size <= AT_ONCE:
            with _breaking_off(connection, opened):
                page = opened.read()
                self._keep(opened, page)
                _send_page(connection, request, page)
        else:
            self._run(self._stream(connection, request, opened))

    async def _encode(
        self, connection: ClientConnection, request: Request, opened: OpenFile
    ) -> None:
        with _breaking_off(connection, opened):
            page = await self._loop.run_in_executor(None, opened.read)
            self._keep(opened, page)
            _send_page(connection, request, page)

    def _keep(self, opened: OpenFile, page: Page) -> None:
        if opened.is_settled:
            now = self._loop.time()
            self._cache.keep(opened.path, opened.stamp, opened.offers, now, opened.coding, page)

    async def _stream(
        self, connection: ClientConnection, request: Request, opened: OpenFile
    ) -> None:
        with _breaking_off(connection, opened):
            plan = _plan(request, opened.representation, opened.size)
            if request.method == "HEAD":
                _send(connection, request, plan)
                return
            keep_alive = connection.keep_alive
            await connection.send(_head(request, plan, keep_alive))
            await stream(self._loop, connection, opened.file, plan.pieces)
            connection.end(request, keep_alive)


@contextmanager
def _breaking_off(connection: ClientConnection, opened: OpenFile) -> Iterator[None]:
    """Close the file in the end, and the connection at once if the file cannot be read."""
    with opened.file:
        try:
            yield
        except ConnectionResetError:
            pass  # the client has gone, and nobody else waits for this
        except (OSError, EOFError) as error:
            log.error("%s broke off while being sent: %s", opened.path, error)
            connection.abort()


def _codings(request: Request) -> tuple[str, ...]:
    """What the client likes; a part of a file is always one of its plain form."""
    accept = request.field(b"accept-encoding")
    if accept is None or (request.method == "GET" and request.field(b"range") is not None):
        return ()
    return encodings.preferred(accept.decode("latin-1"))


def _send_page(connection: ClientConnection, request: Request, page: Page) -> None:
    if request.version == "1.1" and connection.keep_alive and is_plain_get(request):
        connection.respond(request, reply.prepared(page.lines, page.body), True)
        return
    found = page.representation
    plan = unmet(request, found) or _plan(request, found, len(page.body))
    _send(connection, request, plan, page.body)


def _send(connection: ClientConnection, request: Request, plan: Plan, content: bytes = b"") -> None:
    """In one piece. content: of the representation, if a body of its spans is sent."""
    keep_alive = connection.keep_alive
    data = _head(request, plan, keep_alive)
    if request.method != "HEAD":
        data += b"".join(
            content[piece.start : piece.stop] if isinstance(piece, Span) else piece
            for piece in plan.pieces
        )
    connection.respond(request, data, keep_alive)


def _plan(request: Request, found: Representation, size: int) -> Plan:
    return representation.plan(request, found, size, secrets.token_hex(12).encode("ascii"))


def _head(request: Request, plan: Plan, keep_alive: bool) -> bytes:
    return reply.head_of(
        plan.status, plan.lines, plan.length, keep_alive=keep_alive, version=request.version
    )
