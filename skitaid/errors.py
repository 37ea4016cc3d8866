"""What goes wrong on this floor, and how it is told.

Whoever finds a mistake raises `SkitaidError` or gathers a `Complaint`; only the command line
prints and turns it into an exit code. A complaint is one sentence that begins with the
place, and all complaints about a file are told at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

EXIT_FAILED = 1
EXIT_CONF = 2  # the same code that click gives a wrong command line


class SkitaidError(Exception):
    """The command cannot do what was asked. The message is for the user, without a traceback."""

    exit_code = EXIT_FAILED


class ConfNotFound(SkitaidError):
    """There is no conf, or no conf directory, at any of the places looked at."""

    exit_code = EXIT_CONF


class Complaint(msgspec.Struct, frozen=True):
    """One mistake in a conf file."""

    where: str  # "web.conf:12", or "web.conf" when it is about the whole file
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class ConfError(SkitaidError):
    """A conf file has mistakes. The message has one line for each."""

    exit_code = EXIT_CONF

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(map(str, self.complaints)))


class Complaints:
    """Gathers all that is wrong with one file, so that nobody has to fix and retry line by line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[tuple[int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def where(self, line: int) -> str:
        """The place as users read it; line 0 is the whole file."""
        return f"{self._file}:{line}" if line else self._file

    def add(self, line: int, message: str) -> None:
        self._found.append((line, message))

    def raise_if_any(self) -> None:
        """Raises `ConfError` with everything added so far, in the order of the lines."""
        if self._found:
            in_order = sorted(self._found, key=lambda found: found[0])
            raise ConfError(Complaint(self.where(line), message) for line, message in in_order)


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The end of a sentence about an unknown `word`: "; did you mean NAME?", or nothing."""
    nearest = difflib.get_close_matches(word.lower(), list(names), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""
