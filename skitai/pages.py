"""The server's own pages: what a client is shown when no handler has answered. Pure."""

from __future__ import annotations

import html
from http import HTTPStatus


def phrase(status: int) -> str:
    """The standard reason phrase, "" for a status that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def error_page(status: int, detail: str = "", trace: str = "") -> bytes:
    """A small HTML page. detail: a sentence for the client; trace: shown in development mode."""
    title = f"{status} {phrase(status)}"
    rest = f"<p>{html.escape(detail)}</p>\n" if detail else ""
    if trace:
        rest += f"<pre>{html.escape(trace)}</pre>\n"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<h1>{title}</h1>\n{rest}</html>\n"
    ).encode("utf-8", "replace")
