"""The status of the whole server, as any of its workers answers it.

Runs on the loop. The figures are read from the memory that all share; the rest is asked of the
siblings, through the master. While the master gives no answer there is what this worker knows by
itself.
"""

from __future__ import annotations

import os
import platform
import resource
import ssl
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, TypeVar

import msgspec

from skitaid.workers import control
from skitaid.workers.ledger import EVERY
from skitaid.workers.scoreboard import Scoreboard
from skitaid.workers.settings import Settings
from skitaid.workers.steps import last_step

from . import report, summing
from .document import Change, InFlight, Server, Status
from .inquiries import Answers, Inquiries
from .metrics import Metrics
from .report import WorkerReport
from .reporter import Reporter

_T = TypeVar("_T")

_PARTS = ("skitai", "uvloop", "httptools", "msgspec", "cryptography", "jinja2", "psycopg")


class Snapshot(msgspec.Struct, frozen=True):
    """What is known at one moment: the material of the document, and of the metrics."""

    facts: control.Facts
    reports: dict[int, WorkerReport]  # by ordinal
    silent: list[int]
    figures: summing.Figures


class StatusOf:
    """The server, as worker `ordinal` sees it."""

    def __init__(
        self,
        settings: Settings,
        version: str,
        ordinal: int,
        scoreboard: Scoreboard,
        note: Callable[[], None],
        inquiries: Inquiries,
        reporter: Reporter,
        registered: Callable[[], dict[str, Any]],
    ) -> None:
        """note: has this worker write down what it holds back; its siblings do when they answer."""
        self._settings = settings
        self._version = version
        self._ordinal = ordinal
        self._scoreboard = scoreboard
        self._note = note
        self._inquiries = inquiries
        self._reporter = reporter
        self._registered = registered
        self._began = time.time()
        self._environment = environment(settings)

    async def status(self) -> Status:
        """The whole document."""
        return self._document(await self._snapshot())

    async def plain(self) -> dict[str, Any]:
        """The same as names and plain values, for `was.status()`."""
        found: dict[str, Any] = msgspec.to_builtins(await self.status(), enc_hook=str)
        return found

    async def metrics(self) -> Metrics:
        """The figures alone."""
        snapshot = await self._snapshot()
        return Metrics(self._document(snapshot), snapshot.figures.totals)

    async def in_hand(self) -> list[InFlight]:
        """The requests in hand of all workers, the oldest first."""
        answers = await self._inquiries.ask(control.InHand())
        told = _decoded(answers, report.decode_in_hand)
        return sorted((each for one in told.values() for each in one), key=lambda each: -each.age)

    def _document(self, snapshot: Snapshot) -> Status:
        facts, figures = snapshot.facts, snapshot.figures
        told = list(snapshot.reports.values())
        totals = figures.totals
        slots = {each.ordinal: self._scoreboard[each.ordinal] for each in facts.workers}
        now = time.monotonic_ns()
        mine = snapshot.reports[self._ordinal]
        return Status(
            server=self._server(facts, totals),
            workers=summing.workers(facts, slots, snapshot.reports, snapshot.silent, now),
            routes=summing.routes(totals),
            clusters=summing.clusters(totals, [each.clusters for each in told]),
            databases=summing.clusters(totals, [each.databases for each in told]),
            cache=summing.cache([each.cache for each in told], totals),
            slow=summing.slow(told),
            errors=summing.errors(told),
            apps=mine.apps,
            tls=mine.tls,
            history=summing.history(figures),
            registered={name: _plain(each) for name, each in self._registered().items()},
        )

    async def _snapshot(self) -> Snapshot:
        """Ask everybody, then read what is shared."""
        answers = await self._inquiries.ask(control.Report())
        reports = _decoded(answers, report.decode)
        if self._ordinal not in reports:  # the master is silent
            reports[self._ordinal] = self._reporter.report()
        silent = [*answers.silent, *(answers.told.keys() - reports.keys())]
        self._note()
        ordinals = self._scoreboard.ordinals()
        last = last_step(time.monotonic())
        figures = summing.Figures(
            self._scoreboard.ledger.totals(ordinals),
            self._scoreboard.ledger.history(ordinals, last),
            time.time() - time.monotonic() + (last + 1) * EVERY,
        )
        facts = answers.facts or self._own_facts()
        return Snapshot(facts, dict(sorted(reports.items())), silent, figures)

    def _server(self, facts: control.Facts, totals: summing.Totals) -> Server:
        now = time.time()
        change = None
        if facts.last_change_at is not None:
            change = Change(facts.last_change_at, facts.last_change_error)
        return Server(
            name=self._settings.name,
            version=self._version,
            python=platform.python_version(),
            pid=facts.pid,
            address=facts.address,
            conf=self._settings.conf,
            state=facts.state,
            time=now,
            started=facts.started,
            uptime=now - facts.started,
            generation=facts.generation,
            processes=facts.processes,
            answered_by=self._ordinal,
            requests=summing.requests(totals),
            last_change=change,
            last_error=facts.last_error,
            last_error_at=facts.last_error_at,
            crashes=facts.crashes,
            environment=self._environment,
        )

    def _own_facts(self) -> control.Facts:
        me = control.WorkerFacts(self._ordinal, os.getpid(), "ready", time.time() - self._began, 0)
        return control.Facts(
            pid=os.getppid(),
            address="",
            state="serving",
            started=self._began,
            processes=0,
            generation=0,
            crashes=0,
            last_error="",
            last_error_at=None,
            last_change_at=None,
            last_change_error="",
            workers=[me],
        )


def environment(settings: Settings) -> dict[str, str]:
    """What the server is made of, and where it runs."""
    versions = {}
    for name in _PARTS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # optional, or run from a checkout
            continue
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        **versions,
        "python": sys.version.split("\n")[0],
        "openssl": ssl.OPENSSL_VERSION,
        "platform": platform.platform(),
        "host": platform.node(),
        "cpus": str(os.cpu_count()),
        "open files": str(files),
        "threads": f"{settings.threads}, up to {settings.threads_max} with those that wait",
    }


def _plain(value: object) -> Any:
    """What an app says, as JSON can say it: one that cannot be sent must not take all with it."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=str))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return {"error": f"what it says cannot be written as JSON: {error}"}


def _decoded(answers: Answers, decode: Callable[[bytes], _T]) -> dict[int, _T]:
    """By ordinal; without those of a version that is not ours."""
    found: dict[int, _T] = {}
    for ordinal, data in answers.told.items():
        try:
            found[ordinal] = decode(data)
        except msgspec.DecodeError:
            continue
    return found
