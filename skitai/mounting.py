"""Where an app answers, and what is said where it does not. Pure.

The server has these rules, and so has `skitai.testing`.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from skitai.errors import HttpError
from skitai.request import Request


def is_below(path: str, base: str) -> bool:
    """Whether a path belongs to a mount. base: without trailing slash, "" for the root."""
    return path.startswith(base) and (len(path) == len(base) or path[len(base)] == "/")


def is_directory_like(prefix: str) -> bool:
    """Whether the bare path of a mount is sent on to the one with the slash, as "/test/" is."""
    return len(prefix) > 1 and prefix.endswith("/")


def other_path(path: str) -> str:
    """The same with a slash at its end, or without the one it has."""
    return path[:-1] if path.endswith("/") else path + "/"


def redirect(request: Request, path: str) -> tuple[int, str]:
    """Status and Location of a redirect to another path of ours, with the request's query.

    308 keeps the method and the body (RFC 9110 section 15.4.9).
    """
    query = request.target.partition(b"?")[2].decode("latin-1")
    # The path is one we serve, so it starts with one slash: more would name another host.
    location = quote("/" + path.lstrip("/")) + ("?" + query if query else "")
    return (301 if request.method in ("GET", "HEAD") else 308), location


def miss(path: str, method: str, methods: Collection[str]) -> HttpError:
    """404, or 405 with Allow (RFC 9110 section 15.5.6) if there are methods that it answers."""
    if not methods:
        return HttpError(404, f"There is nothing at {path}.")
    allow = ", ".join(sorted({*methods, "OPTIONS"}))
    return HttpError(405, f"{path} does not answer {method}.", (("Allow", allow),))
