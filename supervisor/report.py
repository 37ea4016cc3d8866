"""The book as it is told to an operator."""

from __future__ import annotations

from skitaid.supervisor.address import address
from skitaid.supervisor.book import Book
from skitaid.supervisor.child import Child
from skitaid.supervisor.control_records import ServerStatus, WorkerStatus
from skitaid.supervisor.settings import Settings


def status(book: Book, settings: Settings, now: float) -> ServerStatus:
    """What `skitaid status` shows of one server."""
    by_ordinal = sorted(book.children.values(), key=lambda child: child.ordinal)
    error_at = book.last_error_at
    return ServerStatus(
        name=settings.name,
        pid=book.pid,
        address=address(settings),
        state=book.stage.value,
        started=book.unix(book.started),
        processes=settings.processes,
        workers=[_worker(child, now) for child in by_ordinal],
        last_error=book.last_error,
        last_error_at=None if error_at is None else book.unix(error_at),
    )


def _worker(child: Child, now: float) -> WorkerStatus:
    return WorkerStatus(
        ordinal=child.ordinal,
        pid=child.pid,
        state=child.state.value,
        age=now - child.forked_at,
        generation=child.generation,
    )
