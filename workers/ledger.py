"""What all workers of a server have counted, in memory that they share with their master.

The master makes it before it forks. For each ordinal there are pages, which only the worker with
that ordinal writes, from its loop; everybody reads everything, at any time, without a lock. Nothing
in them is ever taken back: who gets an ordinal goes on counting where the holder before him has
stopped. So a count is right to the last request when its worker is killed, and the sum over all
pages never goes backwards, through reloads, recycling, deaths, and restarts in place. (What one
worker alone has done is on the scoreboard.)

Pages have three parts:

- Names: what each row counts, as lines of JSON, in the order of the rows. They are only appended
  to, so workers of different generations may have different rules; who reads adds up by name.
- Rows: a histogram each, see `buckets`. There is one for each thing that is counted, so nothing
  that is told is a difference of two of them, which a reader in between could see go backwards. A
  cell is an aligned 64-bit number, so it is read either before or after a write.
- Steps: the last quarter of an hour. The step of a moment has the same place in all pages, as all
  go by the monotonic clock, which is one for the machine. A step has its number; one that says
  another number is of an earlier round, and counts for nothing.

Pages are mapped when they are first looked at, and memory is taken as they are written: a server
with four workers and ten rules uses some 100 KB of the room for a thousand workers.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from .buckets import BUCKETS, NANOSECONDS, NOTHING, WIDTH, Counts, bucket

ROWS = 4096
RESERVED = 32  # of them, for what is counted together when the others are taken
RESERVED_BYTES = 4096  # of the names, likewise: such a name has less than 128
STEPS = 180
EVERY = 5.0  # seconds of a step; together they are a quarter of an hour
NAME_MAX = 300  # characters of one part of a name
OTHERS = "(others)"

_CELL = 8
_HEAD = 4096  # its first cell: bytes of all names, written when they are whole
_NAMES = 512 * 1024
_STEP_WIDTH = 128  # cells: number, in flight, errors, then two histograms
_STEP_LATENCY = 8
_STEP_QUEUE = _STEP_LATENCY + BUCKETS
_ROWS_AT = _HEAD + _NAMES
_STEPS_AT = _ROWS_AT + ROWS * WIDTH * _CELL
_PAGES = -(-(_STEPS_AT + STEPS * _STEP_WIDTH * _CELL) // mmap.ALLOCATIONGRANULARITY)
SIZE = _PAGES * mmap.ALLOCATIONGRANULARITY  # bytes of the pages of one ordinal

Key = tuple[str, ...]

_keys = msgspec.json.Decoder(tuple[str, ...])


class Series:
    """One row, in the hands of the worker that counts in it. key: its name.

    cells: in the shared memory. seconds: not written down yet, which is done with each step, and
        when somebody asks.
    """

    __slots__ = ("cells", "key", "seconds")

    def __init__(self, key: Key, cells: memoryview) -> None:
        self.key = key
        self.cells = cells
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count something that has taken so long."""
        self.cells[bucket(seconds)] += 1
        self.seconds += seconds

    def settle(self) -> None:
        """Write down the seconds."""
        if self.seconds:
            self.cells[NANOSECONDS] += int(self.seconds * 1e9)
            self.seconds = 0.0


class Step(msgspec.Struct, frozen=True):
    """A piece of the last quarter of an hour. number: it begins at number * EVERY, monotonic."""

    number: int
    in_flight: int  # at its end
    errors: int
    latency: Counts
    queue: Counts


class Pages:
    """Of one ordinal."""

    def __init__(self, memory: memoryview) -> None:
        self._head = memory[:_HEAD].cast("q")
        self._names = memory[_HEAD:_ROWS_AT]
        self._rows = memory[_ROWS_AT:_STEPS_AT].cast("q")
        self._row_bytes = memory[_ROWS_AT:_STEPS_AT]
        self._steps = memory[_STEPS_AT : _STEPS_AT + STEPS * _STEP_WIDTH * _CELL].cast("q")

    # --- for its writer ---

    def append(self, key: Key, *, is_together: bool = False) -> int | None:
        """Give the next row a name. Returns the row; None: there is no room.

        is_together: for all others, so it may take what is reserved.
        """
        used = self._head[0]
        line = msgspec.json.encode(key) + b"\n"
        row = self.names().count(b"\n")
        rows, room = (ROWS, _NAMES) if is_together else (ROWS - RESERVED, _NAMES - RESERVED_BYTES)
        if row >= rows or used + len(line) > room:
            return None
        self._names[used : used + len(line)] = line
        self._head[0] = used + len(line)  # only now is it there, for who reads meanwhile
        return row

    def cells(self, row: int) -> memoryview:
        """Of a row."""
        return self._rows[row * WIDTH : (row + 1) * WIDTH]

    def put(self, step: Step) -> None:
        """Write a step."""
        start = step.number % STEPS * _STEP_WIDTH
        cells = self._steps[start : start + _STEP_WIDTH]
        cells[0] = 0  # of no round, while it is written
        cells[1], cells[2] = step.in_flight, step.errors
        for at, counts in ((_STEP_LATENCY, step.latency), (_STEP_QUEUE, step.queue)):
            for index, count in enumerate(counts.cells[:BUCKETS], at):
                cells[index] = count
        cells[0] = step.number

    # --- for everybody ---

    def names(self) -> bytes:
        """All names, in lines."""
        return bytes(self._names[: self._head[0]])

    def rows(self, count: int) -> bytes:
        """The first rows. A copy is made in whole words, so no cell is half written in it."""
        return bytes(self._row_bytes[: count * WIDTH * _CELL])

    def steps(self, first: int, last: int) -> Iterator[Step]:
        """Those with numbers from first to last that were written."""
        for number in range(first, last + 1):
            start = number % STEPS * _STEP_WIDTH
            if self._steps[start] == number:
                cells = self._steps[start : start + _STEP_WIDTH].tolist()
                latency = [*cells[_STEP_LATENCY:_STEP_QUEUE], *NOTHING.cells[BUCKETS:]]
                queue = [*cells[_STEP_QUEUE : _STEP_QUEUE + BUCKETS], *NOTHING.cells[BUCKETS:]]
                yield Step(number, cells[1], cells[2], Counts(latency), Counts(queue))


class Pen:
    """What a worker counts with: its series by name, made when they are first asked for."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        keys = (_keys.decode(line) for line in pages.names().splitlines())
        self._series = {key: Series(key, pages.cells(row)) for row, key in enumerate(keys)}

    def series(self, *key: str) -> Series:
        """The row of that name; the one for all others of its kind, when all rows are taken.

        key: the kind, what tells one from another, and last what has few values, as a class of
        statuses. As many parts for all of a kind.
        """
        name = tuple(part[:NAME_MAX] for part in key)
        known = self._series.get(name)
        if known is not None:
            return known
        row = self.pages.append(name)
        if row is None:
            name = (key[0], *(OTHERS for _ in key[1:-1]), key[-1])
            if name in self._series:
                return self._series[name]
            row = self.pages.append(name, is_together=True)
        assert row is not None  # there are fewer kinds and last parts than reserved rows
        series = self._series[name] = Series(name, self.pages.cells(row))
        return series

    def settle(self) -> None:
        """Write down what is held back."""
        for series in self._series.values():
            series.settle()

    def of_kind(self, kind: str) -> list[Series]:
        """All series of a kind."""
        return [each for key, each in self._series.items() if key[0] == kind]


class Ledger:
    """The pages of all workers of one server."""

    def __init__(self, descriptor: int, offset: int) -> None:
        """descriptor: of a memory that has `SIZE` bytes for each ordinal from `offset` on.

        offset: a multiple of mmap.ALLOCATIONGRANULARITY.
        """
        self._descriptor = descriptor
        self._offset = offset
        self._mapped: dict[int, Pages] = {}

    def __getitem__(self, ordinal: int) -> Pages:
        pages = self._mapped.get(ordinal)
        if pages is None:
            memory = mmap.mmap(self._descriptor, SIZE, offset=self._offset + ordinal * SIZE)
            pages = self._mapped[ordinal] = Pages(memoryview(memory))
        return pages

    def totals(self, ordinals: Sequence[int]) -> dict[Key, Counts]:
        """What all of them have counted, by name.

        Whole pages are added up as one long number each, which is the quickest way there is to add
        many cells: no cell ever overflows into the next. Only pages that name their rows alike can
        be added so; those of other generations are added by name.
        """
        alike: dict[bytes, int] = {}
        for ordinal in ordinals:
            names = self[ordinal].names()
            rows = self[ordinal].rows(names.count(b"\n"))
            alike[names] = alike.get(names, 0) + int.from_bytes(rows, "little")
        totals: dict[Key, Counts] = {}
        for names, number in alike.items():
            keys = _parse(names)
            data = memoryview(number.to_bytes(len(keys) * WIDTH * _CELL, "little"))
            cells = data.cast("q").tolist() if keys else []
            for row, key in enumerate(keys):
                counts = Counts(cells[row * WIDTH : (row + 1) * WIDTH])
                totals[key] = totals[key] + counts if key in totals else counts
        return totals

    def history(self, ordinals: Sequence[int], last: int) -> list[Step]:
        """The last quarter of an hour of all of them together, up to the step `last`."""
        first = max(0, last - STEPS + 1)
        found: dict[int, Step] = {}
        for ordinal in ordinals:
            for step in self[ordinal].steps(first, last):
                before = found.get(step.number)
                found[step.number] = step if before is None else _together(before, step)
        empty = (
            (number, Step(number, 0, 0, NOTHING, NOTHING)) for number in range(first, last + 1)
        )
        return [found.get(number, nothing) for number, nothing in empty]


@lru_cache(8)
def _parse(names: bytes) -> list[Key]:
    """They hardly ever change."""
    return [_keys.decode(line) for line in names.splitlines()]


def lone_pages() -> Pages:
    """Of a worker without siblings, in memory of its own."""
    return Pages(memoryview(mmap.mmap(-1, SIZE)))


def _together(one: Step, other: Step) -> Step:
    return Step(
        one.number,
        one.in_flight + other.in_flight,
        one.errors + other.errors,
        one.latency + other.latency,
        one.queue + other.queue,
    )
