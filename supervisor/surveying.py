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
from skitaid.supervisor.report import facts
from skitaid.supervisor.survey import PATIENCE, Asker, Survey
from skitaid.workers import control

_WITH_LOOP = (State.READY, State.RETIRING)


def ask(book: Book, asker: Asker, question: control.Question, now: float) -> list[Action]:
    """Put a question to all who can answer."""
    is_signal = isinstance(question, control.Stacks)
    open_one = next((each for each in book.surveys.values() if _is_signal(each)), None)
    if is_signal and open_one is not None:  # a second signal would be one with the first
        open_one.askers.append(asker)
        return []
    survey = book.new_survey(question, asker, now + PATIENCE)
    for child in book.children.values():
        if child.pid and (is_signal or child.state in _WITH_LOOP):
            survey.waiting[child.serial] = child.ordinal
    if is_signal:
        return [Dump(serial) for serial in survey.waiting]
    record = control.Inquire(survey.number, question)
    return [Tell(serial, record) for serial in survey.waiting]


def told(book: Book, event: WorkerTold) -> list[Action]:
    """A worker has answered a survey, or told its stacks."""
    for survey in book.surveys.values():
        if survey.label == event.survey and event.serial in survey.waiting:
            survey.told[event.serial] = survey.waiting.pop(event.serial)
            return []
        # Stacks of a survey before may be told late. What came now is held in place of that, and
        # is to be handed over.
        if survey.label == event.survey and event.serial in survey.told:
            return []
    return [Drop(event.serial, event.survey)]


def gone(book: Book, serial: int) -> None:
    """A worker is dead, or cannot be heard any more: nobody waits for it."""
    for survey in book.surveys.values():
        survey.waiting.pop(serial, None)


def settle(book: Book, now: float) -> list[Action]:
    """Hand over what is complete, or late."""
    due = [each for each in book.surveys.values() if not each.waiting or now >= each.until]
    return [_hand_over(book, survey, now) for survey in due]


def give_up(book: Book, now: float) -> list[Action]:
    """Hand over what is there: another program takes our place, which knows of no surveys."""
    return [_hand_over(book, survey, now) for survey in list(book.surveys.values())]


def _hand_over(book: Book, survey: Survey, now: float) -> HandOver:
    del book.surveys[survey.number]
    survey.silent = list(survey.waiting.values())
    return HandOver(survey, facts(book, now))


def _is_signal(survey: Survey) -> bool:
    return isinstance(survey.question, control.Stacks)
