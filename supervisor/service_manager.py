"""What systemd hears from a master: READY, RELOADING, STOPPING and a line of STATUS.

As of sd_notify(3): datagrams of KEY=VALUE lines to the socket that `NOTIFY_SOCKET` names. Without
one nobody hears. It is told when the state of the book has changed, after each decision; and
that we live, if `WATCHDOG_USEC` says that it waits for that.
"""

from __future__ import annotations

import logging
import os
import socket

from skitaid.supervisor.address import address
from skitaid.supervisor.book import Book, Stage
from skitaid.supervisor.events import Event, ReloadWanted

log = logging.getLogger(__name__)


class ServiceManager:
    """Who has started us, if he wants to know."""

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._told = ""
        self._every = _half_of_watchdog() if path else 0.0
        self.due: float | None = 0.0 if self._every else None  # the next sign of life

    def note(self, book: Book, event: Event, now: float) -> None:
        """After the event was decided on."""
        if not self._address:
            return
        if self.due is not None and now >= self.due:
            self.due = now + self._every
            self._send("WATCHDOG=1")
        if isinstance(event, ReloadWanted) and book.stage is Stage.SERVING:
            # How that went is the next event. Who waits for both words gets both, if it fails too.
            self._tell(_reloading(now))
        else:
            self._tell(_state(book, now))

    def _tell(self, text: str) -> None:
        if not text or _without_time(text) == self._told:
            return
        self._told = _without_time(text)
        self._send(text)

    def _send(self, text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto(text.encode(), self._address)
            except OSError as error:
                log.warning("the service manager cannot be told %s: %s", _without_time(text), error)


def _half_of_watchdog() -> float:
    """Seconds, as sd_watchdog_enabled(3) advises; 0 if nobody waits for us."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 2e6 if is_ours and microseconds.isdecimal() else 0.0


def _state(book: Book, now: float) -> str:
    match book.stage:
        case Stage.STARTING:
            return ""
        case Stage.STOPPING:
            return "STOPPING=1"
        case Stage.SERVING if book.change:
            return _reloading(now)
        case Stage.SERVING:
            where, number = address(book.settings), book.wanted.number
            return f"READY=1\nSTATUS=serves {where}, generation {number}"


def _reloading(now: float) -> str:
    return f"RELOADING=1\nMONOTONIC_USEC={int(now * 1e6)}"


def _without_time(text: str) -> str:
    return text.partition("\nMONOTONIC")[0]
