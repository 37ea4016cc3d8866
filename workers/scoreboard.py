"""What each worker is doing, in memory that the master and all its workers share.

The master makes the board before it forks. Each worker has one slot and is the only one who
writes it, from its loop; everybody reads everything, at any time, without a lock. A cell is an
aligned 64-bit number, so it is read either before or after a write, never in between; two cells
may be of different moments, which no reader here minds.

The slot's index is the worker's ordinal, which no two living workers share. Whoever takes a slot
over clears it first.

Behind the slots is the table of members that are checked, which everybody writes, and behind that
the ledger, in which counts outlive those who have counted.
"""

from __future__ import annotations

import mmap
import os
from enum import IntEnum

from . import ledger, member_table

CAPACITY = 1024  # workers of one server, those that drain included
_CELL = 8  # bytes


class State(IntEnum):
    """Where in its life the worker is; 0 is a slot that nobody has taken."""

    NONE = 0
    BOOTING = 1
    SERVING = 2
    RETIRING = 3


class Field(IntEnum):
    """The cells of a slot."""

    PID = 0
    STATE = 1
    HEARTBEAT = 2  # monotonic nanoseconds of the loop's last sign of life
    STARTED = 3  # monotonic nanoseconds
    CONNECTIONS = 4  # open client connections
    IN_FLIGHT = 5  # requests received and not yet answered
    RUNNING = 6  # handlers that hold a run slot
    PARKED = 7  # handlers that wait for results
    QUEUED = 8  # requests that wait for a handler thread
    THREADS = 9  # run slots there are
    REQUESTS = 10  # answered since the worker began
    ERRORS = 11  # of those, answered with a status of 500 or above
    RSS = 12  # bytes, as of the last heartbeat
    CPU = 13  # milliseconds of CPU used, as of the last heartbeat
    CPU_SHARE = 14  # thousandths of a CPU, between the last two


_PAGE = mmap.ALLOCATIONGRANULARITY
_WIDTH = 16  # cells of a slot: two cache lines, so that writers do not share one
_IN_FLIGHT, _REQUESTS = int(Field.IN_FLIGHT), int(Field.REQUESTS)  # a third of the enum's cost


class Slot:
    """One worker's cells."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells

    def __getitem__(self, field: Field) -> int:
        value: int = self._cells[field]
        return value

    def __setitem__(self, field: Field, value: int) -> None:
        self._cells[field] = value

    def add(self, field: Field, amount: int) -> None:
        """For the slot's own worker only: it is not atomic."""
        self._cells[field] += amount

    def request_began(self) -> None:
        """One more is in hand."""
        self._cells[_IN_FLIGHT] += 1

    def request_ended(self) -> None:
        """One that was in hand is over."""
        cells = self._cells
        cells[_IN_FLIGHT] -= 1
        cells[_REQUESTS] += 1

    def clear(self) -> None:
        """Forget the previous holder."""
        for index in range(_WIDTH):
            self._cells[index] = 0


def lone_slot() -> Slot:
    """A slot on no board, for a worker without siblings."""
    return Slot(memoryview(bytearray(_WIDTH * _CELL)).cast("q"))


class Scoreboard:
    """The slots of one server's workers."""

    def __init__(self, descriptor: int = -1) -> None:
        """`descriptor`: the memory of a board that lives, made by the program before this one.

        If that was of a version with another layout, this is a new board all the same; the
        workers on the old one are replaced soon.
        """
        board = (CAPACITY + 1) * _WIDTH * _CELL
        shared = -(-(board + member_table.SIZE) // _PAGE) * _PAGE
        size = shared + CAPACITY * ledger.SIZE
        if descriptor < 0 or os.fstat(descriptor).st_size != size:
            descriptor = os.memfd_create("skitaid-scoreboard")
            os.ftruncate(descriptor, size)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, shared)
        memory = memoryview(self._memory)
        cells = memory[:board].cast("q")
        table = memory[board : board + member_table.SIZE]
        self.members = member_table.MemberTable(table.cast("Q"))
        self.ledger = ledger.Ledger(descriptor, shared)
        self._slots = [
            Slot(cells[index * _WIDTH : (index + 1) * _WIDTH]) for index in range(CAPACITY)
        ]
        self._used = cells[CAPACITY * _WIDTH :]  # its first cell: slots that were ever taken

    def take(self, ordinal: int) -> Slot:
        """In the master, before it forks: a clean slot for a new worker."""
        slot = self._slots[ordinal]
        slot.clear()
        self._used[0] = max(self._used[0], ordinal + 1)
        return slot

    def __getitem__(self, ordinal: int) -> Slot:
        return self._slots[ordinal]

    def ordinals(self) -> range:
        """Those that were ever taken."""
        return range(self._used[0])

    def serving(self) -> list[Slot]:
        """The slots of the workers that accept connections."""
        taken = self._slots[: self._used[0]]
        return [slot for slot in taken if slot[Field.STATE] == State.SERVING]
