"""Files for GET and HEAD: from memory, from the disk in one piece, or streamed.

Runs on the loop. What lives here: `FileCache`, the small files of this worker. A file that is in
it costs one stat and one write. The loop reads what the kernel has in memory and waits for no
disk but for the first 64 KiB of a file; the rest is read, and everything is compressed, on an
executor thread. A response that turns out not to be what its header said breaks the connection.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from skitai.request import Request
from skitaid.workers.settings import Settings

from . import answers, encodings, media_types, reply, representation, static
from .compression import CODERS, MIN_SIZE, is_compressible
from .connection import ClientConnection
from .file_cache import Entry, FileCache, Offers, Page, is_settled
from .mounts import Mounts
from .ranges import Span
from .representation import Plan, Representation

CACHE_SIZE = 16 * 1024 * 1024  # bytes of each worker's memory
AT_ONCE = 64 * 1024  # bytes: a file up to this size is read in one piece, and kept
COMPRESSED_MAX = 1024 * 1024  # bytes: larger ones are compressed beforehand or not at all
CHUNK = 256 * 1024  # bytes of a file that are read at once
LOOK_EVERY = 1.0  # seconds between two looks for a cached file's new neighbours

SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """An open file, and what is to be sent of it."""

    file: io.FileIO
    path: str
    size: int
    representation: Representation
    coder: str  # the coding that is still to be made, "" if its bytes are sent as they are


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
        stamp = static.stamp(found.status)
        entry = self._cache.get(found.path, stamp)
        if entry is not None:
            coding = encodings.choose(codings, entry.offers)
            page = entry.pages.get(coding)
            if self._is_outdated(found, entry, coding):
                self._cache.drop(found.path)
            elif page is not None:
                self._send_page(connection, request, page)
                return True
        try:
            self._open(connection, request, directory, found.path, codings)
        except FileNotFoundError:  # it has just gone, or may not be served
            return False
        except OSError as error:
            log.error("%s %s: the file cannot be read: %s", request.method, request.uri, error)
            answers.error(connection, request, 404, f"There is nothing at {request.path}.")
        return True

    # --- from memory ---

    def _is_outdated(self, found: static.Candidate, entry: Entry, coding: str) -> bool:
        """Whether the neighbours of a file are others than when it was taken in."""
        if not entry.offers:
            return False
        now = self._loop.time()
        if now - entry.looked >= LOOK_EVERY:
            entry.looked = now
            return entry.offers != _offers(found.path, found.status)
        neighbour = entry.offers.get(coding)
        if neighbour is None:
            return False
        status = static.status_of(found.path + SUFFIXES[coding])
        return status is None or static.stamp(status) != neighbour

    def _send_page(self, connection: ClientConnection, request: Request, page: Page) -> None:
        if (
            request.version == "1.1"
            and connection.keep_alive
            and representation.is_plain_get(request)
        ):
            connection.respond(request, reply.prepared(page.lines, page.body), True)
            return
        found = page.representation
        plan = representation.unmet(request, found) or _plan(request, found, len(page.body))
        body = b"".join(
            page.body[piece.start : piece.stop] if isinstance(piece, Span) else piece
            for piece in plan.pieces
        )
        self._send(connection, request, plan, body)

    def _send(
        self, connection: ClientConnection, request: Request, plan: Plan, body: bytes = b""
    ) -> None:
        keep_alive = connection.keep_alive
        head = _head(request, plan, keep_alive)
        is_head = request.method == "HEAD"
        connection.respond(request, head if is_head else head + body, keep_alive)

    # --- from the disk ---

    def _open(
        self,
        connection: ClientConnection,
        request: Request,
        directory: str,
        path: str,
        codings: tuple[str, ...],
    ) -> None:
        """Raises OSError."""
        file, status = static.open_below(directory, path)
        kind = media_types.of(path)
        offers = _offers(path, status)
        coding = encodings.choose(codings, offers)
        entry = Entry(static.stamp(status), offers, self._loop.time())
        neighbour = offers.get(coding)
        if neighbour is not None:
            file.close()
            file, status = static.open_below(directory, path + SUFFIXES[coding])
            ...


def _codings(request: Request) -> tuple[str, ...]:
    """What the client likes; a part of a file is always one of its plain form."""
    accept = request.field(b"accept-encoding")
    if accept is None or (request.method == "GET" and request.field(b"range") is not None):
        return ()
    return encodings.preferred(accept.decode("latin-1"))
