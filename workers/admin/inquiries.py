"""What this worker asks all workers, by way of the master, and the answers that came.

Runs on the loop. A question that is on its way already, and was asked just now, is not asked again:
who comes later gets the same answer. If the master gives none, as while it restarts, the answer is
empty, and whoever asks makes do with what is in shared memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import field

from skitaid.workers import control

PATIENCE = 2.0  # seconds for the master, which itself is patient with workers for one


class Answers(msgspec.Struct):
    """facts: what the master knows; None: it has not answered. told: by ordinal.

    silent: ordinals of those who have not answered in time.
    """

    facts: control.Facts | None = None
    told: dict[int, bytes] = field(default_factory=dict)
    silent: list[int] = field(default_factory=list)


class Inquiries:
    """Of one worker."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tell_master: Callable[[control.FromWorker], None]
    ) -> None:
        self._loop = loop
        self._tell_master = tell_master
        self._tickets = 0
        self._questions: dict[control.Question, int] = {}  # tickets of those on their way
        self._open: dict[int, tuple[Answers, asyncio.Future[Answers]]] = {}  # by ticket

    async def ask(self, question: control.Question) -> Answers:
        """What all have answered; empty if the master has not."""
        ticket = self._questions.get(question)
        if ticket is None:
            ticket = self._ask(question)
        _, future = self._open[ticket]
        return await asyncio.shield(future)

    def answered(self, record: control.Answers, descriptors: list[int]) -> None:
        """The master hands over what came; the descriptors are closed here."""
        data = [control.read_all(each) for each in descriptors]
        control.close_all(descriptors)
        known = self._open.get(record.ticket)
        if known is None:  # it was given up
            return
        answers, future = known
        answers.facts, answers.silent = record.facts, record.silent
        answers.told.update(zip(record.told, data, strict=True))
        if record.is_last and not future.done():
            future.set_result(answers)

    def _ask(self, question: control.Question) -> int:
        self._tickets += 1
        ticket = self._tickets
        answers, future = Answers(), self._loop.create_future()
        timer = self._loop.call_later(PATIENCE, self._give_up, ticket)

        def over(_: asyncio.Future[Answers]) -> None:
            timer.cancel()
            del self._open[ticket], self._questions[question]

        future.add_done_callback(over)
        self._questions[question] = ticket
        self._open[ticket] = (answers, future)
        self._tell_master(control.Ask(ticket, question))
        return ticket

    def _give_up(self, ticket: int) -> None:
        _, future = self._open[ticket]
        if not future.done():
            future.set_result(Answers())
