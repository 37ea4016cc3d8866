"""Where the servers are that clients of the forward proxy ask for: the addresses allowed.

Runs on the loop. What is found here is what is connected to (see `clients.dial`), so what was
looked at cannot be another address than what is reached.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from skitaid.workers.clients.names import Names, Place, by_system

from .forward_rules import is_public


class Forbidden(OSError):
    """All addresses of a host are such that nobody may reach them by this proxy."""


def names(allowed: Iterable[str]) -> Names:
    """allowed: networks that may be reached although they are not public."""
    networks = [ip_network(each) for each in allowed]

    def may_reach(place: Place) -> bool:
        address = ip_address(str(place.address[0]).partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if any(mapped in network for network in networks):
            return True
        return is_public(str(address)) and not _is_own(place)

    async def look_up(host: str, port: int) -> list[Place]:
        places = [place for place in await by_system(host, port) if may_reach(place)]
        if not places:
            raise Forbidden(f"{host} has no address that may be reached by this proxy")
        return places

    return Names(look_up)


def _is_own(place: Place) -> bool:
    """Whether it is an address of this machine: only then can something be bound to it."""
    with socket.socket(place.family, socket.SOCK_STREAM) as sock:
        try:
            sock.bind((place.address[0], 0))
        except OSError:
            return False
        return True
