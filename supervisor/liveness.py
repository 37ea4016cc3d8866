"""Workers that hang, in their loop or while they boot. As pure as the rest of `decide`.

A worker's loop writes a heartbeat into its slot; the master looks at the slots now and then, not
at every beat, so an idle master sleeps for half a `worker_timeout`. Whoever hangs is first told
to dump the stacks of its threads and its requests into the log, then is killed and replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from skitaid.supervisor import recycling
from skitaid.supervisor.actions import Action, Dump, Log, Look
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.events import Figures, Looked
from skitaid.supervisor.stopping import leaves

DUMP_TIME = 1.0  # seconds for writing some hundred stacks; a guess
FIGURES_EVERY = 15.0  # seconds between looks if only sizes are looked at


def look(book: Book, now: float) -> list[Action]:
    """Look at the slots if that is due; never while the server starts or stops."""
    every = _every(book)
    if not every or book.stage is not Stage.SERVING:
        book.look_at = None
        return []
    if book.look_at is None:
        book.look_at = now + every
    if now < book.look_at:
        return []
    # A master that was stopped itself (a suspended machine, a frozen container) has workers
    # that were stopped as well: they get the time to beat again.
    book.overslept = now - book.look_at > every
    book.look_at = now + every
    # Who boots has written nothing, and may have been entered just now for a fork that will fail.
    there = [child for child in book.children.values() if child.state is not State.BOOTING]
    return [Look(tuple((child.serial, child.ordinal) for child in there))]


def looked(book: Book, event: Looked, now: float) -> list[Action]:
    """What the slots say."""
    actions: list[Action] = []
    for figures in event.figures:
        child = book.children[figures.serial]
        child.in_flight = figures.in_flight
        if child.state is State.READY:
            actions += _hung(book, child, figures, now) or recycling.grown(book, child, figures)
    return actions


def _hung(book: Book, child: Child, figures: Figures, now: float) -> list[Action]:
    timeout = child.worker_timeout
    if not timeout or figures.heartbeat is None or book.overslept:
        return []
    silence = now - figures.heartbeat
    if silence <= timeout:
        return []
    text = f"{child} gave no sign of life for {silence:.0f} s, {figures.in_flight} requests in hand"
    book.note_error(text, now)
    book.crashes.failed(now)
    leaves(child, now, after=DUMP_TIME)
    return [Log(logging.ERROR, f"{text}; what it does follows"), Dump(child.serial)]


def boots_too_long(book: Book, now: float) -> Iterator[Child]:
    """Those who had their `boot_timeout`; what is done about one may stop the others."""
    for child in book.in_state(State.BOOTING):
        if child.state is State.BOOTING and child.boot_by is not None and child.boot_by <= now:
            yield child


def _every(book: Book) -> float:
    """Seconds between looks; 0 is never."""
    if book.settings.worker.worker_timeout:
        return book.settings.worker.worker_timeout / 2
    return FIGURES_EVERY if book.settings.max_rss else 0.0
