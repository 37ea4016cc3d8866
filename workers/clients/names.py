"""Where the servers of this worker's calls are: names looked up, and remembered for a short time.

Runs on the loop; the lookups themselves go to threads of the loop, as the system's resolver
blocks. A name is looked up once at a time, however many wait for it, and not again for `FRESH`
seconds: so a server that moves is found again soon, and a burst of connections asks once.
What was known last is still used when a lookup fails: a resolver may be down while the server is
up.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from itertools import chain, zip_longest
from typing import Any, NamedTuple

FRESH = 30.0  # seconds
KNOWN_MAX = 1024  # names, in the order in which they were looked up


class Place(NamedTuple):
    """One address that a name has, as `socket.connect` takes it."""

    family: int
    address: tuple[Any, ...]


class _Known(NamedTuple):
    places: list[Place]
    until: float  # monotonic


LookUp = Callable[[str, int], Awaitable[list[Place]]]
Server = tuple[str, int]  # host and port


class Names:
    """look_up: how a name is looked up; raises OSError. The system's resolver if left out."""

    def __init__(self, look_up: LookUp | None = None) -> None:
        self._look_up = look_up or by_system
        self._known: dict[Server, _Known] = {}
        self._lookups: dict[Server, asyncio.Task[list[Place]]] = {}

    async def places(self, host: str, port: int) -> list[Place]:
        """At least one, in the order in which they are to be tried. Raises OSError."""
        server = (host, port)
        known = self._known.get(server)
        if known is not None and time.monotonic() < known.until:
            return known.places
        lookup = self._lookups.get(server)
        if lookup is None:
            lookup = self._lookups[server] = asyncio.ensure_future(self._look(server))
            lookup.add_done_callback(lambda task: self._done(server, task))
        try:
            return await asyncio.shield(lookup)
        except OSError:
            if known is None:
                raise
            return known.places

    def doubt(self, host: str, port: int) -> None:
        """None of its places could be reached: the next one who asks has it looked up anew."""
        known = self._known.get((host, port))
        if known is not None:
            self._known[host, port] = known._replace(until=0.0)

    async def _look(self, server: Server) -> list[Place]:
        places = await self._look_up(*server)
        self._known.pop(server, None)
        while len(self._known) >= KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[server] = _Known(places, time.monotonic() + FRESH)
        return places

    def _done(self, server: Server, lookup: asyncio.Task[list[Place]]) -> None:
        del self._lookups[server]
        if not lookup.cancelled():
            lookup.exception()  # everybody who waited may have left


async def by_system(host: str, port: int) -> list[Place]:
    """What the system's resolver says, in the order in which places are to be tried.

    Asked in a thread. Raises OSError, or ValueError for what cannot be a name.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return in_turn([Place(family, address) for family, _, _, _, address in found])


def in_turn(places: list[Place]) -> list[Place]:
    """The families by turns, each in its order: one that is out delays by one try (RFC 8305)."""
    first = [place for place in places if place.family == places[0].family]
    others = [place for place in places if place.family != places[0].family]
    mixed = chain.from_iterable(zip_longest(first, others))
    return [place for place in mixed if place is not None]
