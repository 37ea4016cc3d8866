"""What one worker knows that is not in shared memory, as it tells it to whoever asks.

Records only. They cross processes as msgpack, so of one server and one moment only: a sibling
of another version, as in a restart in place, that cannot be understood counts as silent.
"""

from __future__ import annotations

import msgspec

from skitaid.workers.member_report import MemberReport

from .document import App, Cache, Certificate, Failure, InFlight, SlowRequest


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
