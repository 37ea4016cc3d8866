"""What an operator has said of one member while the server runs: `skitaid cluster`.

A record that the master keeps and its workers go by. It is absolute, so it does not matter how
often a worker hears it, nor what it heard before.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class State(Enum):
    """Whether a member is asked."""

    ENABLED = "enabled"
    DRAINED = "drained"  # no new calls; those that are out are answered
    DISABLED = "disabled"  # nothing; calls that are out are cut off


class Standing(msgspec.Struct, frozen=True):
    """Of one member.

    node: as in results, "host:port" or "unix:path". weight: 0 is what the conf says.
    """

    cluster: str
    node: str
    state: State = State.ENABLED
    weight: int = 0

    @property
    def is_as_in_conf(self) -> bool:
        """Nothing is to be kept in mind."""
        return self.state is State.ENABLED and not self.weight
