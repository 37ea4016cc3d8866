"""The book of the fleet: its servers, and who waits for which of them to settle.

Only state lives here, changed by the fleet's `decide` in its only thread; no syscall, clock or
log line. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum

import msgspec

from skitaid.fleet.records import FailureReport, FleetStatus, ServerReport
from skitaid.fleet.server import Failure, Server, State
from skitaid.supervisor.backoff import Backoff


class Stage(Enum):
    """Where in its life the fleet is."""

    STARTING = "starting"  # some servers have neither come up nor failed yet
    RUNNING = "running"
    STOPPING = "stopping"  # leaves when the last master is gone


# An editor writes a file, renames it and removes another; a deployment copies several.
QUIET = 0.2  # seconds without news from servers-enabled before it is looked at
LOOK_WITHIN = 2.0  # seconds after the first news, even if there is no quiet

# A server that takes longer to start does not keep others from it; importing an app may well
# take a few seconds.
TURN = 30.0


class Caller(msgspec.Struct, frozen=True):
    """Somebody who wants to hear when these servers have settled."""

    ticket: int
    names: tuple[str, ...]


class Book:
    """The state of one fleet."""

    def __init__(
        self,
        now: float,
        random: Callable[[], float],
        *,
        pid: int,
        unix_time: float,
        starts_max: int,
    ) -> None:
        """`pid` is the fleet's; `unix_time` is the wall clock's word for `now`.

        At most `starts_max` servers are starting at the same time.
        """
        self.pid = pid
        self.started = now
        self.stage = Stage.STARTING
        self.exit_code = 0
        self.servers: dict[str, Server] = {}
        self.callers: list[Caller] = []
        self.lookers: list[Caller] = []  # who wait for the look that is under way
        self.look_at: float | None = None  # when servers-enabled is looked at
        self._look_by = 0.0
        self._starts_max = starts_max
        self._random = random
        self._to_unix = unix_time - now

    def server(self, name: str, now: float) -> Server:
        """The server of that name, entered as stopped if it is new."""
        if name not in self.servers:
            self.servers[name] = Server(name, Backoff(self._random), since=now)
        return self.servers[name]

    def all_settled(self, names: Iterable[str]) -> bool:
        """Whether none of them is on its way up or down."""
        return all(server.is_settled for server in self.named(names))

    def named(self, names: Iterable[str]) -> list[Server]:
        """Those servers, without the ones that are forgotten by now."""
        return [self.servers[name] for name in names if name in self.servers]

    def touched(self, now: float) -> None:
        """There is news from servers-enabled: look when it is quiet there."""
        if self.look_at is None:
            self._look_by = now + LOOK_WITHIN
        self.look_at = min(now + QUIET, self._look_by)

    def next_to_start(self, now: float) -> list[Server]:
        """Whose turn it is: who has waited longest, then by name, as many as there is room for."""
        queue = [s for s in self.servers.values() if s.state is State.QUEUED]
        room = max(0, self._starts_max - len(self._with_turn(now)))
        return sorted(queue, key=lambda server: (server.since, server.name))[:room]

    def forget_removed(self) -> None:
        """Strike off the servers whose conf is gone, when they are gone themselves."""
        gone = [s.name for s in self.servers.values() if s.is_removed and s.state is State.STOPPED]
        for name in gone:
            del self.servers[name]

    def take_settled_callers(self) -> list[Caller]:
        """Those who have waited long enough; they wait no more."""
        settled = [caller for caller in self.callers if self.all_settled(caller.names)]
        self.callers = [caller for caller in self.callers if caller not in settled]
        return settled

    def with_master(self) -> list[Server]:
        """Those that have a process."""
        return [server for server in self.servers.values() if server.has_master]

    def due(self, now: float) -> list[Server]:
        """Those whose back-off is over."""
        return [s for s in self.servers.values() if _waits(s) and s.backoff.until <= now]

    def overdue(self, now: float) -> list[Server]:
        """Those whose master had its time to end."""
        return [s for s in self.servers.values() if s.kill_at is not None and s.kill_at <= now]

    def next_deadline(self) -> float | None:
        """When something is due even if nothing happens; None is never."""
        return min(self._deadlines(), default=None)

    def report(self, names: Iterable[str], now: float) -> FleetStatus:
        """Those servers as they are told to an operator, by name."""
        servers = [self._report(server, now) for server in self.named(sorted(names))]
        return FleetStatus(self.pid, self.started + self._to_unix, servers)

    def _deadlines(self) -> Iterator[float]:
        for server in self.servers.values():
            if server.kill_at is not None:
                yield server.kill_at
            if _waits(server):
                yield server.backoff.until
        if self.look_at is not None:
            yield self.look_at
        if any(server.state is State.QUEUED for server in self.servers.values()):
            yield from (s.since + TURN for s in self.servers.values() if s.state is State.STARTING)

    def _with_turn(self, now: float) -> list[Server]:
        """Those that are starting, and have not been for too long."""
        starting = [s for s in self.servers.values() if s.state is State.STARTING]
        return [server for server in starting if now < server.since + TURN]

    def _report(self, server: Server, now: float) -> ServerReport:
        return ServerReport(
            name=server.name,
            state=server.state.value,
            pid=server.pid,
            since=server.since + self._to_unix,
            failures=server.backoff.recent(now),
            again_at=server.backoff.until + self._to_unix if _waits(server) else None,
            failure=self._failure(server.failure),
            complaints=server.complaints,
        )

    def _failure(self, failure: Failure | None) -> FailureReport | None:
        if failure is None:
            return None
        at = failure.at + self._to_unix
        return FailureReport(failure.why, at, failure.log_from, failure.log_to)


def _waits(server: Server) -> bool:
    return server.state is State.WAITING
