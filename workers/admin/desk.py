"""Where an operator's questions come to in one worker: put together here, and who needs whom.

Runs on the loop. Nothing here decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

import msgspec

from skitai.app import Application
from skitai.request import Request
from skitaid.workers import control
from skitaid.workers.awaiting import AnyCoroutine
from skitaid.workers.clients.cluster import Cluster
from skitaid.workers.heartbeat import Handlers
from skitaid.workers.in_hand import InHand
from skitaid.workers.scoreboard import Scoreboard
from skitaid.workers.settings import Settings
from skitaid.workers.steps import Steps
from skitaid.workers.tally import Tally
from skitaid.workers.web.mounts import Mounts

from . import report
from .cache_counts import CacheCounts
from .console import Console
from .document import InFlight, SlowRequest
from .errors import Errors
from .inquiries import Inquiries
from .pages import AdminPages, Page, Send
from .reporter import Reporter
from .slow import Slow
from .status import StatusOf


class Worker(msgspec.Struct, frozen=True):
    """What is looked at.

    apps: by the file of their route. registered: what the objects say that apps have registered.
    """

    version: str
    apps: Mapping[str, Application]
    mounts: Mounts
    clusters: Mapping[str, Cluster]
    cache: Callable[[], Mapping[str, Any]]
    handlers: Callable[[], Handlers]
    in_hand: Callable[[], list[InHand]]
    registered: Callable[[], dict[str, Any]]


class Export(Protocol):
    """`otel.Export`, which is imported only if it is wanted."""

    def note(self, request: Request, told: SlowRequest) -> None: ...

    def close(self) -> None: ...


class Desk:
    """Of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        ordinal: int,
        tally: Tally,
        errors: Errors | None,
        worker: Worker,
        tell_master: Callable[[control.FromWorker], None],
    ) -> None:
        """errors: what is logged as such; None: nobody listens."""
        self._loop = loop
        self._settings = settings
        self._ordinal = ordinal
        self._tally = tally
        self._worker = worker
        self._tell_master = tell_master
        self._export = _export(settings, worker.version)
        each = None if self._export is None else self._export.note
        self._slow = Slow(tally, ordinal, settings.slow_request, each)
        self._cache_counts = CacheCounts(tally.pen, worker.cache)
        self._steps = Steps(loop, tally.pen, tally.slot, self._now_and_then)
        self.inquiries = Inquiries(loop, tell_master)
        self.status: StatusOf | None = None  # of a worker that has siblings, or may have
        self._reporter = Reporter(
            ordinal,
            settings,
            worker.apps,
            worker.mounts.failure_of,
            worker.clusters,
            worker.cache,
            worker.handlers,
            self._slow,
            errors or Errors(ordinal),
        )

    def pages(
        self, scoreboard: Scoreboard, run: Callable[[AnyCoroutine], None], send: Send
    ) -> Mapping[str, Page]:
        """The admin pages by their paths. run, send: see `AdminPages`."""
        self.status = StatusOf(
            self._settings,
            self._worker.version,
            self._ordinal,
            scoreboard,
            self._note,
            self.inquiries,
            self._reporter,
            self._worker.registered,
        )
        series = self._tally.route("admin", "", "", "")
        console = Console(
            self._loop, self._settings, self.status.status, self._stacks, self._tell_master
        )
        admin = self._settings.admin
        return AdminPages(self._loop, admin, self.status, console, run, send, series).pages()

    async def whole_status(self) -> dict[str, Any]:
        """For `was.status()`. After `pages`."""
        assert self.status is not None
        return await self.status.plain()

    def start(self) -> None:
        """The worker serves."""
        self._steps.start()

    def stop(self) -> None:
        """It leaves."""
        self._steps.stop()
        self._note()

    def answer(self, question: control.Question) -> bytes:
        """What this worker says to a question of a sibling, or of the command line."""
        match question:
            case control.Report():
                self._note()
                return report.encode(self._reporter.report())
            case control.InHand():
                return msgspec.msgpack.encode(self._in_hand())
            case control.Stacks():  # asked for by a signal, see `Watchdog`
                raise AssertionError("stacks are told while the loop hangs, so not by it")

    async def _stacks(self) -> list[tuple[int, str | None]]:
        """Of each worker, None if it gives no answer."""
        answers = await self.inquiries.ask(control.Stacks())
        told = {ordinal: data.decode("utf-8", "replace") for ordinal, data in answers.told.items()}
        return sorted({**dict.fromkeys(answers.silent), **told}.items())

    def close(self) -> None:
        """All is over: hand out what is still to be told to others."""
        if self._export is not None:
            self._export.close()

    def _in_hand(self) -> list[InFlight]:
        return [
            InFlight(
                self._ordinal,
                each.age,
                each.id,
                each.method,
                each.uri,
                each.handler,
                each.state,
                each.doing,
            )
            for each in self._worker.in_hand()
        ]

    def _note(self) -> None:
        """Write down what is held back."""
        self._cache_counts.note()
        self._steps.note_cpu()
        self._tally.pen.settle()

    def _now_and_then(self) -> None:
        self._slow.forget_old()
        self._note()


def _export(settings: Settings, version: str) -> Export | None:
    if not settings.otel:
        return None
    export: Export = import_module(f"{__package__}.otel").export(settings.name, version)
    return export
