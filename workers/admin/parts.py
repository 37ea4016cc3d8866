"""A page in parts, and what of it has changed since another one. Pure.

A part is an element of the page with an id. Some have rows, each of which is an element with an id
too: if they are the same rows in the same order as before, those that differ are enough. Of rows
of tables the cells that differ are: each is a line of its own in the templates.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import field

ROWS = "\0rows\0"  # stands in a frame where the rows go; no text of a page has a NUL

CELL = ("<td>", "<td ", "<th>", "<th ")  # what such a line begins with
_CELL_END = ("</td>", "</th>")


class Part(msgspec.Struct, frozen=True):
    """frame: HTML, with `ROWS` in it if there may be rows. rows: HTML by id."""

    frame: str
    rows: dict[str, str] = field(default_factory=dict)

    @property
    def html(self) -> str:
        """All of it."""
        return self.frame.replace(ROWS, "".join(self.rows.values()))


Parts = Mapping[str, Part]  # by id, in the order of the page

# By id: the element as HTML; or its cells that are others, by their place among all its cells.
Changes = dict[str, str | dict[int, str]]


def whole(parts: Parts) -> dict[str, str]:
    """All of them as HTML by id."""
    return {name: part.html for name, part in parts.items()}


def changes(before: Parts, after: Parts) -> Changes:
    """What makes a page with `before` one with `after`."""
    changed: Changes = {}
    for name, part in after.items():
        old = before.get(name)
        if old is None or old.frame != part.frame or list(old.rows) != list(part.rows):
            changed[name] = part.html
            continue
        for key, row in part.rows.items():
            if old.rows[key] != row:
                changed[key] = _cells(old.rows[key], row)
    return changed


def _cells(before: str, after: str) -> str | dict[int, str]:
    """The cells of a row, or rows, that are others; all of it if that is not all there is."""
    old, new = before.split("\n"), after.split("\n")
    if len(old) != len(new):
        return after
    cells: dict[int, str] = {}
    place = 0
    for old_line, line in zip(old, new, strict=True):
        is_cell = line.startswith(CELL)
        if line != old_line:
            if not (is_cell and line.endswith(_CELL_END) and old_line.startswith(CELL)):
                return after
            cells[place] = line
        place += is_cell
    return cells
