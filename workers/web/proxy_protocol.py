"""The header of a PROXY protocol connection: who is behind the proxy. Pure.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, versions 1 and 2. A proxy sends it
before anything of the client's, also before the handshake of TLS. Its law:

- It eats what belongs to the header, to the byte, and nothing behind it.
- What cannot be a header is refused as early as that can be known. Nothing is guessed: who is
  expected to send one and does not is refused.
- What a proxy says of itself (LOCAL) or does not know (UNKNOWN, UNSPEC) names nobody: then the
  connection's own address counts. So it is for what has no IP address: sockets of the client's own
  machine, and datagrams.
- The values behind the addresses (TLVs) are skipped as they come; they are never held.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

V1_MAX = 107  # bytes, with the line end (section 2.1)
V2_HEADER = 16  # bytes (section 2.2)
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V1_SIGNATURE = b"PROXY "
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
# How much of the addresses there has to be, by family and transport.
_SIZES = {0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
_KEPT = V2_HEADER + 16  # bytes, up to the end of a source address

_PORT = "(0|[1-9][0-9]{0,4})"
_V1 = re.compile(rf"PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) {_PORT} {_PORT}\r\n")
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN[^\r\n]*\r\n")


class NoHeader(Exception):
    """What came is no header of the protocol."""


class Header:
    """One at its arrival.

    is_complete: nothing more is eaten. address: of the client behind the proxy, in its usual form;
    "" if the header names none.
    """

    __slots__ = ("_kept", "_left", "address", "is_complete")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._left = -1  # bytes still to come of a version 2 header; -1: not known yet
        self.address = ""
        self.is_complete = False

    def feed(self, data: bytes) -> int:
        """How many of these bytes, from the first one on, belong to it. Raises NoHeader."""
        eaten = 0
        while not self.is_complete and eaten < len(data):
            first = self._kept[:1] or data[:1]
            eat = self._eat_v1 if first == b"P" else self._eat_v2
            eaten += eat(data[eaten:])
        return eaten

    def _eat_v1(self, data: bytes) -> int:
        end = data.find(b"\n") + 1
        line = data[:end] if end else data
        self._kept += line
        if len(self._kept) > V1_MAX:
            raise NoHeader(f"a version 1 header is at most {V1_MAX} bytes long")
        if not (_V1_SIGNATURE.startswith(self._kept) or self._kept.startswith(_V1_SIGNATURE)):
            raise NoHeader("it does not begin with PROXY")
        if end:
            self.address = _v1_address(bytes(self._kept))
            self.is_complete = True
        return len(line)

    def _eat_v2(self, data: bytes) -> int:
        if self._left < 0:
            return self._eat_v2_header(data)
        piece = data[: self._left]
        self._kept += piece[: _KEPT - len(self._kept)]
        self._left -= len(piece)
        if not self._left:
            self._finish_v2()
        return len(piece)

    def _eat_v2_header(self, data: bytes) -> int:
        piece = data[: V2_HEADER - len(self._kept)]
        self._kept += piece
        if not (V2_SIGNATURE.startswith(self._kept[:12]) or self._kept.startswith(V2_SIGNATURE)):
            raise NoHeader("it begins with no signature of the protocol")
        if len(self._kept) == V2_HEADER:
            command, family = self._kept[12], self._kept[13]
            self._left = int.from_bytes(self._kept[14:16], "big")
            if command not in (_LOCAL, _PROXY):
                raise NoHeader(f"version and command are 0x{command:02x}")
            if command == _PROXY and self._left < _SIZES.get(family, 0xFFFFFF):
                raise NoHeader(f"family 0x{family:02x} with {self._left} bytes of addresses")
            if not self._left:
                self._finish_v2()
        return len(piece)

    def _finish_v2(self) -> None:
        self.is_complete = True
        command, family = self._kept[12], self._kept[13]
        if command == _LOCAL:
            return
        if family == _TCP4:
            self.address = str(IPv4Address(bytes(self._kept[16:20])))
        elif family == _TCP6:
            self.address = _usual(IPv6Address(bytes(self._kept[16:32])))


def _v1_address(line: bytes) -> str:
    if _V1_UNKNOWN.fullmatch(line):
        return ""
    found = _V1.fullmatch(line.decode("latin-1"))
    if not found:
        raise NoHeader("it is no line as PROXY TCP4 192.0.2.1 192.0.2.2 4711 443")
    version = int(found[1])
    try:
        addresses = [ip_address(each) for each in found.group(2, 3)]
    except ValueError as error:
        raise NoHeader(str(error)) from None
    if {each.version for each in addresses} != {version}:
        raise NoHeader(f"an address is not of TCP{version}")
    if any(int(port) > 0xFFFF for port in found.group(4, 5)):
        raise NoHeader("a port is larger than 65535")
    return _usual(addresses[0])


def _usual(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
