"""A PostgreSQL for tests: one for all of a run, or one of its own for who does things to it.

`SKITAI_TEST_PG=host:port:user:password` names a server that is used as the common one instead.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from waits import PATIENCE

from skitaid.embedded_postgres import USER, EmbeddedPostgres, free_port

GIVEN = "SKITAI_TEST_PG"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that runs. user: may do anything there."""

    port: int
    host: str = "127.0.0.1"
    user: str = USER
    password: str = "anything"

    @property
    def server(self) -> str:
        """As `was.db` takes it."""
        return f"{self.host}:{self.port}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement, and give its rows if it has any."""
        with psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=database,
            user=self.user,
            password=self.password,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self, *statements: str) -> Iterator[str]:
        """A database of one's own, and what is in it; gives its name."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            for statement in statements:
                self.execute(statement, name)
            yield name
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def member(self, database: str) -> str:
        """As `members` of a conf has it."""
        return f"{self.server}/{database}/{self.user}/{self.password}"

    def connections(self, database: str) -> list[tuple[int, str, str]]:
        """(pid, state, statement) of all who are connected to a database."""
        found = self.execute(
            "SELECT pid, state, query FROM pg_stat_activity"
            f" WHERE datname = '{database}' AND backend_type = 'client backend' ORDER BY pid"
        )
        return [(pid, state or "", query) for pid, state, query in found]


@contextmanager
def private(
    settings: dict[str, str] | None = None, programs: Path | None = None
) -> Iterator[EmbeddedPostgres]:
    """A server of one's own, to be stopped, paused and whatever. programs: of whose, if any."""
    directory = _directory()
    server = EmbeddedPostgres(directory, free_port(), settings, programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


def common(base: Path) -> Postgres:
    """The one for all of a run, which is started by whoever comes first. base: common to all."""
    given = os.environ.get(GIVEN)
    if given:
        host, port, user, password = given.split(":", 3)
        return Postgres(int(port), host, user, password)
    with open(base / "postgres.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = base / "postgres.json"
        if not state.exists():
            server = EmbeddedPostgres(_directory(), free_port(), {"max_connections": "300"})
            server.start()
            about = {"port": server.port, "pid": server.pid, "directory": str(server.directory)}
            state.write_text(json.dumps(about))
            server.leave()
        port = json.loads(state.read_text())["port"]
    return Postgres(port)


def stop_common(base: Path) -> None:
    """At the end of a run, by whoever began it."""
    state = base / "postgres.json"
    if not state.exists():
        return
    about = json.loads(state.read_text())
    state.unlink()
    pidfd = os.pidfd_open(about["pid"])
    try:
        os.kill(about["pid"], signal.SIGQUIT)
        select.select([pidfd], [], [], PATIENCE)
    finally:
        os.close(pidfd)
    shutil.rmtree(about["directory"], ignore_errors=True)


def _directory() -> Path:
    """Where a server that does not run as root may have its data."""
    directory = Path(tempfile.mkdtemp(prefix="skitai-pg-", dir="/tmp"))
    directory.chmod(0o711)
    return directory
