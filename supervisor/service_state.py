"""The book of a server as a service manager hears it. Pure."""

from __future__ import annotations

from skitaid.supervisor.address import address
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.events import Event, ReloadWanted
from skitaid.supervisor.service_manager import STOPPING, ready, reloading


def service_state(book: Book, event: Event, now: float) -> str:
    """After the event was decided on; "" while the server starts."""
    match book.stage:
        case Stage.STARTING:
            return ""
        case Stage.STOPPING:
            return STOPPING
        case Stage.SERVING if book.change or isinstance(event, ReloadWanted):
            # How a reload that is only wanted went is the next event: if it fails at once,
            # who waits for both words gets both all the same.
            return reloading(now)
        case Stage.SERVING:
            return ready(f"serves {address(book.settings)}, generation {book.wanted.number}")
