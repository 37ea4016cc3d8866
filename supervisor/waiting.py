"""The one place that waits.

A process has one `Waiter`, used by its only thread. Each file descriptor is watched together
with a function that reads what is there and returns it as events; nothing is decided here.
The wait ends when a descriptor is readable or the computed deadline is reached. Never is there
a tick: with no deadline and no news the process sleeps.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

E = TypeVar("E")


class HasFileno(Protocol):
    """An object that owns a file descriptor."""

    def fileno(self) -> int: ...


Source = HasFileno | int  # an int is a bare descriptor, such as a pidfd


class Waiter(Generic[E]):
    """Waits on descriptors and returns events of type `E`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, source: Source, note: Callable[[], list[E]]) -> None:
        """Call `note` whenever `source` is readable; it must read without blocking."""
        self._selector.register(source, selectors.EVENT_READ, note)

    def forget(self, source: Source) -> None:
        """Stop watching; call before closing. `KeyError` if it was not watched."""
        self._selector.unregister(source)

    def wait(self, deadline: float | None) -> list[E]:
        """Block until there is news or `deadline` (of `time.monotonic`; None is never)."""
        events: list[E] = []
        for key, _ in self._selector.select(_timeout(deadline)):
            if self._is_watched(key):
                events += key.data()
        return events

    def close(self) -> None:
        """Watch nothing any more. In a forked child this leaves the parent's watch alone."""
        self._selector.close()

    def _is_watched(self, key: selectors.SelectorKey) -> bool:
        """An earlier `note` of the same round may have forgotten this one."""
        return self._selector.get_map().get(key.fd) is key


def earliest(*deadlines: float | None) -> float | None:
    """Of those that are one."""
    return min((each for each in deadlines if each is not None), default=None)


def _timeout(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    return max(0.0, deadline - time.monotonic())
