"""Making a connection to a PostgreSQL server, by psycopg: names, TCP, TLS, login."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import psycopg

from skitai.engine import DatabaseServer
from skitaid.workers.settings import DatabaseAccess

from .pg_connection import plain

Raw = psycopg.AsyncConnection[Any]
Work = Coroutine[Any, Any, None]

# What trying again does not mend: wrong password, no such role, no such database, no permission.
FINAL = frozenset({"28P01", "28000", "3D000", "42501"})

# libpq does not give the SQLSTATE of a refused login away, only the text; so this is a guess that
# holds as long as the server speaks English.
_STATES = {
    "password authentication failed": "28P01",
    "authentication failed": "28000",
    "no pg_hba.conf entry": "28000",
    "no password supplied": "28P01",
    "too many clients": "53300",
    "too many connections": "53300",
    "remaining connection slots": "53300",
    "no more connections allowed": "53300",
    "the database system is": "57P03",
    "permission denied": "42501",
    "terminating connection due to administrator command": "57P01",
}


def parameters(
    server: DatabaseServer, access: DatabaseAccess, application: str
) -> dict[str, str | int]:
    """For `dial`. Holds the password: not to be shown."""
    given: dict[str, str | int] = {
        "host": server.unix or server.host,
        "port": server.port,
        "dbname": server.name,
        "user": server.user,
        "client_encoding": "UTF8",
        "application_name": application,
        "gssencmode": "disable",  # or each connection begins by asking for it
        # A server that has gone without a word is noticed within a minute, not within two hours.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    if server.password:
        given["password"] = server.password
    if access.passfile:
        given["passfile"] = access.passfile
    if not server.unix:
        given["sslmode"] = access.tls
        if access.tls == "verify-full":
            given["sslrootcert"] = access.cafile or "system"
    return given


async def dial(given: dict[str, str | int]) -> Raw:
    """A connection. Raises psycopg.Error, OSError; ValueError for a host that cannot be one."""
    return await psycopg.AsyncConnection.connect(autocommit=True, prepare_threshold=None, **given)  # type: ignore[arg-type]


def why(error: BaseException) -> tuple[str, str]:
    """(reason, SQLSTATE or "") of a connection that was not made."""
    said = plain(error)
    for head in ("connection failed: ", "connection is bad: "):
        said = said.removeprefix(head)
    state = getattr(error, "sqlstate", None) or ""
    if not state:
        state = next((state for text, state in _STATES.items() if text in said), "")
    if not state and "database" in said and "does not exist" in said:
        state = "3D000"
    if not state and "role" in said and "does not exist" in said:
        state = "28000"
    return said, state
