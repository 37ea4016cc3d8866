"""One reply of a call that is looked for elsewhere: its member has answered with a redirect.

Runs on the loop, from the redirect to the reply that lands, or to the end of the call. Takes the
place of the `Leg` or `Choice` that it goes on for. `skitai.redirect` says where it goes; who is
asked there is a server named by a URL like any other, so a cluster is left with its first member
that leads out of it. A member that cannot be reached on the way has no substitute.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec.structs import replace

from skitai import redirect
from skitai.engine import Ask, Call, Origin, Reply
from skitai.redirect import NotFollowed
from skitai.results import Status

from .attempt import Attempt
from .cluster import ClusterMember
from .dial import Address
from .leg import Land, abandoned


class Journey:
    """reply: the redirect. member: who gave it. member_of: who answers for an origin."""

    __slots__ = (
        "_ask",
        "_attempt",
        "_call",
        "_followed",
        "_land",
        "_member",
        "_member_of",
        "_origin",
        "_reply",
    )

    def __init__(
        self,
        call: Call,
        reply: Reply,
        member: ClusterMember,
        member_of: Callable[[Origin], ClusterMember],
        land: Land,
    ) -> None:
        assert isinstance(call.ask, Ask)  # databases redirect nobody
        self._call = call
        self._ask = call.ask
        self._reply = reply
        self._member = member
        self._origin = _origin(member.keeper.address)
        self._member_of = member_of
        self._land = land
        self._followed = 0
        self._attempt: Attempt | None = None  # None: not started, or over

    def start(self) -> None:
        """Go where the reply says."""
        reply = self._reply
        try:
            code = int(reply.code)
            hop = redirect.hop(self._ask, self._origin, code, reply.fields, self._followed)
        except NotFollowed as error:
            self._land(
                self._call, replace(reply, status=Status.FAILED, msg=f"{reply.node} {error}")
            )
            return
        if hop is None:
            self._land(self._call, reply)
            return
        if hop.origin != self._origin:
            self._origin, self._member = hop.origin, self._member_of(hop.origin)
        self._ask = hop.ask
        self._followed += 1
        nodes, place = self._call.nodes, reply.member
        self._call.nodes = (*nodes[:place], self._member.node, *nodes[place + 1 :])
        self._attempt = Attempt(self, hop.ask, self._member, time.monotonic())
        self._attempt.start()

    def cancel(self, now: float) -> None:
        """Give up; nothing lands."""
        if self._attempt is not None:
            self._attempt.give_up(now)
            self._attempt = None

    def give_up(self, now: float) -> None:
        """Give up, and say so to whoever may ask later."""
        if self._attempt is not None:
            self.cancel(now)
            place, retries = self._reply.member, self._reply.retries
            reply = abandoned(self._call, place, self._member.node, now, retries)
            self._land(self._call, reply)

    def ended(self, attempt: Attempt, now: float) -> None:
        """`Asker`."""
        self._attempt = None
        self._reply = replace(
            self._reply,
            node=self._member.node,
            status=attempt.status,
            code=attempt.code,
            msg=attempt.msg,
            fields=attempt.fields,
            body=attempt.body,
            elapsed=now - self._call.sent_at,
        )
        self.start()


def _origin(address: Address) -> Origin:
    """As a Location may name the member; a unix socket goes by the name in its Host line."""
    tls = address.tls is not None
    if address.unix:
        return Origin("localhost", 443 if tls else 80, tls)
    return Origin(address.host, address.port, tls)
