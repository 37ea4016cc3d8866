"""Who is replaced though it works: for its size or its age. The rest is the rolling change's.

A worker that has answered `max_requests` asks for it by itself.
"""

from __future__ import annotations

import logging

from skitaid.supervisor.actions import Action, Log
from skitaid.supervisor.book import Book
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.events import Figures

MIB = 1024 * 1024


def grown(book: Book, child: Child, figures: Figures) -> list[Action]:
    """Beyond `max_rss`?"""
    limit = book.settings.max_rss
    if not limit or figures.rss <= limit:
        return []
    return wear(child, f"it has {figures.rss // MIB} MiB, max_rss is {limit // MIB} MiB")


def aged(book: Book, now: float) -> list[Action]:
    """Those who are beyond `max_age`."""
    old = [c for c in book.in_state(State.READY) if c.old_at is not None and c.old_at <= now]
    return [action for child in old for action in wear(child, "it has reached max_age")]


def wear(child: Child, reason: str) -> list[Action]:
    """It is replaced when its turn comes. Saying so twice is saying so once."""
    if child.worn:
        return []
    child.worn = reason
    return [Log(logging.INFO, f"{child} is to be replaced: {reason}")]
