"""Where the pieces of a streamed response come from: what the pump asks of it, and its log lines.

Two kinds: `job_source` for plain streams, `task_source` for async ones.
"""

from __future__ import annotations

import logging
from typing import Protocol

from skitai.errors import ClientGone
from skitai.request import Request
from skitai.stream import BadPiece

TURN = 0.001  # seconds that a stream goes on by itself before others have their turn

log = logging.getLogger("skitai.app")


class Source(Protocol):
    """The stream of one response. All of this runs on the loop."""

    is_complete: bool  # `next` has given all

    async def next(self) -> bytes:
        """What comes next; b"" when nothing does: it is complete, stopped, or has failed."""

    def stop(self) -> None:
        """The client has left: wait for nothing more."""

    async def close(self) -> None:
        """Let the stream go, if the app has not been told yet that it is over."""

    async def leave(self) -> None:
        """The same, when the worker ends: so without a thread, and not if one is in it."""


class Named(Protocol):
    """Someone at work for a request."""

    @property
    def request(self) -> Request:
        """The one that is answered."""

    @property
    def handler_name(self) -> str:
        """Whose stream it is."""


def complain(who: Named, what: str, error: BaseException | None = None) -> None:
    """One entry with the request, the handler and what it did; with the traceback of `error`."""
    request = who.request
    where = (request.id, request.method, request.uri, who.handler_name)
    log.error("request %s, %s %s: %s %s", *where, what, exc_info=error)


def broke(who: Named, error: BaseException) -> None:
    """The entry of a stream that has raised."""
    if isinstance(error, ClientGone):
        log.debug("request %s: its stream ended: %s", who.request.id, error)
    elif isinstance(error, BadPiece):
        complain(who, str(error))
    else:
        complain(who, f"raised {type(error).__name__} in the middle of its stream", error)
