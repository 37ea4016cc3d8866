"""What the workers of servers are doing at this moment, as they say when they are asked.

    {"requests": [{"server": "web", "worker": 0, "age": 12.5, "id": "5f2a9c-1b", "method": "GET",
                   "uri": "/search", "handler": "webapp.search", "state": "waiting",
                   "doing": "waits for 10.0.0.7:5000 (2 answered)"}],
     "silent": [{"server": "web", "worker": 1}]}

`state` is queued (for a handler thread), running, waiting, or "on the loop". `silent` are workers
whose event loop has not answered within a second.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from skitaid import masters
from skitaid.errors import SkitaidError
from skitaid.paths import Paths
from skitaid.workers import control
from skitaid.workers.admin.document import InFlight
from skitaid.workers.admin.report import decode_in_hand


class InHand(msgspec.Struct, frozen=True):
    """One request."""

    server: str
    worker: int
    age: float  # seconds since its first byte
    id: str
    method: str
    uri: str
    handler: str
    state: str
    doing: str


class Silent(msgspec.Struct, frozen=True):
    """A worker that gives no answer."""

    server: str
    worker: int


class Top(msgspec.Struct, frozen=True):
    """The whole answer."""

    requests: list[InHand]  # the oldest first
    silent: list[Silent]


def top(paths: Paths, names: Sequence[str]) -> Top:
    """Of these servers, or of all that run. Raises `SkitaidError` if one does not answer."""
    chosen = list(names) or masters.running(paths)
    if not chosen:
        raise SkitaidError("no server is running; skitaid start starts all enabled servers")
    requests: list[InHand] = []
    silent: list[Silent] = []
    for name in chosen:
        answers, told = masters.inquire(paths, name, control.InHand())
        for data in told.values():
            requests += [_of_server(name, each) for each in decode_in_hand(data)]
        silent += [Silent(name, ordinal) for ordinal in answers.silent]
    return Top(sorted(requests, key=lambda each: -each.age), silent)


def stacks(paths: Paths, name: str) -> str:
    """Where all threads of all workers are. Raises `SkitaidError` if the server does not answer."""
    answers, told = masters.inquire(paths, name, control.Stacks())
    pids = {each.ordinal: each.pid for each in answers.facts.workers}
    parts = [
        f"=== worker {ordinal} (pid {pids.get(ordinal, 0)}): {data.decode()}"
        for ordinal, data in sorted(told.items())
    ]
    parts += [
        f"=== worker {ordinal} (pid {pids.get(ordinal, 0)}) gives no answer within a second, so"
        " something keeps its interpreter from running; what the system can tell is in server.log"
        for ordinal in answers.silent
    ]
    return "\n\n".join(parts) or "no worker is running"


def _of_server(name: str, each: InFlight) -> InHand:
    return InHand(
        name,
        each.worker,
        each.age,
        each.id,
        each.method,
        each.uri,
        each.handler,
        each.state,
        each.doing,
    )
