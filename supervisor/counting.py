"""How many workers there shall be. As pure as `decide`."""

from __future__ import annotations

import logging

from skitaid.supervisor.actions import Action, Log
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.events import CountWanted


def count(book: Book, event: CountWanted) -> list[Action]:
    """As many workers more or less; one stays in any case."""
    if book.stage is Stage.STOPPING:
        return []
    least = 1 - book.settings.processes
    book.extra = max(least, book.extra + event.by)
    return [Log(logging.INFO, f"{event.cause}: there shall be {book.count} workers")]
