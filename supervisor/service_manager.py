"""Who has started us, systemd or its like, and what he hears: sd_notify(3).

Datagrams of KEY=VALUE lines go to the socket that `NOTIFY_SOCKET` names; without one nobody hears.
Our state is told when it has changed, after each decision, and that we live as often as
`WATCHDOG_USEC` asks for. Used by a master and by the fleet, in their only thread.

The variables are taken out of the environment: whoever is forked or run by this process must not
speak in its name. The program that takes its place gets them back.

What meets a full socket is not lost, and nobody waits for room: it is told again after the next
event, a second later at the latest. (To be woken by room would need a `Waiter` that watches for
writing, which nothing else needs.)
"""

from __future__ import annotations

import logging
import os
import socket

from skitaid.supervisor.waiting import earliest

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
AGAIN = 1.0  # seconds to the next try at the latest
STOPPING = "STOPPING=1"

log = logging.getLogger(__name__)


class ServiceManager:
    """One per process. Made before anything else is run or forked."""

    def __init__(self) -> None:
        self.environment = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
        self.due: float | None = None  # when `note` is to be called at the latest
        path = self.environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._state = ""  # the last one, without its time
        self._owed: list[str] = []  # what he has not been told yet
        self._every = _half_of_watchdog(self.environment) if path else 0.0
        self._sign_at: float | None = 0.0 if self._every else None

    def note(self, state: str, now: float) -> None:
        """Our state after an event: `ready`, `reloading`, STOPPING, or "" if there is none yet."""
        if not self._address:
            return
        self._owe(state)
        while self._owed and self._tell(self._owed[0]):
            del self._owed[0]
        if self._sign_at is not None and now >= self._sign_at:
            is_told = self._tell("WATCHDOG=1")
            self._sign_at = now + (self._every if is_told else min(self._every, AGAIN))
        self.due = earliest(now + AGAIN if self._owed else None, self._sign_at)

    def _owe(self, state: str) -> None:
        """If it is another one. Of older ones only a reload that began is still news."""
        if not state or _without_time(state) == self._state:
            return
        self._state = _without_time(state)
        reloads = [each for each in self._owed if each.startswith("RELOADING=1")]
        self._owed = [*reloads[-1:], state]

    def _tell(self, text: str) -> bool:
        """False if he has no room for it now."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto(text.encode(), self._address)
            except BlockingIOError:
                return False
            except OSError as error:
                log.warning("the service manager cannot be told %s: %s", _without_time(text), error)
        return True


def ready(status: str) -> str:
    """All that was to begin has begun; `status` is one line for people."""
    return f"READY=1\nSTATUS={status}"


def reloading(now: float) -> str:
    """Who hears it waits for the next `ready`; it has to know since when."""
    return f"RELOADING=1\nMONOTONIC_USEC={int(now * 1e6)}"


def _half_of_watchdog(environment: dict[str, str]) -> float:
    """Seconds, as sd_watchdog_enabled(3) advises; 0 if nobody waits for us."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 2e6 if is_ours and microseconds.isdecimal() else 0.0


def _without_time(text: str) -> str:
    return text.partition("\nMONOTONIC")[0]
