"""When something is due even if nothing happens. What is due is done by `decide`."""

from __future__ import annotations

from collections.abc import Iterator

from skitaid.supervisor.book import Book
from skitaid.supervisor.child import State
from skitaid.supervisor.rolling import wants_one_more


def next_deadline(book: Book) -> float | None:
    """The moment to wake up at the latest; None is never."""
    return min(_deadlines(book), default=None)


def _deadlines(book: Book) -> Iterator[float]:
    for child in book.children.values():
        if child.kill_at is not None:
            yield child.kill_at
        if child.state is State.BOOTING and child.boot_by is not None:
            yield child.boot_by
        if child.state is State.READY and child.old_at is not None and not child.worn:
            yield child.old_at
    if book.trying and book.trying.kill_at is not None:
        yield book.trying.kill_at
    for inquiry in book.inquiries.values():
        yield inquiry.until
    for survey in book.surveys.values():
        yield survey.until
    if book.look_at is not None:
        yield book.look_at
    if book.expiry_at is not None:
        yield book.expiry_at
    if book.missing() or wants_one_more(book):
        yield book.fork_from()
