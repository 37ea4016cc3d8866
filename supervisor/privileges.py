"""Whom workers run as.

A master that is root binds the address and keeps its rights, to fork the next worker and to bind
the next address; workers give theirs up before they load any app, and for good. Their logs are
theirs: they rotate them. In a directory of somebody else's root must not follow links. The
directories above belong to who runs the master, and everybody may enter them.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """A user, by name for the groups that he is in, and the group of what he makes."""

    user: str
    uid: int
    gid: int
    home: str


def identity_of(entry: pwd.struct_passwd, gid: int | None = None) -> Identity:
    """Of a user, with his own group unless another is given."""
    own = entry.pw_gid if gid is None else gid
    return Identity(entry.pw_name, entry.pw_uid, own, entry.pw_dir)


def let_others_enter() -> None:
    """What this process makes from now on, whatever umask it was started with.

    Workers of another user have to pass through its directories. What is not for everybody, logs
    and control sockets, is made with a mode of its own.
    """
    os.umask(0o022)


def become(identity: Identity | None, umask: int) -> None:
    """This process is theirs from now on. None: it stays as it is, but for the umask.

    Raises `OSError` if the kernel refuses; then nothing may be run here.
    """
    os.umask(umask)
    if identity is None:
        return
    os.initgroups(identity.user, identity.gid)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    # Libraries look for their files in HOME, and fail where they may not even look.
    os.environ.update(HOME=identity.home, USER=identity.user, LOGNAME=identity.user)


def hand_over_logs(identity: Identity | None, directory: str) -> None:
    """Let them write to the logs in `directory`, which is made if it is not there."""
    if identity is None or not directory:
        return
    os.makedirs(directory, exist_ok=True)
    logs = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(logs, identity.uid, identity.gid)
        for name in os.listdir(logs):
            with suppress(FileNotFoundError):  # rotated just now
                _hand_over(identity, name, logs)
    finally:
        os.close(logs)


def _hand_over(identity: Identity, name: str, directory: int) -> None:
    """Of a link it is the link that changes hands. What has another name elsewhere does not."""
    if os.stat(name, dir_fd=directory, follow_symlinks=False).st_nlink == 1:
        os.chown(name, identity.uid, identity.gid, dir_fd=directory, follow_symlinks=False)
