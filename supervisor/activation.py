"""A socket that a service manager has bound for us, as of sd_listen_fds(3)."""

from __future__ import annotations

import os
import socket

from skitaid.supervisor.listeners import CannotListen
from skitaid.supervisor.unix_listener import PREFIX

FIRST = 3  # the descriptor where they begin
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def given(ip: str, port: int) -> socket.socket | None:
    """The socket, if one was meant for this process. No child is told of it.

    Raises `CannotListen` if it is not one listening socket of the port that the conf has: what
    is said of a server, and what a reload compares, is the address in its conf.
    """
    is_ours = os.environ.get("LISTEN_PID") == str(os.getpid())
    number = os.environ.get("LISTEN_FDS", "")
    for name in VARIABLES:
        os.environ.pop(name, None)
    if not is_ours:
        return None
    if number != "1":
        raise CannotListen(f"LISTEN_FDS = {number}, but a server listens on one socket")
    try:
        listener = socket.socket(fileno=FIRST)
    except OSError as error:
        raise CannotListen(f"LISTEN_FDS: no socket is given: {error.strerror}") from error
    if wrong := _what_is_wrong(listener, ip, port):
        listener.close()
        raise CannotListen(f"LISTEN_FDS: {wrong}")
    listener.set_inheritable(False)
    listener.setblocking(False)
    return listener


def _what_is_wrong(listener: socket.socket, ip: str, port: int) -> str:
    is_listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if is_listening and listener.family == socket.AF_UNIX:
        bound = f"{PREFIX}{listener.getsockname()}"
        return "" if bound == ip else f"the socket given is {bound}, the conf has ip = {ip}"
    if not is_listening or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return "what is given is not a listening TCP or unix socket"
    bound = listener.getsockname()[1]
    return f"the socket given has port {bound}, the conf {port}" if bound != port else ""
