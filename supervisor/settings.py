"""What a master must know: its own few settings, and those it hands to its workers."""

from __future__ import annotations

import msgspec

from skitaid.supervisor.privileges import Identity
from skitaid.workers import settings as worker


class CannotLoad(Exception):
    """The conf cannot be read again. The message is for the operator."""


class Settings(msgspec.Struct, frozen=True):
    """One server of the fleet."""

    name: str
    ip: str  # "" means all interfaces, IPv4 and IPv6; "unix:PATH" a file, and port is 0
    port: int
    processes: int
    run_dir: str  # VAR/servers/NAME: pid file and control socket live here
    drain_timeout: float  # seconds a retiring worker may take before it is killed
    worker: worker.Settings
    boot_timeout: float = 60.0  # seconds from fork to ready; 0: no limit
    max_requests: int = 0  # after so many a worker is replaced; 0: never
    max_requests_jitter: int = 0  # up to so many more, another number for each worker
    max_rss: int = 0  # bytes; beyond it a worker is replaced; 0: never
    max_age: float = 0.0  # seconds; then a worker is replaced; 0: never
    preload: bool = False  # the master imports the apps, before it forks
    identity: Identity | None = None  # whom workers run as; None: as the master does
    umask: int = 0o022  # of workers
    unix_mode: int = 0o660  # of the file
    redirect_port: int = 0  # plain HTTP there is sent to https; 0: none

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens: first for what it is there for, then for the redirect."""
        first = (self.ip, self.port)
        return (first, (self.ip, self.redirect_port)) if self.redirect_port else (first,)
