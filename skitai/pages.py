"""The server's own pages: what a client is shown when no handler has answered. Pure."""

from __future__ import annotations

import html
import re
from http import HTTPStatus

_SOURCE = re.compile(r'^ *File ".*", line \d+.*\n +(\S.*)$', re.MULTILINE)

_STYLE = """\
<meta name="color-scheme" content="light dark">
<style>
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
p { overflow-wrap: anywhere }
</style>
"""
# Translucent greys and yellows are right on the light and on the dark page.
_STYLE_OF_TRACE = """\
<style>
pre { padding: 1rem; border-radius: .5rem; overflow-x: auto; background: rgb(128 128 128 / .12);
      font: .875rem/1.6 ui-monospace, monospace }
mark { padding: .15rem 0; color: inherit; background: rgb(255 190 0 / .35) }
</style>
"""


def phrase(status: int) -> str:
    """The standard reason phrase, "" for a status that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def error_page(status: int, detail: str = "", trace: str = "") -> bytes:
    """A small HTML page.

    detail: a sentence for the client. trace: a traceback, shown in development mode; its last
    line of source is marked.
    """
    title = f"{status} {phrase(status)}"
    style = _STYLE + _STYLE_OF_TRACE if trace else _STYLE
    rest = f"<p>{html.escape(detail)}</p>\n" if detail else ""
    if trace:
        rest += f"<pre>{_marked(trace)}</pre>\n"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n{style}'
        f"<title>{title}</title>\n<h1>{title}</h1>\n{rest}</html>\n"
    ).encode("utf-8", "replace")


def _marked(trace: str) -> str:
    """A traceback as HTML; its last line of source is where it went wrong."""
    found = list(_SOURCE.finditer(trace))
    start, end = found[-1].span(1) if found else (0, 0)
    before, line, after = map(html.escape, (trace[:start], trace[start:end], trace[end:]))
    return f"{before}<mark>{line}</mark>{after}" if line else after
