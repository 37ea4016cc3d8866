"""The listening socket: bound once by the master, inherited by every worker, never re-bound."""

from __future__ import annotations

import errno
import socket

import psutil

from skitaid.supervisor.title import MASTER_TITLE

BACKLOG = 4096  # connections the kernel keeps while workers are busy; it cuts at somaxconn


class CannotListen(Exception):
    """The address cannot be bound. The message is one sentence for the operator."""


def listen(ip: str, port: int) -> socket.socket:
    """A non-blocking listening socket. `ip` is an address, a name, or "" for all interfaces."""
    try:
        return _listen(ip, port) if ip else _listen_on_all(port)
    except socket.gaierror as error:
        raise CannotListen(f"ip = {ip} is not an address: {error.strerror}") from error
    except OSError as error:
        raise CannotListen(_why_not(ip, port, error)) from error


def _listen(ip: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(ip, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, sockaddr = found[0]
    return _listener(family, sockaddr)


def _listen_on_all(port: int) -> socket.socket:
    """IPv6 and IPv4 in one socket where the machine has both, else IPv4."""
    if socket.has_dualstack_ipv6():
        try:
            return _listener(socket.AF_INET6, ("::", port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:  # IPv6 is compiled in but switched off
                raise
    return _listener(socket.AF_INET, ("0.0.0.0", port))


def _listener(family: int, sockaddr: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sockaddr[0] != "::")
        sock.bind(sockaddr)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _why_not(ip: str, port: int, error: OSError) -> str:
    where = f"{ip or '*'}:{port}" if ":" not in ip else f"[{ip}]:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"cannot listen on {where}: {_holder(port)} already does"
        case errno.EACCES:
            return f"cannot listen on {where}: ports below 1024 need root"
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {where}: this machine has no such address"
        case _:
            return f"cannot listen on {where}: {error.strerror}"


def _holder(port: int) -> str:
    """Who listens on the port, as far as we are allowed to know."""
    try:
        pids = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
        }
        process = _master_of(psutil.Process(min(pid for pid in pids if pid)))
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
