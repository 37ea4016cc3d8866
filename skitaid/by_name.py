"""What an operator wants of servers by their names, whoever runs them.

That is the fleet, or for those that run alone `skitaid serve`: then their masters are asked.
Blocks the command and raises `SkitaidError`, as `fleet.command` and `masters` do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skitaid import masters
from skitaid.fleet import command
from skitaid.fleet.records import FleetStatus
from skitaid.paths import Paths
from skitaid.pidfile import holder
from skitaid.places import server_pid


def stop(paths: Paths, names: Sequence[str], graceful: bool) -> None:
    """Comes back when their masters are gone."""
    alone, known = _alone(paths, names)
    of_fleet = [name for name in names if name in known or name not in alone]
    if of_fleet:  # first, or it might start its own in the place of one that runs alone
        command.stop_servers(paths, of_fleet, graceful)
    if alone:
        masters.stop(paths, alone, graceful)


def restart(
    paths: Paths, names: Sequence[str], told: Callable[[str], None]
) -> tuple[list[str], FleetStatus | None]:
    """Those that run alone, and how the fleet's are; without names all of the fleet."""
    alone, _ = _alone(paths, names)
    of_fleet = [name for name in names if name not in alone]
    outcome = command.restart(paths, of_fleet, told) if of_fleet or not names else None
    if alone:
        masters.restart(paths, alone, told)
    return alone, outcome


def rotate(paths: Paths, names: Sequence[str]) -> list[str]:
    """Who writes to new logs now. Without names it is "skitaid" (the fleet) and who runs alone."""
    alone, _ = _alone(paths, names or paths.enabled())
    of_fleet = [name for name in names if name not in alone]
    is_all = not names and (command.is_running(paths) or not alone)
    if of_fleet or is_all:
        command.rotate(paths, of_fleet)
    if alone:
        masters.rotate(paths, alone)
    return [*(["skitaid"] if is_all else of_fleet), *alone]


def _alone(paths: Paths, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those whose master is not the fleet's, and all that the fleet knows."""
    held = {name: holder(server_pid(paths, name)) for name in names}
    servers = command.status(paths).servers if command.is_running(paths) else []
    pids = {server.pid for server in servers}
    alone = [name for name, pid in held.items() if pid and pid not in pids]
    return alone, [server.name for server in servers]
