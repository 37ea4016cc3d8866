"""The book of one server: who lives, in which state, and what the next deadline is.

Only state lives here, and it changes by method calls from `decide`, in the master's only
thread. Never a syscall, a clock or a log line: times come in as arguments, so tests can feed
any history. Times are seconds of one monotonic clock.

A child is entered when its fork is decided, not when it has happened; otherwise two decisions
in a row would both see it missing. It is struck off when it is reaped, and only then.

`wanted` is the generation that all workers shall be of. As long as one of an older generation
serves, `fallback` is what to go back to if the wanted one does not boot. Who is to be replaced
is not listed anywhere: it is who serves and is of another generation, or is `worn`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from skitaid.supervisor.backoff import Backoff
from skitaid.supervisor.change import Change, LastChange
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.generation import Generation
from skitaid.supervisor.inquiry import Inquiry
from skitaid.supervisor.legacy import Legacy, settings_of
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.survey import Asker, Survey
from skitaid.supervisor.trying import Trying
from skitaid.workers.control import Question
from skitaid.workers.settings import Tls
from skitaid.workers.standing import Standing


class Stage(Enum):
    """Where in its life the server is."""

    STARTING = "starting"  # not all workers have been ready yet: a boot failure ends it
    SERVING = "serving"  # was complete once: whatever fails now is tried again
    STOPPING = "stopping"  # leaves when the last child is gone


QUICK_DEATHS = 3  # deaths in a row that are mended at once, beyond one per worker; a guess


class Book:
    """The state of one master."""

    def __init__(
        self,
        settings: Settings,
        now: float,
        random: Callable[[], float],
        *,
        pid: int,
        unix_time: float,
    ) -> None:
        """`pid` is the master's; `unix_time` is the wall clock's word for `now`."""
        self.pid = pid
        self.children: dict[int, Child] = {}  # by serial
        self.stage = Stage.STARTING
        self.wanted = Generation(1, settings)
        self.fallback: Generation | None = None
        self.change: Change | None = None
        self.trying: Trying | None = None  # whether a restart would come up
        self.standings: dict[tuple[str, str], Standing] = {}  # by cluster and node
        self.inquiries: dict[int, Inquiry] = {}  # by ticket: who wants to know of members
        self.extra = 0  # workers more than the conf says, by TTIN and TTOU
        self.surveys: dict[int, Survey] = {}  # by number, those that are on
        self.last_change: LastChange | None = None
        self.look_at: float | None = None  # when the slots are looked at next
        self.overslept = False  # whether the last look was late
        self.expiry_of: Tls | None = None  # whose certificates were looked at last
        self.expiry_at: float | None = None  # when they are looked at next; None: never
        self.exit_code = 0
        self.started = now
        self.last_error = ""
        self.last_error_at: float | None = None
        self.boots = Backoff(random)  # workers that never became ready
        self.crashes = Backoff(random, free=settings.processes + QUICK_DEATHS)  # that died later
        self._serial = 0
        self._surveys = 0
        self._generations = 1
        self._to_unix = unix_time - now

    def inherit(self, left: Legacy) -> None:
        """Go on where the program before this one has stopped; all its workers are stale."""
        for worker in left.workers:
            child = Child(
                worker.serial,
                worker.ordinal,
                worker.generation,
                worker.forked_at,
                worker.drain_timeout,
                worker.worker_timeout,
                worker.boot_by,
                state=State(worker.state),
                pid=worker.pid,
                kill_at=worker.kill_at,
                in_flight=worker.in_flight,
            )
            self.children[child.serial] = child
        self.stage = Stage.SERVING
        last = settings_of(left)
        if last is None or last.processes == self.wanted.settings.processes:
            self.extra = left.extra
        self.standings = {(each.cluster, each.node): each for each in left.standings}
        self.started = left.started - self._to_unix
        self._serial = left.serials
        self._generations = left.generations
        self.wanted = self.new_generation(self.wanted.settings)
        self.change = Change("restart", len(self.outdated()), left.tickets)

    @property
    def serials(self) -> int:
        """How many workers there have been."""
        return self._serial

    @property
    def generations(self) -> int:
        """How many generations there have been."""
        return self._generations

    # Children

    def enter(self, generation: Generation, now: float) -> Child:
        """A new child, about to be forked."""
        self._serial += 1
        limits = generation.settings
        child = Child(
            self._serial,
            self._free_ordinal(),
            generation.number,
            forked_at=now,
            drain_timeout=limits.drain_timeout,
            worker_timeout=limits.worker.worker_timeout,
            boot_by=now + limits.boot_timeout if limits.boot_timeout else None,
            old_at=now + limits.max_age if limits.max_age else None,
        )
        self.children[child.serial] = child
        return child

    def strike_off(self, serial: int) -> Child:
        """The child is dead."""
        return self.children.pop(serial)

    def serving(self) -> list[Child]:
        """Those who take connections now or soon."""
        return [child for child in self.children.values() if child.serves]

    def in_state(self, state: State) -> list[Child]:
        """Those who are in this state."""
        return [child for child in self.children.values() if child.state is state]

    def ready(self) -> list[Child]:
        """Those who take connections now."""
        return self.in_state(State.READY)

    def booting(self) -> list[Child]:
        """Those of the wanted generation who will take connections soon."""
        return [c for c in self.in_state(State.BOOTING) if c.generation == self.wanted.number]

    def outdated(self) -> list[Child]:
        """Those who serve and are not of the wanted generation."""
        return [child for child in self.serving() if child.generation != self.wanted.number]

    def stale(self) -> list[Child]:
        """Those who serve and are to be replaced; the longest-lived first."""
        return [
            child
            for child in self.serving()
            if child.generation != self.wanted.number or child.worn
        ]

    def overdue(self, now: float) -> list[Child]:
        """Those who had their time to leave."""
        return [
            child
            for child in self.children.values()
            if child.kill_at is not None and child.kill_at <= now
        ]

    # Generations

    @property
    def settings(self) -> Settings:
        """What the server was told last, and has not been found wanting."""
        return self.steady.settings

    @property
    def steady(self) -> Generation:
        """What a dead worker is replaced with: the newest that can boot."""
        if self.fallback and not self.wanted.proven:
            return self.fallback
        return self.wanted

    @property
    def count(self) -> int:
        """How many workers there shall be."""
        return max(1, self.settings.processes + self.extra)

    def new_generation(self, settings: Settings) -> Generation:
        """Another reading of the conf, numbered."""
        self._generations += 1
        return Generation(self._generations, settings)

    def missing(self) -> int:
        """How many workers are to be forked, now or when the back-off allows.

        A generation that nobody knows to boot does not count as help.
        """
        if self.stage is Stage.STOPPING:
            return 0
        serving = self.serving()
        if self.steady is not self.wanted:
            serving = [child for child in serving if child.generation != self.wanted.number]
        return max(0, self.count - len(serving))

    # Errors and times

    def note_error(self, reason: str, now: float) -> None:
        """Keep why a worker failed, for the operator who asks later."""
        self.last_error = reason
        self.last_error_at = now

    def note_change(self, error: str, now: float) -> None:
        """A reload or restart is over; error: why it was abandoned, "" if it was not."""
        self.last_change = LastChange(now, error)
        if error:
            self.note_error(error, now)

    def new_survey(self, question: Question, asker: Asker, until: float) -> Survey:
        """A question that is put now, numbered from 1."""
        self._surveys += 1
        survey = Survey(self._surveys, question, [asker], until)
        self.surveys[survey.number] = survey
        return survey

    def forgive(self) -> None:
        """An operator has stepped in: what has failed is tried again at once."""
        self.boots.reset()
        self.crashes.reset()

    def unix(self, time: float) -> float:
        """A time of this book on the wall clock."""
        return time + self._to_unix

    def fork_from(self) -> float:
        """When a fork is allowed again after failures."""
        return max(self.boots.until, self.crashes.until)

    def _free_ordinal(self) -> int:
        taken = {child.ordinal for child in self.children.values()}
        return next(n for n in range(len(taken) + 1) if n not in taken)
