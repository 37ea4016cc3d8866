"""The listening socket: bound once by the master, inherited by every worker, never re-bound."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence

import psutil

from skitaid.supervisor.overlap import share, unshare
from skitaid.supervisor.privileges import Identity
from skitaid.supervisor.title import MASTER_TITLE
from skitaid.supervisor.unix_listener import PREFIX, open_unix, remove_if_ours
from skitaid.workers.backlog import BACKLOG


class CannotListen(Exception):
    """The address cannot be bound. The message is one sentence for the operator."""


def listen(
    ip: str,
    port: int,
    beside: Sequence[socket.socket] = (),
    mode: int = 0o660,
    identity: Identity | None = None,
) -> socket.socket:
    """A non-blocking listening socket. `ip` is an address, a name, or "" for all interfaces; or
    "unix:PATH" for a file with this mode, that belongs to this identity.

    `beside`: sockets of this process with the same port. If the address overlaps with theirs, the
    new socket is only bound, and listens when a worker makes it (`overlap`). Raises `CannotListen`.
    """
    if ip.startswith(PREFIX):
        return _listen_unix(ip, mode, identity)
    try:
        return _open(ip, port, is_beside=False)
    except socket.gaierror as error:
        raise CannotListen(f"ip = {ip} is not an address: {error.strerror}") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not beside:
            raise CannotListen(_why_not(ip, port, error)) from error
    share(beside)
    try:
        return _open(ip, port, is_beside=True)
    except OSError as error:
        unshare(beside)
        raise CannotListen(_why_not_beside(ip, port, error)) from error


def try_to_listen(ip: str, port: int) -> None:
    """Whether one could, at this moment. Raises `CannotListen`."""
    with listen(ip, port):
        let_go(ip)


def let_go(ip: str) -> None:
    """To be called before the last socket of an address is closed."""
    if ip.startswith(PREFIX):
        remove_if_ours(ip.removeprefix(PREFIX))


def _listen_unix(ip: str, mode: int, identity: Identity | None) -> socket.socket:
    path = ip.removeprefix(PREFIX)
    try:
        return open_unix(path, mode, identity)
    except OSError as error:
        reason = error.strerror
        if error.errno == errno.EADDRINUSE:
            is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
            reason = "another process already does" if is_socket else "that is no socket"
        raise CannotListen(f"cannot listen on {ip}: {reason}") from error


def _open(ip: str, port: int, *, is_beside: bool) -> socket.socket:
    if not ip:
        return _open_on_all(port, is_beside)
    found = socket.getaddrinfo(ip, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, sockaddr = found[0]
    return _listener(family, sockaddr, is_beside)


def _open_on_all(port: int, is_beside: bool) -> socket.socket:
    """IPv6 and IPv4 in one socket where the machine has both, else IPv4."""
    if socket.has_dualstack_ipv6():
        try:
            return _listener(socket.AF_INET6, ("::", port), is_beside)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:  # IPv6 is compiled in but switched off
                raise
    return _listener(socket.AF_INET, ("0.0.0.0", port), is_beside)


def _listener(family: int, sockaddr: tuple[object, ...], is_beside: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sockaddr[0] != "::")
        if is_beside:
            share([sock])
        sock.bind(sockaddr)
        if not is_beside:
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _why_not(ip: str, port: int, error: OSError) -> str:
    where = _where(ip, port)
    match error.errno:
        case errno.EADDRINUSE:
            return f"cannot listen on {where}: {_holder(_pids(port))} already does"
        case errno.EACCES:
            return f"cannot listen on {where}: ports below 1024 need root"
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {where}: this machine has no such address"
        case _:
            return f"cannot listen on {where}: {error.strerror}"


def _why_not_beside(ip: str, port: int, error: OSError) -> str:
    """Somebody else is in the way, or a socket of ours that another user has made for us."""
    us = psutil.Process()
    others = _pids(port) - {us.pid, *(child.pid for child in us.children())}
    if error.errno != errno.EADDRINUSE or others:
        reason = f"{_holder(others)} already does" if others else error.strerror
        return f"cannot listen on {_where(ip, port)}: {reason}"
    return (
        f"cannot listen on {_where(ip, port)} beside the address of the same port that this"
        " server has now; stop and start it"
    )


def _where(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip or '*'}:{port}"


def _pids(port: int) -> set[int]:
    """Of those who listen on the port, as far as we are allowed to know."""
    try:
        return {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        }
    except (psutil.Error, PermissionError):
        return set()


def _holder(pids: set[int]) -> str:
    try:
        process = _master_of(psutil.Process(min(pids)))
        return f"{_title(process)} (pid {process.pid})"
    except (psutil.Error, PermissionError, ValueError):  # another user's, or gone just now
        return "another process"


def _master_of(process: psutil.Process) -> psutil.Process:
    """Of our own servers the master is the one to stop, though its workers listen as well."""
    parent = process.parent()
    return parent if parent and _title(parent).startswith(MASTER_TITLE) else process


def _title(process: psutil.Process) -> str:
    """The name; whole, where the process gave itself one that the kernel has cut to 15 bytes."""
    name, command = process.name(), process.cmdline()
    return command[0].strip() if command and command[0].startswith(name) else name
