"""A change of all workers that is under way, and who waits for its end."""

from __future__ import annotations

import msgspec
from msgspec import field


class Change(msgspec.Struct):
    """Begun by a reload or a restart; over when no worker of an older generation is left."""

    what: str  # "reload" or "restart", for messages
    total: int  # workers that were to be replaced when it began
    tickets: list[int] = field(default_factory=list)  # of the control socket
    told: str = ""  # the progress that those who wait were told last


class LastChange(msgspec.Struct, frozen=True):
    """One that is over. error: why it was abandoned, "" if it was not."""

    at: float  # monotonic
    error: str
