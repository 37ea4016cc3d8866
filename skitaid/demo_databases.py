"""The demo's databases: three on one embedded PostgreSQL, each with some cities."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg

from skitaid.embedded_postgres import USER, EmbeddedPostgres, free_port
from skitaid.errors import SkitaidError

CITIES = {
    "americas": [("Boston", 655884), ("Fairfax", 23478), ("Lima", 10092000), ("Toronto", 2794356)],
    "asia": [("Kyoto", 1463723), ("Pune", 3124458), ("Seoul", 9386034), ("Tashkent", 3095498)],
    "europe": [("Graz", 298479), ("Lisbon", 567131), ("Oslo", 717710), ("Salzburg", 157399)],
}


class Databases(msgspec.Struct, frozen=True):
    """members: as a conf has them; () if there are none, and why_not says why."""

    members: tuple[str, ...]
    why_not: str = ""


@contextmanager
def running() -> Iterator[Databases]:
    """A PostgreSQL with the three databases; the demo does without it if it cannot be started."""
    directory = Path(tempfile.mkdtemp(prefix="skitai-demo-pg-"))
    directory.chmod(0o711)  # started by root, PostgreSQL runs as somebody else
    server: EmbeddedPostgres | None = None
    try:
        try:
            server = EmbeddedPostgres(directory, free_port())
            server.start()
            databases = Databases(tuple(_made(server, name) for name in CITIES))
        except SkitaidError as error:
            databases = Databases((), str(error))
        yield databases
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _made(server: EmbeddedPostgres, name: str) -> str:
    server.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
    server.execute("CREATE TABLE cities (name text PRIMARY KEY, population int)", name)
    with psycopg.connect(server.dsn(name)) as connection:
        connection.cursor().executemany("INSERT INTO cities VALUES (%s, %s)", CITIES[name])
    return f"127.0.0.1:{server.port}/{name}/{USER}/demo"
