"""The templates and files of the admin pages.

They are read when this is imported: in the master, before it forks, as a worker of another user
may not be able to. They are compiled when a page is asked for, so who never asks pays for the text
only.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import jinja2

from . import attention, wording

_HERE = Path(__file__).parent
_SOURCES = {path.name: path.read_text("utf-8") for path in _HERE.glob("templates/*.html")}

FILES = {path.name: path.read_bytes() for path in _HERE.glob("assets/*.*")}
FILE_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# In their URLs, so that browsers may keep them: other files have other URLs.
VERSION = hashlib.sha256(b"".join(FILES[name] for name in sorted(FILES))).hexdigest()[:12]

# Colour is never the only sign of a state.
_SHAPES = {
    "booting": "◔",
    "ready": "●",
    "retiring": "◑",
    "stopping": "◑",
    "starting": "◔",
    "serving": "●",
    "silent": "■",
    "up": "●",
    "ejected": "■",
    "down": "■",
    "drained": "○",
    "disabled": "✕",
    "loaded": "●",
    "failed": "■",
    "done": "●",
    "valid": "●",
    "ending": "▲",
    "over": "■",
}


@cache
def environment() -> jinja2.Environment:
    """With all words of ours as filters. What is rendered is escaped; unknown names raise."""
    made = jinja2.Environment(
        loader=jinja2.DictLoader(_SOURCES),
        autoescape=True,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"shapes": _SHAPES, "version": VERSION}
    made.filters |= {
        "seconds": wording.seconds,
        "span": wording.span,
        "size": wording.size,
        "count": wording.count,
        "share": wording.share,
        "clock": wording.clock,
        "date": wording.date,
        "iso": wording.iso,
        "plural": wording.plural,
        "breakable": wording.breakable,
        "first_line": attention.first_line,
    }
    return made
