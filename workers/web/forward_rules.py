"""What a forward proxy is asked for, and whether it may be had. Pure.

Clients of a proxy can reach what the proxy can, and must not reach more by it than by themselves:
addresses that are private, of the link, or of the machine itself are refused, as are ports whose
services would take a request for commands of theirs. What counts is the address that a name has,
and that is also what is connected to: a name may have another address a moment later.

IPv6 addresses that stand for one of IPv4 (mapped, NAT64, 6to4) are judged as that one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

_LABEL = rb"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_HOST = re.compile(
    rb"(%b(?:\.%b)*\.?|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?" % (_LABEL, _LABEL)
)
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052 section 2.1
_NAT64_LOCAL = ip_network("64:ff9b:1::/48")  # RFC 8215: of a network of somebody's own
_HOST_MAX = 255  # bytes of a name

# Below them are mail, remote shells, databases of old; a body may hold lines that those obey.
# Squid's list of ports that are safe has some more that nobody has had for long.
FREE_PORTS = 1024
WEB_PORTS = (80, 443)


class Odd(ValueError):
    """No target that a proxy has. The text says why."""


class Target(NamedTuple):
    """Whom to ask, and for what.

    host: a name, or an address without brackets. authority: host and port as they came.
    origin_form: path and query (RFC 9112 section 3.2.1); b"" for CONNECT.
    """

    host: str
    port: int
    is_tls: bool
    authority: bytes
    origin_form: bytes


def connect_target(target: bytes) -> Target:
    """Of CONNECT (RFC 9112 section 3.2.3): a host and a port, nothing else. Raises Odd."""
    host, port = _split(target)
    if port is None:
        raise Odd("CONNECT wants a host and a port.")
    return Target(host, port, False, target, b"")


def absolute_target(target: bytes) -> Target:
    """Of another method (section 3.2.2): an http or https URL. Raises Odd."""
    scheme, colon, rest = target.partition(b"://")
    is_tls = scheme.lower() == b"https"
    if not colon or (not is_tls and scheme.lower() != b"http"):
        raise Odd("This proxy asks for http and https URLs.")
    end = next((at for at, byte in enumerate(rest) if byte in b"/?#"), len(rest))
    authority, path = rest[:end], rest[end:]
    if b"#" in path or any(byte <= 32 or byte == 127 for byte in path):
        raise Odd("The URL has a fragment, or a blank.")
    host, port = _split(authority)
    path = path if path.startswith(b"/") else b"/" + path
    return Target(host, port or (443 if is_tls else 80), is_tls, authority, path)


def _split(authority: bytes) -> tuple[str, int | None]:
    found = _HOST.fullmatch(authority)
    if not found or len(found[1]) > _HOST_MAX:
        raise Odd("This is no host that one could ask.")
    port = int(found[2]) if found[2] else None
    if port is not None and not 1 <= port <= 65535:
        raise Odd("The port is none.")
    return found[1].decode("ascii").strip("[]").lower(), port


def may_connect(port: int, connect_ports: Collection[int]) -> bool:
    """Whether there may be a tunnel to this port."""
    return port in connect_ports


def may_ask(port: int, connect_ports: Collection[int]) -> bool:
    """Whether HTTP may be spoken with this port."""
    return port in WEB_PORTS or port >= FREE_PORTS or port in connect_ports


def is_public(text: str) -> bool:
    """Whether everybody reaches the same by this IP address."""
    address = _plain(ip_address(text.partition("%")[0]))
    if isinstance(address, IPv6Address) and (address.is_site_local or address in _NAT64_LOCAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that one of IPv6 stands for, else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[12:])
    return address.ipv4_mapped or address.sixtofour or address
