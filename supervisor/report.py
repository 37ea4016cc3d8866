"""The book as it is told to an operator."""

from __future__ import annotations

import msgspec

from skitaid.supervisor.address import address
from skitaid.supervisor.book import Book
from skitaid.supervisor.child import Child
from skitaid.supervisor.control_records import CertificateStatus, ServerStatus, WorkerStatus
from skitaid.supervisor.settings import Settings
from skitaid.workers.control import TEXT_MAX, Facts, WorkerFacts, cut
from skitaid.workers.scoreboard import Field, Scoreboard

_TEXT_MAX = TEXT_MAX // 4  # bytes: a record has two of them, and all workers


def status(book: Book, now: float) -> ServerStatus:
    """What `skitaid status` shows of one server."""
    settings = book.settings
    by_ordinal = sorted(book.children.values(), key=lambda child: child.ordinal)
    error_at = book.last_error_at
    return ServerStatus(
        name=settings.name,
        pid=book.pid,
        address=address(settings),
        state=book.stage.value,
        started=book.unix(book.started),
        processes=book.count,
        workers=[_worker(child, now) for child in by_ordinal],
        last_error=book.last_error,
        last_error_at=None if error_at is None else book.unix(error_at),
        generation=book.wanted.number,
        certificates=_certificates(settings),
        crashes=max(book.crashes.recent(now), book.boots.recent(now)),
        fork_from=book.unix(book.fork_from()) if book.fork_from() > now else None,
    )


def facts(book: Book, now: float) -> Facts:
    """What the status document tells of the server as a whole."""
    error_at, change = book.last_error_at, book.last_change
    by_ordinal = sorted(book.children.values(), key=lambda child: child.ordinal)
    return Facts(
        pid=book.pid,
        address=address(book.settings),
        state=book.stage.value,
        started=book.unix(book.started),
        processes=book.count,
        generation=book.wanted.number,
        crashes=max(book.crashes.recent(now), book.boots.recent(now)),
        last_error=cut(book.last_error, _TEXT_MAX),
        last_error_at=None if error_at is None else book.unix(error_at),
        last_change_at=None if change is None else book.unix(change.at),
        last_change_error=cut("" if change is None else change.error, _TEXT_MAX),
        workers=[
            WorkerFacts(
                child.ordinal, child.pid, child.state.value, now - child.forked_at, child.generation
            )
            for child in by_ordinal
        ],
    )


def with_figures(told: ServerStatus, board: Scoreboard) -> ServerStatus:
    """The same with what its workers do now, which they write and no book knows."""
    workers = [_with_figures(worker, board) for worker in told.workers]
    return msgspec.structs.replace(told, workers=workers)


def _with_figures(worker: WorkerStatus, board: Scoreboard) -> WorkerStatus:
    slot = board[worker.ordinal]
    return msgspec.structs.replace(
        worker,
        connections=slot[Field.CONNECTIONS],
        requests=slot[Field.REQUESTS],
        in_flight=slot[Field.IN_FLIGHT],
        parked=slot[Field.PARKED],
        queued=slot[Field.QUEUED],
        rss=slot[Field.RSS],
    )


def _certificates(settings: Settings) -> list[CertificateStatus]:
    tls = settings.worker.tls
    certificates = tls.certificates if tls else ()
    return [CertificateStatus(each.file, list(each.names), each.not_after) for each in certificates]


def _worker(child: Child, now: float) -> WorkerStatus:
    return WorkerStatus(
        ordinal=child.ordinal,
        pid=child.pid,
        state=child.state.value,
        age=now - child.forked_at,
        generation=child.generation,
    )
