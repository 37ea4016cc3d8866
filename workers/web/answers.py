"""Short answers made on the loop, without a handler: redirects, errors, the server's own pages."""

from __future__ import annotations

from skitai import mounting
from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML

from . import reply
from .connection import ClientConnection


def whole(
    connection: ClientConnection,
    request: Request,
    status: int,
    fields: list[tuple[str, str]],
    body: bytes,
) -> None:
    """Send a response; a HEAD gets its header."""
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


def error(connection: ClientConnection, request: Request, status: int, detail: str) -> None:
    """Send an error page. detail: a sentence for the client."""
    whole(connection, request, status, [("Content-Type", HTML)], error_page(status, detail))


def redirect(connection: ClientConnection, request: Request, path: str) -> None:
    """Send to another path of ours, with the request's query."""
    status, location = mounting.redirect(request, path)
    fields = [("Location", location), ("Content-Type", HTML)]
    whole(connection, request, status, fields, error_page(status))
