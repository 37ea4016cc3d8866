"""What one worker knows that is not in shared memory, as it tells it to whoever asks.

Records only. They cross processes as msgpack, so of one server and one moment only: a sibling
of another version, as in a restart in place, that cannot be understood counts as silent.
"""

from __future__ import annotations

import msgspec

from .document import App, Cache, Certificate, Failure, InFlight, Pool, SlowRequest


class MemberReport(msgspec.Struct, frozen=True):
    """One member of a cluster, as this worker sees it."""

    node: str
    state: str  # as in `document.Member`
    weight: int
    in_flight: int
    ewma: float
    ejections: int
    ejected_for: float
    last_error: str
    last_error_at: float | None
    pool: Pool


class ClusterReport(msgspec.Struct, frozen=True):
    """A cluster, as this worker sees it."""

    name: str
    balance: str
    budget_left: int
    members: list[MemberReport]


class WorkerReport(msgspec.Struct, frozen=True):
    """All of it."""

    ordinal: int
    running: int
    parked: int
    queued: int
    cpu: float  # seconds
    rss: int
    clusters: list[ClusterReport]
    databases: list[ClusterReport]
    cache: Cache
    slow: list[SlowRequest]
    errors: list[Failure]
    apps: list[App]
    tls: list[Certificate]


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(WorkerReport).decode
decode_in_hand = msgspec.msgpack.Decoder(list[InFlight]).decode
