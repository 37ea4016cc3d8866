"""A page in parts, and what of it has changed since another one. Pure.

A part is an element of the page with an id. Some have rows, each of which is an element with an id
too: if they are the same rows in the same order as before, those that differ are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ROWS = "\0rows\0"  # stands in a frame where the rows go; no text of a page has a NUL


@dataclass(frozen=True, slots=True)
class Part:
    """frame: HTML, with `ROWS` in it if there may be rows. rows: HTML by id."""

    frame: str
    rows: dict[str, str] = field(default_factory=dict)

    @property
    def html(self) -> str:
        """All of it."""
        return self.frame.replace(ROWS, "".join(self.rows.values()))


Parts = Mapping[str, Part]  # by id, in the order of the page


def whole(parts: Parts) -> dict[str, str]:
    """All of them as HTML by id."""
    return {name: part.html for name, part in parts.items()}


def changes(before: Parts, after: Parts) -> dict[str, str]:
    """HTML by id that makes a page with `before` one with `after`."""
    changed: dict[str, str] = {}
    for name, part in after.items():
        old = before.get(name)
        if old is None or old.frame != part.frame or list(old.rows) != list(part.rows):
            changed[name] = part.html
        else:
            changed |= {key: row for key, row in part.rows.items() if old.rows[key] != row}
    return changed
