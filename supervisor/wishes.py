"""What an operator wants at the status page. As pure as `decide`.

The same as by signals and by the command line; nobody waits for the answer, as the page shows how
the server is. A worker that leaves may still have been asked, so it does not matter which it is.
"""

from __future__ import annotations

import logging
from typing import assert_never

from skitaid.supervisor import members, restarting, rolling
from skitaid.supervisor.actions import Action, Log, Tell
from skitaid.supervisor.book import Book
from skitaid.supervisor.control_records import ChangeMembers
from skitaid.supervisor.counting import count
from skitaid.supervisor.events import CountWanted, ReloadWanted, RestartWanted, StopWanted
from skitaid.supervisor.stopping import stop
from skitaid.workers import control


def wish(book: Book, wished: control.Wish | control.WishForMember, now: float) -> list[Action]:
    """Have it done."""
    cause = f"{wished.who} on the status page"
    if isinstance(wished, control.WishForMember):
        request = ChangeMembers(wished.cluster, [wished.node], wished.state)
        return members.change(book, request, cause, None)
    match wished.what:
        case "reload":
            return rolling.reload(book, ReloadWanted(cause), now)
        case "restart":
            return restarting.restart(book, RestartWanted(cause), now)
        case "stop":
            return stop(book, StopWanted(graceful=True, cause=cause), now)
        case "more":
            return count(book, CountWanted(1, cause))
        case "fewer":
            return count(book, CountWanted(-1, cause))
        case "clear":
            return _clear(book, cause)
        case _:
            assert_never(wished.what)


def _clear(book: Book, cause: str) -> list[Action]:
    tell = [Tell(child.serial, control.ClearCache()) for child in book.children.values()]
    return [Log(logging.INFO, f"{cause}: the result caches are emptied"), *tell]
