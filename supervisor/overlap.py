"""Two sockets of one server whose addresses overlap, as *:5000 and 127.0.0.1:5000 in a reload.

Linux binds the second only if both have SO_REUSEPORT at that moment and were made by the same user.
So the first one gets it for as long as there are both. A socket of anybody else has not got it, and
its port is taken as ever.

Of two that listen the one with the more specific address gets a connection. Therefore

- the new one does not listen until a worker is there that accepts, which sees to that itself: what
  came to it before would be lost if no worker ever boots;
- the old one is muted before its last worker drains it: what came between the last look into its
  queue and its end would be lost. From then on connections go to the new one.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable

SO_BINDTOIFINDEX = 62  # of Linux; Python has no name for it
NO_INTERFACE = 2**31 - 1  # indexes count from 1

log = logging.getLogger(__name__)


def share(sockets: Iterable[socket.socket]) -> None:
    """Another socket that shares, too, may be bound to an address that overlaps with theirs."""
    _set_shared(sockets, True)


def unshare(sockets: Iterable[socket.socket]) -> None:
    """No further one may be."""
    _set_shared(sockets, False)


def mute(listener: socket.socket) -> None:
    """No connection comes any more, in no process; those that have come can be accepted.

    Only what arrives by the interface that a socket is bound to reaches it, and this one's is none.
    """
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
    except OSError as error:  # a kernel before 5.7, where that is for root
        log.warning("connections of just this moment may be lost: %s", error.strerror)


def _set_shared(sockets: Iterable[socket.socket], yes: bool) -> None:
    for each in sockets:
        if each.family == socket.AF_UNIX:
            continue
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, yes)
