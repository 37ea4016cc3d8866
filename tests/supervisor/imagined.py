"""A master without processes: events are told, what it would do is noted, time is a number."""

from __future__ import annotations

from typing import Any, TypeVar

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import (
    Action,
    Answer,
    Exit,
    Forget,
    Fork,
    Kill,
    KillTrial,
    Load,
    Log,
    Look,
    Prepare,
    Report,
    Tell,
    Try,
)
from skitaid.supervisor.book import Book
from skitaid.supervisor.control_records import Reload, Reply, Request
from skitaid.supervisor.deadlines import next_deadline
from skitaid.supervisor.decide import decide
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.trial import COMES_UP
from skitaid.workers import control
from skitaid.workers import settings as worker

A = TypeVar("A")


def settings(
    processes: int = 2,
    drain_timeout: float = 30.0,
    worker_timeout: float = 0.0,
    clusters: tuple[worker.HttpCluster, ...] = (),
    **more: Any,
) -> Settings:
    """The settings of a server named web."""
    of_worker = worker.Settings(
        name="web",
        routes=(),
        worker_timeout=worker_timeout,
        http_clusters={each.name: each for each in clusters},
    )
    return Settings(
        name="web",
        ip="127.0.0.1",
        port=5000,
        processes=processes,
        run_dir="/nowhere",
        drain_timeout=drain_timeout,
        worker=of_worker,
        **more,
    )


class ImaginedMaster:
    """`done` holds the actions that the last event has caused. Forks succeed at once, or fail."""

    def __init__(self, processes: int = 2, **more: Any) -> None:
        self.now = 1000.0
        self.book = Book(
            settings(processes, **more), self.now, lambda: 0.0, pid=1, unix_time=1_700_000_000.0
        )
        self.done: list[Action] = []
        self.alive: dict[int, int] = {}  # ordinal by serial
        self.exit_code: int | None = None
        self.forks_fail = False
        self.doomed: list[int] = []  # killed, and not yet dead
        # What a reload reads; a str is a mistake.
        self.conf: Settings | str = settings(processes, **more)
        self.generations = {1}  # that can be forked
        self.replies: dict[int, Reply] = {}  # by ticket
        self.progress: list[str] = []
        self.trial_runs = False
        self.trial_killed = False
        self.beats: dict[int, float | None] = {}  # the last heartbeat, by serial; else it is now
        self.rss: dict[int, int] = {}  # bytes, by serial; else none

    def tell(self, event: ev.Event) -> None:
        """An event happens now."""
        self.done = []
        self._handle(event)

    def _handle(self, event: ev.Event) -> None:
        actions = decide(self.book, event, self.now)
        self.done += actions
        for consequence in [news for action in actions for news in self._imagine(action)]:
            self._handle(consequence)

    def _imagine(self, action: Action) -> list[ev.Event]:
        if isinstance(action, Exit):
            self.exit_code = action.code
        if isinstance(action, Kill):
            self.doomed.append(action.serial)
        if isinstance(action, Answer):
            self.replies[action.ticket] = action.reply
        if isinstance(action, Report):
            self.progress.append(action.progress.text)
        if isinstance(action, Prepare):
            self.generations.add(action.generation)
        if isinstance(action, Forget):
            self.generations.remove(action.generation)
        if isinstance(action, Load):
            return [self._load(action)]
        if isinstance(action, Try):
            self.trial_runs = True
        if isinstance(action, KillTrial):
            self.trial_killed = True
        if isinstance(action, Look):
            return [self._look(action)]
        return [self._fork(action)] if isinstance(action, Fork) else []

    def _look(self, action: Look) -> ev.Event:
        return ev.Looked(
            tuple(
                ev.Figures(serial, self.beats.get(serial, self.now), self.rss.get(serial, 0), 3)
                for serial, _ in action.ordinals
            )
        )

    def _load(self, action: Load) -> ev.Event:
        if isinstance(self.conf, str):
            return ev.LoadFailed(self.conf, action.ticket)
        return ev.Loaded(self.conf, action.ticket)

    def _fork(self, action: Fork) -> ev.Event:
        assert action.generation in self.generations
        if self.forks_fail:
            return ev.ForkFailed(action.serial, "Cannot allocate memory")
        self.alive[action.serial] = action.ordinal
        return ev.Forked(action.serial, 100 + action.serial)

    # What may happen

    def start(self) -> list[int]:
        """Begin; the serials of the workers that are booting."""
        self.tell(ev.Started())
        return list(self.alive)

    def serve(self) -> list[int]:
        """Begin, and all workers become ready."""
        for serial in self.start():
            self.tell(ev.WorkerReady(serial))
        return list(self.alive)

    def die(self, serial: int, exit_code: int = -9) -> None:
        """A worker dies."""
        del self.alive[serial]
        self.tell(ev.WorkerDied(serial, exit_code))

    def bury(self) -> None:
        """Whoever was killed dies."""
        while self.doomed:
            if (serial := self.doomed.pop()) in self.alive:
                self.die(serial)
        if self.trial_killed:
            self.end_trial(-9, "")

    def reload(self, ticket: int = 7) -> None:
        """An operator asks for it over the control socket, as one who waits for the outcome."""
        self.tell(ev.Asked(ticket, Reload()))

    def ready(self, serial: int) -> None:
        self.tell(ev.WorkerReady(serial))

    def end_trial(self, exit_code: int = 0, text: str = COMES_UP) -> None:
        """The trial of a restart has ended."""
        self.trial_runs = self.trial_killed = False
        self.tell(ev.TrialEnded(exit_code, text))

    def stop(self, *, graceful: bool = False) -> None:
        self.tell(ev.StopWanted(graceful, "SIGQUIT" if graceful else "SIGTERM"))

    def ask(self, request: Request) -> Any:
        """The reply to a request over the control socket."""
        self.tell(ev.Asked(7, request))
        return next(action.reply for action in self.did(Answer) if action.ticket == 7)

    def wait(self, seconds: float) -> None:
        """Time passes; the master wakes only at its deadlines."""
        end = self.now + seconds
        while (due := self.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.tell(ev.TimePassed())
            due = self.deadline()
            assert due is None or due > self.now, "it wakes again and again"
        self.now = end

    # What it did

    def deadline(self) -> float | None:
        return next_deadline(self.book)

    def did(self, kind: type[A]) -> list[A]:
        """The actions of one kind that the last event caused."""
        return [action for action in self.done if isinstance(action, kind)]

    def told(self) -> dict[int, control.FromMaster]:
        """What was sent to whom."""
        return {action.serial: action.record for action in self.did(Tell)}

    def killed(self) -> list[int]:
        return [action.serial for action in self.did(Kill)]

    def forked(self) -> list[int]:
        return [action.serial for action in self.did(Fork)]

    def logged(self) -> str:
        return "\n".join(action.text for action in self.did(Log))
