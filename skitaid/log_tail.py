"""Parts of a log: what was written between moments somebody remembers as its sizes then."""

from __future__ import annotations

import os
from pathlib import Path

TAIL_MAX = 32768  # bytes; a traceback is a few thousand


def size(path: Path) -> int:
    """Bytes written so far; 0 if there is no such log yet."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def part(path: Path, start: int, end: int | None = None) -> str:
    """What was written from byte `start` to `end`, or until now; of much only the last."""
    try:
        with path.open("rb") as log:
            size_now = log.seek(0, os.SEEK_END)
            end = size_now if end is None else min(end, size_now)
            start = max(min(start, end), end - TAIL_MAX)
            log.seek(start)
            return log.read(end - start).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
