"""What a client's socket tells, and is told, past the transport."""

from __future__ import annotations

import asyncio
import select
import socket
import struct


def peer_address(transport: asyncio.BaseTransport) -> str:
    """The client's IP address, "" on a unix socket."""
    return ip_address(transport.get_extra_info("peername"))


def ip_address(peer: object) -> str:
    """The same of a socket's address, as the kernel tells it."""
    if not isinstance(peer, tuple):
        return ""
    address: str = peer[0]
    return address.removeprefix("::ffff:")  # IPv4 on a dual-stack listener


def has_bytes(transport: asyncio.BaseTransport) -> bool:
    """Whether something has arrived that the loop has not seen yet; its end counts too."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


def close_by_reset(transport: asyncio.BaseTransport) -> None:
    """Have its close sent as a reset: where neither length nor chunks tell the end of a response
    the end of the connection does (RFC 9112 section 6.3), and would tell a wrong one.

    Nothing for one that is closed, as the client's side of a tunnel may be before the other.
    """
    if transport.is_closing():
        return
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
