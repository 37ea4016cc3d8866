"""A trial that is under way, and who waits for it."""

from __future__ import annotations

import msgspec


class Trying(msgspec.Struct):
    """Whether a restart would come up."""

    kill_at: float | None  # when it takes too long; None when it was killed
    tickets: list[int]  # of the control socket
