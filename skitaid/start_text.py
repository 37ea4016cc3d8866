"""The answers of `start` and `restart` as people read them."""

from __future__ import annotations

import textwrap

from skitaid.status import ServerView


def up_line(server: ServerView) -> str:
    """A server that has come up, for `start`."""
    return f"{server.name} is ready at {server.address} (pid {server.pid})"


def down_text(server: ServerView) -> str:
    """A server that has not, with its reason."""
    return (
        f"{server.name} is not up ({server.state}):\n{textwrap.indent(server.last_error, '    ')}"
    )


def what_next(down: list[ServerView], fleet_runs: bool) -> str:
    """What becomes of servers that did not come up."""
    names = ", ".join(server.name for server in down)
    if not fleet_runs:
        return "no server came up, so skitaid does not run"
    return f"{names}: tried again after growing pauses, until skitaid stop {down[0].name}"
