"""One question about the members of a cluster, until all workers have answered it."""

from __future__ import annotations

import msgspec
from msgspec import field

from skitaid.workers.member_report import MemberReport


class Inquiry(msgspec.Struct):
    """until: of the master's clock; then it is answered with what is there."""

    asked: set[int]  # serials of the workers that were asked
    until: float
    total: int = 0  # members, as the worker says that has most
    reports: dict[int, list[MemberReport]] = field(default_factory=dict)  # by serial

    @property
    def missing(self) -> set[int]:
        """Workers that have not answered."""
        return self.asked - self.reports.keys()
