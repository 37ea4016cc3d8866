"""What a master must know: its own few settings, and those it hands to its workers."""

from __future__ import annotations

from dataclasses import dataclass

from skitaid.workers import settings as worker


class CannotLoad(Exception):
    """The conf cannot be read again. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One server of the fleet."""

    name: str
    ip: str  # "" means all interfaces, IPv4 and IPv6
    port: int
    processes: int
    run_dir: str  # VAR/servers/NAME: pid file and control socket live here
    drain_timeout: float  # seconds a retiring worker may take before it is killed
    worker: worker.Settings
