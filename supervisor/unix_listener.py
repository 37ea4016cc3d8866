"""A listening socket that is a file: who may connect is a matter of its mode.

Runs in the master. A file that nobody listens behind is what a server has left that was killed, and
is replaced; one that somebody listens behind is his. The file goes with the server, and stays as
long as the socket is handed on, by reloads and by restarts.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct

from skitaid.supervisor.privileges import Identity
from skitaid.supervisor.unix_path import short_path
from skitaid.workers.backlog import BACKLOG

PREFIX = "unix:"  # of an `ip` that is a file


def open_unix(path: str, mode: int, identity: Identity | None) -> socket.socket:
    """A non-blocking listening socket. Raises OSError; `EADDRINUSE` if somebody listens there.

    identity: whose the file shall be; None: whoever runs the master.
    """
    try:
        return _bind(path, mode, identity)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _is_left_over(path):
            raise
    os.unlink(path)
    return _bind(path, mode, identity)


def remove_if_ours(path: str) -> None:
    """Remove the file, if it is a socket of this process that listens behind it.

    Of one that somebody else has made for us, as systemd does, the file is his.
    """
    if _listener_of(path) == os.getpid():
        os.unlink(path)


def _bind(path: str, mode: int, identity: Identity | None) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), mode)  # on Linux the file is created with the socket's mode
        before = os.umask(0)
        try:
            with short_path(path) as short:
                listener.bind(short)
        finally:
            os.umask(before)
        if identity is not None:
            os.chown(path, identity.uid, identity.gid, follow_symlinks=False)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _is_left_over(path: str) -> bool:
    return stat.S_ISSOCK(os.lstat(path).st_mode) and _listener_of(path) is None


def _listener_of(path: str) -> int | None:
    """The pid of who began to listen behind the file; 0 if that is not told, None for nobody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            with short_path(path) as short:
                caller.connect(short)
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except OSError:  # its queue is full, or we may not
            return 0
        told = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, _, _ = struct.unpack("3i", told)
        return int(pid)
