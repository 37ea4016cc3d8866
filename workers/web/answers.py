"""Short answers made on the loop, without a handler: redirects, errors, the server's own pages."""

from __future__ import annotations

from urllib.parse import quote

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
    fields = [("Location", _location(path, request.target)), ("Content-Type", HTML)]
    # 308 keeps the method and the body, RFC 9110 section 15.4.9.
    status = 301 if request.method in ("GET", "HEAD") else 308
    whole(connection, request, status, fields, error_page(status))


def _location(path: str, target: bytes) -> str:
    """The path is one we serve, so it starts with one slash: more would name another host."""
    query = target.partition(b"?")[2].decode("latin-1")
    return quote("/" + path.lstrip("/")) + ("?" + query if query else "")
