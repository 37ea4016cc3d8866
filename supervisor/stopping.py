"""How workers leave, and a server ends. As pure as the rest of `decide`."""

from __future__ import annotations

import logging

from skitaid.supervisor.actions import Action, CloseListeners, Log, Tell
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.events import StopWanted
from skitaid.workers import control

STOP_TIME = 3.0  # seconds a worker may take to close everything and leave
DRAIN_MARGIN = 1.0  # a worker ends its own drain; who is there a second later is hung


def stop(book: Book, event: StopWanted, now: float) -> list[Action]:
    """A fast stop overtakes a graceful one; nothing overtakes a fast one."""
    if event.graceful:
        return _stop_gracefully(book, event.cause, now)
    book.stage = Stage.STOPPING
    told = _stop_rest(book, now)
    text = f"{event.cause}: stopping now"
    return [Log(logging.INFO, text), CloseListeners(), *told] if told else []


def _stop_gracefully(book: Book, cause: str, now: float) -> list[Action]:
    if book.stage is Stage.STOPPING:
        return []
    text = f"{cause}: stopping when all is answered, {book.settings.drain_timeout:g} s at most"
    return [Log(logging.INFO, text), *_retire_all(book, now)]


def stop_all(book: Book, now: float) -> list[Action]:
    """Everybody leaves now."""
    book.stage = Stage.STOPPING
    return [CloseListeners(), *_stop_rest(book, now)]


def _stop_rest(book: Book, now: float) -> list[Action]:
    return [stop_child(c, now) for c in book.children.values() if c.state is not State.STOPPING]


def _retire_all(book: Book, now: float) -> list[Action]:
    """Everybody leaves when done."""
    book.stage = Stage.STOPPING
    leaving = [
        dismiss(child, now) if child.state is State.BOOTING else retire(child, now)
        for child in book.serving()
    ]
    # First: workers that drain take what waits already, and must be the last who could.
    return [CloseListeners(), *leaving]


def stop_child(child: Child, now: float) -> Action:
    """It leaves now."""
    leaves(child, now)
    return Tell(child.serial, control.Stop())


def retire(child: Child, now: float) -> Action:
    """It finishes what it has, and leaves."""
    child.move(State.RETIRING)
    child.kill_at = _drained_at(child, now)
    return Tell(child.serial, control.Retire())


def dismiss(child: Child, now: float) -> Action:
    """It is not needed any more, as far as we know before it is ready.

    It may be by now, with clients, and its word on its way to us (`was_ready`): so it is not
    stopped. Who still boots has nothing to finish, and not long to hear.
    """
    child.move(State.RETIRING)
    child.kill_at = now + STOP_TIME
    return Tell(child.serial, control.Retire())


def was_ready(child: Child, now: float) -> None:
    """Its word crossed ours: it finishes what it has."""
    if child.state is State.RETIRING:
        child.kill_at = _drained_at(child, now)


def _drained_at(child: Child, now: float) -> float:
    return now + child.drain_timeout + DRAIN_MARGIN


def leaves(child: Child, now: float, after: float = STOP_TIME) -> None:
    """From now on it is expected to die, and killed if it does not within `after` seconds."""
    child.move(State.STOPPING)
    child.kill_at = now + after
