"""What `skitaid status` knows: the fleet's word, each master's word, and the end of each log.

    {"running": true, "pid": 4711, "started": 1795345608.2,
     "servers": [{"name": "web", "state": "running", "pid": 4712,
                  "address": "http://127.0.0.1:5000", "since": 1795345608.6,
                  "processes": 1, "workers":
                    [{"ordinal": 0, "pid": 4713, "state": "ready", "age": 12.5, "generation": 1,
                      "connections": 2, "requests": 17, "in_flight": 1, "parked": 1,
                      "queued": 0, "rss": 41943040}],
                  "failures": 0, "again_at": null,
                  "last_error": "", "last_error_at": null, "complaints": "",
                  "certificates": [],
                  "generation": 1}]}

`running`, `pid` and `started` are the fleet's; times are Unix times, ages seconds. A server's
`state` is queued (for its turn to start), starting, running, stopping, stopped, or waiting (it
failed `failures` times in a row and is tried again at `again_at`); `since` is when it became that.
While a server has a master, `failures` and `again_at` are those of its workers: how often in a row
they could not boot or have died, and when the next one is forked if that is not at once.
`processes` is how many workers it shall have, 0 if unknown. A server that runs by itself, by
`skitaid serve`, is shown too if its conf is enabled; its state is alone. `complaints` are mistakes
in a conf that has changed and is not taken over therefore. `certificates` are those that its
clients are shown: `file`, `names` of hosts, and `not_after`, a Unix time.
"""

from __future__ import annotations

import time

import msgspec

from skitaid import masters
from skitaid.fleet import command
from skitaid.fleet.records import FleetStatus, ServerReport
from skitaid.log_tail import part
from skitaid.paths import Paths
from skitaid.pidfile import holder
from skitaid.places import server_control, server_log, server_pid
from skitaid.silence import why_silent
from skitaid.supervisor.control_call import NoAnswer, ask
from skitaid.supervisor.control_records import (
    CertificateStatus,
    ServerStatus,
    Status,
    WorkerStatus,
)

_server_status = msgspec.json.Decoder(ServerStatus)


class ServerView(msgspec.Struct, frozen=True):
    """One server, all that is known."""

    name: str
    state: str
    pid: int
    address: str
    since: float
    processes: int
    workers: list[WorkerStatus]
    failures: int
    again_at: float | None
    last_error: str
    last_error_at: float | None
    complaints: str = ""
    certificates: list[CertificateStatus] = []
    generation: int = 0


class FleetView(msgspec.Struct, frozen=True):
    """The whole answer."""

    running: bool
    pid: int
    started: float | None
    servers: list[ServerView]


def view(paths: Paths) -> FleetView:
    """Ask everybody. Raises `SkitaidError` if the fleet runs and does not answer."""
    try:
        fleet = command.status(paths)
    except command.NotRunning:
        return FleetView(running=False, pid=0, started=None, servers=_alone(paths, set()))
    servers = servers_view(paths, fleet)
    alone = _alone(paths, {server.name for server in servers})
    return FleetView(running=True, pid=fleet.pid, started=fleet.started, servers=servers + alone)


def servers_view(paths: Paths, fleet: FleetStatus) -> list[ServerView]:
    """The fleet's word on its servers, completed by their masters'."""
    return [_view(paths, report) for report in fleet.servers]


def _view(paths: Paths, report: ServerReport) -> ServerView:
    master = _ask_master(paths, report.name)
    error, error_at = _last_error(paths, report, master)
    return ServerView(
        name=report.name,
        state=report.state,
        pid=report.pid,
        address=master.address if master else "",
        since=report.since,
        processes=master.processes if master else 0,
        workers=master.workers if master else [],
        failures=master.crashes if master else report.failures,
        again_at=master.fork_from if master else report.again_at,
        last_error=error,
        last_error_at=error_at,
        complaints=report.complaints,
        generation=master.generation if master else 0,
        certificates=master.certificates if master else [],
    )


def _last_error(
    paths: Paths, report: ServerReport, master: ServerStatus | None
) -> tuple[str, float | None]:
    """What its workers' master knows is newer than why the master before it has failed."""
    if master and master.last_error_at:
        return master.last_error, master.last_error_at
    if report.state == "running" and not master:
        return _no_answer(report.pid), time.time()
    failure = report.failure
    if failure is None:
        return "", None
    log = part(server_log(paths, report.name), failure.log_from, failure.log_to)
    return log or failure.why, failure.at


def _alone(paths: Paths, known: set[str]) -> list[ServerView]:
    """Servers that run without the fleet."""
    pids = {name: holder(server_pid(paths, name)) for name in paths.enabled() if name not in known}
    return [_view_alone(paths, name, pid) for name, pid in pids.items() if pid is not None]


def _view_alone(paths: Paths, name: str, pid: int) -> ServerView:
    master = _ask_master(paths, name)
    if master is None:
        return _view_silent(name, pid)
    return ServerView(
        name=name,
        state="alone",
        pid=master.pid,
        address=master.address,
        since=master.started,
        processes=master.processes,
        workers=master.workers,
        failures=master.crashes,
        again_at=master.fork_from,
        last_error=master.last_error,
        last_error_at=master.last_error_at,
        generation=master.generation,
        certificates=master.certificates,
    )


def _view_silent(name: str, pid: int) -> ServerView:
    """It runs without the fleet, and nobody can say more."""
    return ServerView(
        name=name,
        state="alone",
        pid=pid,
        address="",
        since=time.time(),
        processes=0,
        workers=[],
        failures=0,
        again_at=None,
        last_error=_no_answer(pid),
        last_error_at=time.time(),
    )


def _no_answer(pid: int) -> str:
    return f"its master (pid {pid}) gives no answer{why_silent(pid)}"


def _ask_master(paths: Paths, name: str) -> ServerStatus | None:
    try:
        return ask(str(server_control(paths, name)), Status(), _server_status, masters.PATIENCE)
    except NoAnswer:  # down, or hung: the caller knows which, by its pid
        return None
