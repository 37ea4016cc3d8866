"""What a master leaves to the program that takes its place: its book, put into a `Legacy`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import msgspec

from skitaid.supervisor.book import Book
from skitaid.supervisor.child import Child
from skitaid.supervisor.legacy import Legacy, Listening, Worker
from skitaid.supervisor.nurseries import Nurseries


def leave(
    book: Book,
    nurseries: Nurseries,
    *,
    tickets: list[int],
    pipe: Callable[[int], int],
    pid_file: int,
    control: int,
    callers: dict[int, int],
    lifeline: int | None,
) -> Legacy:
    """`pipe` gives the descriptor of a worker's pipe, by its serial.

    Whoever waits for a change gets the outcome of the restart, also who has asked for another one
    in just this moment.
    """
    waiting = [each.tickets for each in (book.change, book.trying) if each]
    return Legacy(
        pid_file=pid_file,
        control=control,
        callers=callers,
        lifeline=lifeline,
        scoreboard=nurseries.scoreboard.descriptor,
        listeners=[
            Listening(ip, port, listener.fileno())
            for (ip, port), listener in nurseries.listeners().items()
        ],
        workers=[_worker(child, pipe(child.serial)) for child in book.children.values()],
        tickets=[*tickets, *chain.from_iterable(waiting)],
        serials=book.serials,
        generations=book.generations,
        extra=book.extra,
        started=book.unix(book.started),
        settings=msgspec.Raw(msgspec.json.encode(book.settings)),
        standings=list(book.standings.values()),
    )


def _worker(child: Child, pipe: int) -> Worker:
    return Worker(
        serial=child.serial,
        ordinal=child.ordinal,
        generation=child.generation,
        pid=child.pid,
        pipe=pipe,
        state=child.state.value,
        forked_at=child.forked_at,
        drain_timeout=child.drain_timeout,
        boot_by=child.boot_by,
        kill_at=child.kill_at,
        in_flight=child.in_flight,
        worker_timeout=child.worker_timeout,
    )
