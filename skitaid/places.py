"""The files of running servers and of the fleet. All are below VAR:

    lock/pid, control, logs/skitaid.log               the fleet
    servers/NAME/ lock/pid, control, logs/server.log  a server

Nothing is created here.
"""

from __future__ import annotations

from pathlib import Path

from skitaid.paths import Paths
from skitaid.supervisor.master import control_path


def fleet_pid(paths: Paths) -> Path:
    return paths.var / "lock" / "pid"


def fleet_control(paths: Paths) -> Path:
    return paths.var / "control"


def fleet_log(paths: Paths) -> Path:
    return paths.var / "logs" / "skitaid.log"


def server_pid(paths: Paths, name: str) -> Path:
    return paths.run_dir(name) / "lock" / "pid"


def server_control(paths: Paths, name: str) -> Path:
    return Path(control_path(str(paths.run_dir(name))))


def server_log(paths: Paths, name: str) -> Path:
    return paths.run_dir(name) / "logs" / "server.log"
