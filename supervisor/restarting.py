"""Restart: another program takes this one's place, if a trial shows that it comes up.

As pure as the rest of `decide`. First a process of its own does all that might fail; only then
does the master become the next program, which adopts the workers and replaces them as in a reload.
"""

from __future__ import annotations

import logging

from skitaid.supervisor import members, surveying
from skitaid.supervisor.actions import Action, Answer, Become, KillTrial, Log, Report, Try
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.control_records import Progress, Refused
from skitaid.supervisor.events import BecameNothing, ConfBroken, RestartWanted, TrialEnded
from skitaid.supervisor.exit_code import describe
from skitaid.supervisor.trial import COMES_UP
from skitaid.supervisor.trying import Trying

TRIAL_TIME = 60.0  # seconds, if boot_timeout does not say; imports of a big app take some


def restart(book: Book, event: RestartWanted, now: float) -> list[Action]:
    """Try the next program. Who asks while that goes on gets the same outcome."""
    if book.stage is not Stage.SERVING:
        reason = f"not restarted: the server is {book.stage.value}"
        return [Log(logging.WARNING, reason), *_refuse(_tickets(event), reason)]
    if book.trying:
        book.trying.tickets += _tickets(event)
        return []
    book.forgive()
    kill_at = now + (book.settings.boot_timeout or TRIAL_TIME)
    book.trying = Trying(kill_at, _tickets(event))
    progress = Progress(f"{book.settings.name}: trying whether it would come up")
    return [
        Log(logging.INFO, f"{event.cause}: trying whether a restart would come up"),
        *(Report(ticket, progress) for ticket in book.trying.tickets),
        Try(),
    ]


def trial_ended(book: Book, event: TrialEnded, now: float) -> list[Action]:
    """The program comes up, or all stays as it is."""
    trying, book.trying = book.trying, None
    assert trying
    is_good = event.exit_code == 0 and event.text.endswith(COMES_UP)
    if is_good and book.stage is Stage.SERVING:
        answers = [*members.give_up(book), *surveying.give_up(book, now)]
        return [*answers, Log(logging.INFO, "restarting"), Become(tuple(trying.tickets))]
    why = event.text or f"the trial {describe(event.exit_code)} before it had tried all"
    return _not_restarted(book, tuple(trying.tickets), why, now)


def became_nothing(book: Book, event: BecameNothing, now: float) -> list[Action]:
    """The kernel refused."""
    return _not_restarted(book, event.tickets, event.reason, now)


def conf_broken(book: Book, event: ConfBroken, now: float) -> list[Action]:
    """Of a restart there is no way back: it goes on, with the settings of the last program."""
    reason = f"restarted, but the conf has broken since the trial and is not used:\n{event.reason}"
    book.note_error(reason, now)
    assert book.change
    tickets, book.change.tickets = book.change.tickets, []
    return [Log(logging.ERROR, reason), *_refuse(tickets, reason)]


def _not_restarted(book: Book, tickets: tuple[int, ...], why: str, now: float) -> list[Action]:
    reason = f"not restarted, nothing has changed:\n{why}"
    book.note_change(reason, now)
    return [Log(logging.ERROR, reason), *_refuse(list(tickets), reason)]


def trial_overdue(book: Book, now: float) -> list[Action]:
    """A trial that does not end is no success."""
    trying = book.trying
    if trying is None or trying.kill_at is None or now < trying.kill_at:
        return []
    trying.kill_at = None
    return [KillTrial()]


def give_up(book: Book) -> list[Action]:
    """The server stops: nobody waits for the trial."""
    if book.trying is None or book.trying.kill_at is None:
        return []
    book.trying.kill_at = None
    return [KillTrial()]


def _refuse(tickets: list[int], reason: str) -> list[Action]:
    return [Answer(ticket, Refused(reason)) for ticket in tickets]


def _tickets(event: RestartWanted) -> list[int]:
    return [] if event.ticket is None else [event.ticket]
