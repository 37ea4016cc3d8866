"""What all workers of a server know of the members they ask, in the memory of the scoreboard.

A row for each member that is checked. Rows are found by the member's identity, 64 bits of the
names of cluster and member, so workers of different confs, as at a reload, share what they have
in common. Everybody may write and read, without a lock: a cell is an aligned 64-bit number. Two
workers may claim one row for two members at the same moment; the loser sees it when it next looks,
since each access goes by the identity, and claims another one.
"""

from __future__ import annotations

ROWS = 1024
CELLS = 4  # of a row: identity, when used, when claimed, verdict
SIZE = ROWS * CELLS * 8  # bytes

STALE = 600_000_000_000  # nanoseconds: a row that nobody has used for so long may be taken over

_IDENTITY, _USED, _CLAIMED, _VERDICT = range(CELLS)


class Row:
    """One member's; look it up again for each use."""

    __slots__ = ("_cells", "_start")

    def __init__(self, cells: memoryview, start: int) -> None:
        self._cells = cells
        self._start = start

    def claim(self, now: int) -> None:
        """A check begins. now: monotonic nanoseconds, of one clock for all workers."""
        self._cells[self._start + _CLAIMED] = now

    @property
    def claimed(self) -> int:
        """When the newest check began; 0: never."""
        value: int = self._cells[self._start + _CLAIMED]
        return value

    def judge(self, is_up: bool, now: int) -> None:
        """A check has told that the member is up, or that it is down."""
        self._cells[self._start + _VERDICT] = now << 1 | is_up

    @property
    def verdict(self) -> tuple[bool, int] | None:
        """(is it up, since when is that known); None before the first one."""
        value: int = self._cells[self._start + _VERDICT]
        return (bool(value & 1), value >> 1) if value else None


class MemberTable:
    """cells: shared memory of `SIZE` bytes as unsigned 64-bit numbers; else memory of its own."""

    def __init__(self, cells: memoryview | None = None) -> None:
        self._cells = memoryview(bytearray(SIZE)).cast("Q") if cells is None else cells

    def row(self, identity: int, now: int) -> Row | None:
        """The row of a member, which is in use at this moment. None: there are no more.

        identity: not 0. now: monotonic nanoseconds.
        """
        cells, free = self._cells, -1
        for step in range(ROWS):
            start = (identity + step) % ROWS * CELLS
            holder = cells[start + _IDENTITY]
            if holder == identity:
                cells[start + _USED] = now
                return Row(cells, start)
            if free < 0 and (holder == 0 or cells[start + _USED] < now - STALE):
                free = start
            if holder == 0:
                break
        if free < 0:
            return None
        cells[free + _USED] = now
        cells[free + _CLAIMED] = cells[free + _VERDICT] = 0
        cells[free + _IDENTITY] = identity
        return Row(cells, free)
