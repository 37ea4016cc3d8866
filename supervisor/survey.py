"""A question that is put to all workers: who has asked it, who has yet to answer, until when."""

from __future__ import annotations

import msgspec
from msgspec import field

from skitaid.workers.control import BY_SIGNAL, Question, Stacks

PATIENCE = 1.0  # seconds that whoever asks waits for a worker that hangs


class Asker(msgspec.Struct, frozen=True):
    """A worker, or, with serial 0, a caller of the control socket. ticket: the asker's own."""

    serial: int
    ticket: int


class Survey(msgspec.Struct):
    """Over when nobody is waited for any more."""

    number: int
    question: Question
    askers: list[Asker]
    until: float  # monotonic
    waiting: dict[int, int] = field(default_factory=dict)  # ordinals by serial
    told: dict[int, int] = field(default_factory=dict)  # likewise
    silent: list[int] = field(default_factory=list)  # ordinals

    @property
    def label(self) -> int:
        """What workers call it."""
        return BY_SIGNAL if isinstance(self.question, Stacks) else self.number
