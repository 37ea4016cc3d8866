"""The book of the fleet: its servers, and who waits for which of them to settle.

Only state lives here, changed by the fleet's `decide` in its only thread; no syscall, clock or
log line. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from skitaid.fleet.records import FailureReport, FleetStatus, ServerReport
from skitaid.fleet.server import Failure, Server, State
from skitaid.supervisor.backoff import Backoff


class Stage(Enum):
    """Where in its life the fleet is."""

    STARTING = "starting"  # some servers have neither come up nor failed yet
    RUNNING = "running"
    STOPPING = "stopping"  # leaves when the last master is gone


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who wants to hear when these servers have settled."""

    ticket: int
    names: tuple[str, ...]


class Book:
    """The state of one fleet."""

    def __init__(
        self, now: float, random: Callable[[], float], *, pid: int, unix_time: float
    ) -> None:
        """`pid` is the fleet's; `unix_time` is the wall clock's word for `now`."""
        self.pid = pid
        self.started = now
        self.stage = Stage.STARTING
        self.exit_code = 0
        self.servers: dict[str, Server] = {}
        self.callers: list[Caller] = []
        self._random = random
        self._to_unix = unix_time - now

    def server(self, name: str, now: float) -> Server:
        """The server of that name, entered as stopped if it is new."""
        if name not in self.servers:
            self.servers[name] = Server(name, Backoff(self._random), since=now)
        return self.servers[name]

    def all_settled(self, names: Iterable[str]) -> bool:
        """Whether none of them is on its way up or down."""
        return all(self.servers[name].is_settled for name in names)

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
        servers = [self._report(self.servers[name], now) for name in sorted(names)]
        return FleetStatus(self.pid, self.started + self._to_unix, servers)

    def _deadlines(self) -> Iterator[float]:
        for server in self.servers.values():
            if server.kill_at is not None:
                yield server.kill_at
            if _waits(server):
                yield server.backoff.until

    def _report(self, server: Server, now: float) -> ServerReport:
        return ServerReport(
            name=server.name,
            state=server.state.value,
            pid=server.pid,
            since=server.since + self._to_unix,
            failures=server.backoff.recent(now),
            again_at=server.backoff.until + self._to_unix if _waits(server) else None,
            failure=self._failure(server.failure),
        )

    def _failure(self, failure: Failure | None) -> FailureReport | None:
        if failure is None:
            return None
        at = failure.at + self._to_unix
        return FailureReport(failure.why, at, failure.log_from, failure.log_to)


def _waits(server: Server) -> bool:
    return server.state is State.WAITING
