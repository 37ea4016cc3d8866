"""How a member is, as one worker sees it: what the worker says when it is asked.

The same record for the command line, a status page and apps (`was.clusters`);
`clients/reporting.py` makes it, and the master sums up those of all workers.
"""

from __future__ import annotations

import msgspec

from .standing import State

PAGE = (
    50  # members in one packet of the control pipe, with the longest names and errors there may be
)
ERROR_MAX = 200  # characters of a last error


class MemberReport(msgspec.Struct, frozen=True):
    """Of one member, at one moment."""

    node: str
    state: State  # what the operator wants
    weight: int
    in_flight: int  # calls to it that are not answered yet
    latency: float  # seconds, the moving average that balances; 0.0 before the first answer
    ejections: int  # since the worker began
    ejected_for: float  # seconds until it is tried again; 0.0 if it is not ejected
    is_down: bool  # its checks say so
    last_error: str  # a sentence; "" is never
    last_error_at: float  # Unix time
    idle: int  # connections that wait for a call
    busy: int  # connections with a call
    opening: int  # connections on their way
    waiting: int  # calls that wait for a connection
    cap: int  # connections that there may be
    opened: int = 0  # connections so far; this and the next two of databases only
    closed_by_age: int = 0  # connections so far, see `max_lifetime`
    waited: int = 0  # calls that have found no connection free

    @property
    def address(self) -> str:
        """The same as `node`, as apps know it."""
        return self.node

    @property
    def is_ejected(self) -> bool:
        """It has failed, and is left alone for a while."""
        return self.ejected_for > 0.0
