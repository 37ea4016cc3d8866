"""Asking all workers something for one of them, or for the command line. As pure as `decide`.

The master has no part in what is answered: it waits for the workers, a second at most, and hands
over what came, unread. Who is not ready is not asked, as its loop does not run yet; for stacks
everybody is, by a signal, since that is answered while the loop hangs, too.
"""

from __future__ import annotations

from skitaid.supervisor.actions import Action, Drop, Dump, HandOver, Tell
from skitaid.supervisor.book import Book
from skitaid.supervisor.child import State
from skitaid.supervisor.events import WorkerTold
from skitaid.supervisor.inquiry import PATIENCE, Asker, Inquiry
from skitaid.supervisor.report import facts
from skitaid.workers import control

_WITH_LOOP = (State.READY, State.RETIRING)


def ask(book: Book, asker: Asker, question: control.Question, now: float) -> list[Action]:
    """Put a question to all who can answer."""
    is_signal = isinstance(question, control.Stacks)
    open_one = next((each for each in book.inquiries.values() if _is_signal(each)), None)
    if is_signal and open_one is not None:  # a second signal would be one with the first
        open_one.askers.append(asker)
        return []
    inquiry = book.new_inquiry(question, asker, now + PATIENCE)
    for child in book.children.values():
        if child.pid and (is_signal or child.state in _WITH_LOOP):
            inquiry.waiting[child.serial] = child.ordinal
    if is_signal:
        return [Dump(serial) for serial in inquiry.waiting]
    record = control.Inquire(inquiry.number, question)
    return [Tell(serial, record) for serial in inquiry.waiting]


def told(book: Book, event: WorkerTold) -> list[Action]:
    """A worker has answered an inquiry, or told its stacks."""
    for inquiry in book.inquiries.values():
        if inquiry.label == event.inquiry and event.serial in inquiry.waiting:
            inquiry.told[event.serial] = inquiry.waiting.pop(event.serial)
            return []
    return [Drop(event.serial, event.inquiry)]


def gone(book: Book, serial: int) -> None:
    """A worker is dead, or cannot be heard any more: nobody waits for it."""
    for inquiry in book.inquiries.values():
        inquiry.waiting.pop(serial, None)


def settle(book: Book, now: float) -> list[Action]:
    """Hand over what is complete, or late."""
    actions: list[Action] = []
    for number, inquiry in list(book.inquiries.items()):
        if inquiry.waiting and now < inquiry.until:
            continue
        del book.inquiries[number]
        inquiry.silent = list(inquiry.waiting.values())
        actions.append(HandOver(inquiry, facts(book, now)))
    return actions


def _is_signal(inquiry: Inquiry) -> bool:
    return isinstance(inquiry.question, control.Stacks)
