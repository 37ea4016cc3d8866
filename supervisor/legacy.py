"""What a master hands to the program that takes its place: descriptors, and who lives.

Written to a memfd that the exec leaves open, as JSON, because reader and writer may be of different
versions: unknown fields are passed over, and what a later version adds must have a default.
Times are of the monotonic clock, which an exec does not touch.
"""

from __future__ import annotations

import os

import msgspec

from skitaid.supervisor.settings import Settings
from skitaid.workers.standing import Standing


class Listening(msgspec.Struct, frozen=True):
    """A bound socket."""

    ip: str
    port: int
    descriptor: int


class Worker(msgspec.Struct, frozen=True):
    """A living child, with its end of the control pipe."""

    serial: int
    ordinal: int
    generation: int
    pid: int
    pipe: int  # -1 when it has hung up
    state: str
    forked_at: float
    drain_timeout: float
    boot_by: float | None
    kill_at: float | None
    in_flight: int
    worker_timeout: float = 0.0


class Legacy(msgspec.Struct, frozen=True):
    """All of it. What is an `int` and no number of something is a descriptor."""

    pid_file: int
    control: int
    callers: dict[int, int]  # of the control socket, by ticket
    lifeline: int | None
    scoreboard: int
    listeners: list[Listening]
    workers: list[Worker]
    tickets: list[int]  # of those callers who wait for the restart
    serials: int  # given so far
    generations: int  # likewise
    extra: int  # workers more than the conf says
    started: float  # Unix time
    settings: msgspec.Raw = msgspec.Raw(b"null")  # that the server goes by; see `settings_of`
    standings: list[Standing] = []  # what an operator has said of members

    def descriptors(self) -> list[int]:
        """All that the next program needs open."""
        return [
            self.pid_file,
            self.control,
            self.scoreboard,
            *self.callers.values(),
            *([] if self.lifeline is None else [self.lifeline]),
            *(listening.descriptor for listening in self.listeners),
            *(worker.pipe for worker in self.workers if worker.pipe >= 0),
        ]


_decoder = msgspec.json.Decoder(Legacy)
_settings_decoder = msgspec.json.Decoder(Settings | None)


def settings_of(left: Legacy) -> Settings | None:
    """What the last program went by; None if its version and ours do not mean the same by it."""
    try:
        settings: Settings | None = _settings_decoder.decode(left.settings)
    except msgspec.DecodeError:
        return None
    return settings


def write(legacy: Legacy) -> int:
    """The descriptor of a memfd that holds it."""
    descriptor = os.memfd_create("skitaid-legacy")
    with open(descriptor, "wb", closefd=False) as memory:
        memory.write(msgspec.json.encode(legacy))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read(descriptor: int) -> Legacy:
    """What was written; nothing of it is inherited any further. Closes the memfd."""
    with open(descriptor, "rb") as memory:
        legacy = _decoder.decode(memory.read())
    for inherited in legacy.descriptors():
        os.set_inheritable(inherited, False)
    return legacy
