"""When something is due even if nothing happens. What is due is done by `decide`."""

from __future__ import annotations

from collections.abc import Iterator

from skitaid.supervisor.book import Book
from skitaid.supervisor.rolling import wants_one_more


def next_deadline(book: Book) -> float | None:
    """The moment to wake up at the latest; None is never."""
    return min(_deadlines(book), default=None)


def _deadlines(book: Book) -> Iterator[float]:
    for child in book.children.values():
        if child.kill_at is not None:
            yield child.kill_at
    if book.missing() or wants_one_more(book):
        yield book.fork_from()
