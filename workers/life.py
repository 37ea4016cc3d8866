"""The life of a worker: serving, retiring, over.

Runs on the loop of the worker's main thread. Moves are made by the master's records on the
control pipe, by signals, and by the end of the pipe: a worker whose master is gone finishes what
it has in hand and leaves, so there are never orphans (one that hangs is ended by its watchdog).

    serving --Retire, end of pipe--> retiring --last connection closed, or time up--> over
    serving, retiring --Stop, TERM--> over
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from enum import Enum

from . import control
from .doors import Doors
from .scoreboard import Field, Slot, State
from .site import WebSite

log = logging.getLogger(__name__)


class Phase(Enum):
    """Where a worker is in its life."""

    SERVING = "serving"
    RETIRING = "retiring"
    OVER = "over"


class Life:
    """One worker's."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        site: WebSite,
        pipe: socket.socket,
        slot: Slot,
        drain_timeout: float,
        reopen_logs: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._site = site
        self._pipe = pipe
        self._slot = slot
        self._drain_timeout = drain_timeout
        self._reopen_logs = reopen_logs
        self._over: asyncio.Future[None] = loop.create_future()
        self.phase = Phase.SERVING

    async def lead(self, doors: Doors) -> None:
        """Serve until it is over."""
        await self._site.prepare()
        self._site.open(doors, self._tell)
        self._loop.add_reader(self._pipe.fileno(), self._hear)
        self._loop.add_signal_handler(signal.SIGTERM, self.stop)
        self._slot[Field.STATE] = State.SERVING
        self._tell(control.Ready())
        self._hear()  # what was said while we booted counts for the first request already
        try:
            await self._over
        finally:
            self._loop.remove_reader(self._pipe.fileno())
            self._site.close()

    def retire(self) -> None:
        """Accept no more, finish what is in hand, then leave."""
        if self.phase is not Phase.SERVING:
            return
        self.phase = Phase.RETIRING
        self._slot[Field.STATE] = State.RETIRING
        self._loop.call_later(self._drain_timeout, self._time_is_up)
        in_flight = self._site.busy()
        self._site.drain(self.stop)
        # Said only now, when what comes next is a sibling's.
        self._tell(control.Draining(in_flight))

    def stop(self) -> None:
        """Leave now."""
        if self.phase is not Phase.OVER:
            self.phase = Phase.OVER
            self._over.set_result(None)

    def _time_is_up(self) -> None:
        if self.phase is Phase.RETIRING:
            log.warning(
                "%d requests are cut off: they took longer than drain_timeout = %g s",
                self._site.busy(),
                self._drain_timeout,
            )
            self._site.send_away()
            self.stop()

    def _hear(self) -> None:
        while True:
            descriptors: list[int] = []
            try:
                record = control.receive_from_master(self._pipe, descriptors)
            except BlockingIOError:
                return
            match record:
                case None:
                    self._loop.remove_reader(self._pipe.fileno())
                    log.error("the master is gone: finishing what is in hand, then leaving")
                    self.retire()
                    return
                case control.Retire():
                    self.retire()
                case control.Stop():
                    self.stop()
                case control.ReopenLogs():
                    self._reopen_logs()
                case control.ClearCache():
                    self._site.clear_cache()
                case control.Inquire():
                    self._answer(record)
                case control.Answers():
                    self._site.desk.inquiries.answered(record, descriptors)
                case control.SetMembers(standings, is_forgiven):
                    self._site.stand(standings, is_forgiven=is_forgiven)
                case control.TellMembers():
                    self._tell_members(record)

    def _tell_members(self, asked: control.TellMembers) -> None:
        total, members = self._site.members(asked.cluster, asked.start)
        try:
            self._tell(control.Members(asked.ticket, total, members))
        except BlockingIOError:  # it is asked faster than it reads; it says that we were silent
            log.warning("the master does not read what members of [@%s] do", asked.cluster)

    def _answer(self, record: control.Inquire) -> None:
        descriptor = control.write_down(self._site.desk.answer(record.question))
        try:
            control.send(self._pipe, control.Told(record.survey), [descriptor])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the master is gone; the reader will find the end of the pipe
        except BlockingIOError:
            log.warning("the master does not read its pipe: a question is not answered")
        finally:
            control.close_all([descriptor])

    def _tell(self, record: control.FromWorker) -> None:
        try:
            control.send(self._pipe, record)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the master is gone; the reader will find the end of the pipe
