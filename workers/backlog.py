"""The kernel's queue of connections that nobody has accepted yet."""

from __future__ import annotations

import socket

BACKLOG = 4096  # connections; the kernel cuts at somaxconn


def open_backlog(listener: socket.socket) -> None:
    """Let connections come to a bound socket, if they do not yet.

    Raises OSError if another program listens on a part of its address by now.
    """
    if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        host, port, *_ = listener.getsockname()
        message = f"cannot listen on {host}, port {port}: {error.strerror}"
        raise OSError(error.errno, message) from None
