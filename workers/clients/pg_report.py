"""How the connections to one database are: for reports, logs and messages."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from .pg_connection import PgConnection
from .pool import Pool

SHOWN = 3  # of those who have a connection
STATEMENT_MAX = 80  # characters


class Figures(msgspec.Struct):
    """What is counted. opened, closed_by_age: connections. waited: calls that got none at once."""

    opened: int = 0
    closed_by_age: int = 0
    waited: int = 0
    last_error: str = ""  # never with a password
    last_error_at: float = 0.0  # epoch seconds


def holders(pool: Pool[PgConnection, Any]) -> str:
    """Who has the connections, those for longest first."""
    now = time.monotonic()
    busy = sorted(pool.busy, key=lambda each: each.since)
    if not busy:
        return f"{pool.opening} are being opened"
    shown = ", ".join(f"{now - each.since:.1f} s by {_user(each)}" for each in busy[:SHOWN])
    more = len(busy) - SHOWN
    return (
        f"{len(busy)} of {pool.cap} are in use: {shown}{f', and {more} more' if more > 0 else ''}"
    )


def _user(connection: PgConnection) -> str:
    sql = connection.sql
    if sql is None:
        return "nobody"
    text = " ".join((sql.said or sql.text.decode("utf-8", "replace")).split())
    shown = text if len(text) <= STATEMENT_MAX else f"{text[:STATEMENT_MAX]}..."
    request = sql.request
    who = "nobody known" if request is None else f"{request.method} {request.path}"
    return f"{who} ({shown})"
