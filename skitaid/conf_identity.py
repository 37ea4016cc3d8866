"""`user` and `group` of a conf: whom workers run as."""

from __future__ import annotations

import grp
import os
import pwd

from skitaid.conf_keys import Values
from skitaid.errors import Complaints
from skitaid.supervisor.privileges import Identity, identity_of


def read(server: Values, complaints: Complaints) -> Identity | None:
    """None when workers stay what the master is. Only root can be somebody else."""
    user, group = server["user"], server["group"]
    gid = grp.getgrnam(group).gr_gid if group else None
    if not user and gid is None:
        return None
    entry = pwd.getpwnam(user) if user else _ourselves(server, complaints)
    if entry is None:
        return None
    identity = identity_of(entry, gid)
    if os.geteuid() == 0:
        if server["preload"] and identity.uid != 0:
            message = f"preload: root would import the apps, which are for {user}"
            complaints.add(server.line_of("preload"), message)
        return identity
    if identity.uid != os.geteuid():
        complaints.add(server.line_of("user"), f"user: only root can run workers as {user}")
    elif group and gid != os.getegid():
        complaints.add(server.line_of("group"), f"group: only root can give workers {group}")
    return None


def _ourselves(server: Values, complaints: Complaints) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:  # as in some containers
        message = f"group: it wants a user too, for user {os.geteuid()} has no name"
        complaints.add(server.line_of("group"), message)
        return None
