"""Replacing workers that serve: the rolling change, as state that every event moves on.

One rule for all causes, be it a new generation, a worker that asks for it, one that has grown
too big: whoever is stale in the book is replaced, and the replacement is ready before its
predecessor is retired. There is one token, held by the replacement while it boots, so at no
time is there more than one worker beyond `count`, and two never recycle together.

A new generation is on trial until no older worker serves. If one of its workers does not boot
it is abandoned: `wanted` becomes `fallback` again. Then its own workers, if there are any, are
those of another generation, and are rolled back by the same rule.

As pure as `decide`, which calls `advance` after every event.
"""

from __future__ import annotations

import logging

from skitaid.supervisor import members
from skitaid.supervisor.actions import Action, Answer, Forget, Fork, Load, Log, Prepare, Report
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.change import Change
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.control_records import Done, Progress, Refused
from skitaid.supervisor.events import Loaded, LoadFailed, ReloadWanted, RestartWanted
from skitaid.supervisor.restarting import restart
from skitaid.supervisor.stopping import dismiss, retire

STOPPING = "the server is being stopped"


def reload(book: Book, event: ReloadWanted, now: float) -> list[Action]:
    """Read conf and apps again. Preloaded apps cannot be: that needs another program."""
    if book.stage is Stage.STOPPING:
        return _refuse(event.ticket, STOPPING)
    if book.settings.preload:
        return restart(book, RestartWanted(event.cause, event.ticket), now)
    book.forgive()
    return [Log(logging.INFO, f"{event.cause}: reading the conf again"), Load(event.ticket)]


def load_failed(book: Book, event: LoadFailed, now: float) -> list[Action]:
    """Everything stays as it is."""
    reason = f"not reloaded, nothing has changed:\n{event.reason.rstrip()}"
    book.note_change(reason, now)
    return [Log(logging.ERROR, reason), *_refuse(event.ticket, reason)]


def loaded(book: Book, event: Loaded, now: float) -> list[Action]:
    """From now on another generation is wanted. What was not complete yet is overtaken."""
    if book.stage is Stage.STOPPING:
        return _refuse(event.ticket, STOPPING)
    if event.settings.preload:  # from now on; this program has no apps to preload
        return restart(book, RestartWanted("preload = yes", event.ticket), now)
    generation = book.new_generation(event.settings)
    actions: list[Action] = [Prepare(generation.number, event.settings)]
    actions += _overtake(book, now)
    if event.settings.processes != book.settings.processes:
        book.extra = 0
    book.fallback = book.steady
    book.wanted = generation
    tickets = [*(book.change.tickets if book.change else []), *_tickets(event.ticket)]
    book.change = Change("reload", len(book.outdated()), tickets)
    return actions


def _overtake(book: Book, now: float) -> list[Action]:
    """The wanted generation is no longer: who boots for it need not go on.

    Without a change under way it is one that would replace another, which the new one will.
    """
    if book.fallback is None:
        spare = max(0, len(book.serving()) - book.count)
        return [dismiss(child, now) for child in book.booting()[:spare]]
    actions: list[Action] = [dismiss(child, now) for child in book.booting()]
    gone = book.fallback if book.wanted.proven else book.wanted
    return [*actions, Forget(gone.number)]


def abandon(book: Book, reason: str, now: float) -> list[Action]:
    """The wanted generation does not boot: the one before it goes on."""
    assert book.fallback
    failed, book.wanted, book.fallback = book.wanted, book.fallback, None
    change, book.change = book.change, None
    what = change.what if change else "reload"
    reason = f"the {what} is abandoned, generation {book.wanted.number} goes on: {reason}"
    book.note_change(reason, now)
    return [
        Log(logging.ERROR, reason),
        *dismiss_in_vain(book, now),
        Forget(failed.number),
        *(Answer(ticket, Refused(reason)) for ticket in (change.tickets if change else [])),
    ]


def dismiss_in_vain(book: Book, now: float) -> list[Action]:
    """Who boots for another generation than the wanted one, and is not needed as a help either."""
    in_vain = [child for child in book.outdated() if child.state is State.BOOTING]
    return [dismiss(child, now) for child in in_vain]


def disappoint(book: Book, child: Child, reason: str) -> list[Action]:
    """After a restart there is no way back: it is tried again, but nobody waits for that."""
    change = book.change
    if change is None or child.generation != book.wanted.number:
        return []
    tickets, change.tickets = change.tickets, []
    return [Answer(ticket, Refused(f"the {change.what} goes on: {reason}")) for ticket in tickets]


def give_up(book: Book) -> list[Action]:
    """The server stops: whoever waits for a change waits in vain."""
    change, book.change = book.change, None
    return [Answer(ticket, Refused(STOPPING)) for ticket in (change.tickets if change else [])]


def advance(book: Book, now: float) -> list[Action]:
    """All that can be done now."""
    if book.stage is not Stage.SERVING:
        return []
    actions = [_retire(book, child, now) for child in _surplus(book)]
    if wants_one_more(book) and now >= book.fork_from():
        child = book.enter(book.wanted, now)
        standings = tuple(book.standings.values())
        actions.append(Fork(child.serial, child.ordinal, child.generation, standings))
    # The address of the fallback is let go before its last worker takes what is waiting there.
    return [*_leave_fallback(book), *actions, *_tell_change(book, now)]


def wants_one_more(book: Book) -> bool:
    """Whether a replacement is due, and the token is free.

    A worker that recycles has left before the next one may: two at once would need the memory
    of three. Of a new generation that is not asked, or a slow client would stop a reload.
    """
    if book.stage is not Stage.SERVING or book.booting():
        return False
    if book.outdated():
        return True
    return bool(book.stale()) and not book.in_state(State.RETIRING)


def _surplus(book: Book) -> list[Child]:
    """Who may leave, as there are enough without him: stale ones, then the youngest."""
    ready = book.ready()
    spare = max(0, len(ready) - book.count)
    stale = [child for child in book.stale() if child.state is State.READY]
    fresh = [child for child in reversed(ready) if child not in stale]
    return [*stale, *fresh][:spare]


def _retire(book: Book, child: Child, now: float) -> Action:
    child.in_flight = 0  # unknown until it says so
    return retire(child, now)


def _leave_fallback(book: Book) -> list[Action]:
    """Nobody serves who is older: there is no way back, and no need of one."""
    if book.fallback is None or book.outdated() or not book.wanted.proven:
        return []
    old, book.fallback = book.fallback, None
    return [Forget(old.number)]


def _tell_change(book: Book, now: float) -> list[Action]:
    change = book.change
    if change is None:
        return []
    if book.fallback is None and not _older(book):
        return _complete(book, change, now)
    progress = _progress(book, change)
    if progress == change.told:
        return []
    change.told = progress
    return [Report(ticket, Progress(progress)) for ticket in change.tickets]


def _complete(book: Book, change: Change, now: float) -> list[Action]:
    book.change = None
    book.note_change("", now)
    members.prune(book)
    text = f"the {change.what} is complete: all workers are of generation {book.wanted.number}"
    return [Log(logging.INFO, text), *(Answer(ticket, Done()) for ticket in change.tickets)]


def _older(book: Book) -> list[Child]:
    """Living workers of other generations, those that drain included."""
    return [c for c in book.children.values() if c.generation != book.wanted.number]


def _progress(book: Book, change: Change) -> str:
    name, total = book.settings.name, change.total
    if not book.wanted.proven:
        return f"{name}: the first new worker is booting"
    retired = max(0, total - len(book.outdated()))
    left = sum(child.in_flight for child in _older(book))
    return f"draining {name}: {retired} of {total} workers retired, {left} requests left"


def _refuse(ticket: int | None, reason: str) -> list[Action]:
    return [Answer(number, Refused(reason)) for number in _tickets(ticket)]


def _tickets(ticket: int | None) -> list[int]:
    return [] if ticket is None else [ticket]
