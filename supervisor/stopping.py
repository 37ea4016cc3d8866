"""How a server ends: the part of `decide` that tells workers to leave. As pure as the rest."""

from __future__ import annotations

import logging

from skitaid.supervisor.actions import Action, Log, Tell
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.events import StopWanted
from skitaid.supervisor.settings import Settings
from skitaid.workers import control

STOP_TIME = 3.0  # seconds a worker may take to close everything and leave
DRAIN_MARGIN = 1.0  # a worker ends its own drain; who is there a second later is hung


def stop(book: Book, settings: Settings, event: StopWanted, now: float) -> list[Action]:
    """A fast stop overtakes a graceful one; nothing overtakes a fast one."""
    if event.graceful:
        return _stop_gracefully(book, settings, event.cause, now)
    told = stop_all(book, now)
    return [Log(logging.INFO, f"{event.cause}: stopping now"), *told] if told else []


def _stop_gracefully(book: Book, settings: Settings, cause: str, now: float) -> list[Action]:
    if book.stage is Stage.STOPPING:
        return []
    text = f"{cause}: stopping when all is answered, {settings.drain_timeout:g} s at most"
    return [Log(logging.INFO, text), *_retire_all(book, settings, now)]


def stop_all(book: Book, now: float) -> list[Action]:
    """Everybody leaves now."""
    book.stage = Stage.STOPPING
    return [_stop(c, now) for c in book.children.values() if c.state is not State.STOPPING]


def _retire_all(book: Book, settings: Settings, now: float) -> list[Action]:
    """Everybody leaves when done; who has not begun to serve has nothing to finish."""
    book.stage = Stage.STOPPING
    kill_at = now + settings.drain_timeout + DRAIN_MARGIN
    return [
        _stop(child, now) if child.state is State.BOOTING else _retire(child, kill_at)
        for child in book.serving()
    ]


def _stop(child: Child, now: float) -> Action:
    leaves(child, now)
    return Tell(child.serial, control.Stop())


def _retire(child: Child, kill_at: float) -> Action:
    child.move(State.RETIRING)
    child.kill_at = kill_at
    return Tell(child.serial, control.Retire())


def leaves(child: Child, now: float) -> None:
    """From now on it is expected to die, and killed if it does not."""
    child.move(State.STOPPING)
    child.kill_at = now + STOP_TIME
