"""A streamed response on its way: pieces from the app, sent as fast as the client takes them.

One `Pump` per response, a task on the loop. Its law:

- No piece is asked for while the client is slow: one that does not read costs what its connection
  buffers, and a batch.
- A client that leaves is noticed while there is nothing to send. So is one that says in the middle
  of a response of unknown length that it sends no more: for all we know this response has no end,
  and most clients that close say just that (RFC 9112 section 9.5).
- The app is told once that its stream is over.
- When the worker retires, an event stream is ended between two events: the browser asks again by
  itself, and finds the next worker. Other streams go on, until drain_timeout at most.
- What is not whole must not look whole: then the connection is broken off.
"""

from __future__ import annotations

import asyncio

from skitai.request import Request
from skitai.stream import Stream
from skitaid.workers.handoff import Handoff
from skitaid.workers.threads import HandlerThreads

from .connection import ClientConnection
from .job_source import JobSource
from .source import Source, complain
from .stream_head import Head, head
from .task_source import TaskSource

_LAST_CHUNK = b"0\r\n\r\n"


async def pump(
    connection: ClientConnection,
    request: Request,
    kind: str,
    stream: Stream,
    threads: HandlerThreads,
    handoff: Handoff,
    handler_name: str,
) -> None:
    """Answer `request` with `stream`.

    kind: the content type if the app has set none. handler_name: for the log.
    """
    source: Source
    if stream.is_async:
        source = TaskSource(stream, request, handler_name)
    else:
        source = JobSource(stream, request, handler_name, threads, handoff)
    start = head(request, kind, stream.length, connection.keep_alive)
    await Pump(connection, request, handler_name, start, source).pump()


class Pump:
    """The response to one request."""

    __slots__ = ("_connection", "_head", "_is_dismissed", "_source", "handler_name", "request")

    def __init__(
        self,
        connection: ClientConnection,
        request: Request,
        handler_name: str,
        start: Head,
        source: Source,
    ) -> None:
        self.request = request
        self.handler_name = handler_name
        self._connection = connection
        self._head = start
        self._source = source
        self._is_dismissed = False  # the worker retires

    async def pump(self) -> None:
        """Send all of it, or break off; then let the stream go."""
        connection, request = self._connection, self.request
        is_whole = False
        connection.when_left = self._client_left
        if self._head.is_event_stream:
            connection.when_draining = self._dismiss
            if connection.is_draining:
                self._dismiss()
        try:
            is_whole = connection.in_hand is request and await self._send()
        except ConnectionResetError:
            pass  # the client has gone
        except asyncio.CancelledError:
            await self._source.leave()
            raise
        finally:
            connection.when_left = connection.when_draining = None
            if is_whole:
                connection.end(request, self._head.keep_alive and not self._is_dismissed)
            elif connection.in_hand is request:
                connection.abort()
        await self._source.close()
        if request.errand is not None:
            request.errand.close(self.handler_name)

    async def _send(self) -> bool:
        """Whether all of it was sent. Raises ConnectionResetError when the client has gone."""
        connection, source, is_chunked = self._connection, self._source, self._head.is_chunked
        await connection.send(self._head.data)
        if not self._head.has_body:
            return True
        size = 0
        while piece := await source.next():
            size += len(piece)
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        if not source.is_complete and not self._is_dismissed:
            return False
        length = self._head.length
        if length is not None and size != length:
            complain(self, f"returned a file of {length} bytes that gave {size}")
            return False
        if is_chunked:
            await connection.send(_LAST_CHUNK)
        return True

    def _dismiss(self) -> None:
        self._is_dismissed = True
        self._source.stop()

    def _client_left(self, is_lost: bool) -> None:
        """is_lost: or it only says that it sends no more."""
        if is_lost or self._head.length is None:
            self._source.stop()
