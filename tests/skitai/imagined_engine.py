"""An `Engine` without sockets: replies come as the test has written them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from skitai.engine import Bundle, Call, Origin, Reply, Wish
from skitai.errors import UnknownCluster
from skitai.results import Status

Replies = list[Reply]


def reply(
    body: bytes = b"",
    kind: str = "text/plain",
    *,
    member: int = 0,
    code: int = 200,
    status: Status = Status.NORMAL,
    msg: str = "",
) -> Reply:
    """What came of asking one member; kind: the Content-Type, "" for none."""
    fields = ((b"Content-Type", kind.encode("latin-1")),) if kind else ()
    return Reply(member, f"s{member}:80", status, code, msg, fields, body, 0.25)


@dataclass
class ImaginedEngine:
    """members: of its cluster "all". lands: what lands during each wait, one list for each; of
    several calls the members are counted on from one to the next.

    A wait returns when its list has landed: True if that was enough. When the lists are used
    up, the deadline passes.
    """

    members: int = 1
    lands: list[Replies] = field(default_factory=list)
    sent: list[Call] = field(default_factory=list)
    cancelled: list[Call] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)

    def send(self, call: Call) -> None:
        if isinstance(call.target, Origin):
            call.nodes = (call.target.node,)
        elif call.target.cluster == "all":
            call.nodes = tuple(f"s{index}:80" for index in range(self.members))
        else:
            raise UnknownCluster("there is only all")
        self.sent.append(call)

    def cancel(self, call: Call) -> None:
        self.cancelled.append(call)

    def give_up(self, call: Call) -> None:
        call.is_given_up = True
        self.cancelled.append(call)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(coroutine)

    def wait(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        self.wanted.append(wanted)
        self.deadlines.append(deadline)
        calls = call.calls if isinstance(call, Bundle) else (call,)
        if self.lands:
            for reply in self.lands.pop(0):
                place, member = divmod(reply.member, self.members)
                calls[place].replies.append(replace(reply, member=member))
        return call.landed >= wanted

    def want(self, wish: Wish) -> None:
        self.wishes.append(wish)

    async def wait_async(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        return self.wait(call, wanted, deadline)
