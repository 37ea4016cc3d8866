"""Databases behind pgbouncer in transaction mode: a real one, run as an ordinary user."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from db_ground import Place, ground
from on_loop import on_uvloop
from operator_session import free_port
from postgres import Postgres
from waits import PATIENCE, wait_until

from skitai.results import Status
from skitaid.workers.settings import DatabaseAccess, DatabaseLimits

PGBOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
CONF = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = 2
logfile = {directory}/log
pidfile =
ignore_startup_parameters = extra_float_digits
"""

pytestmark = pytest.mark.skipif(
    not os.access(PGBOUNCER, os.X_OK), reason="pgbouncer is not installed"
)
POOLED = DatabaseAccess(is_pooled=True)


@pytest.fixture(scope="module")
def pooled(place: Place, postgres: Postgres) -> Iterator[Place]:
    """The same database, by way of a pgbouncer with two connections to it."""
    directory = Path(tempfile.mkdtemp(prefix="skitai-pgbouncer-", dir="/tmp"))
    directory.chmod(0o777)
    listen = free_port()
    conf = CONF.format(host=place.host, port=place.port, listen=listen, directory=directory)
    (directory / "users").write_text(f'"{place.user}" "{postgres.password}"\n')
    (directory / "conf").write_text(
        conf.replace("[pgbouncer]", f"[pgbouncer]\nadmin_users = {place.user}")
        .replace("auth_type = any", "auth_type = trust")
        .replace(f"port={place.port}", f"port={place.port} user={place.user}")
    )
    process = subprocess.Popen(
        [PGBOUNCER, str(directory / "conf")],
        user="nobody" if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
        stderr=subprocess.DEVNULL,
    )
    reached = Place(listen, place.name, place.user, postgres.password)
    try:
        wait_until(lambda: _answers(reached) or process.poll() is not None, "pgbouncer answers")
        assert process.poll() is None, (directory / "log").read_text()
        yield reached
    finally:
        process.kill()
        process.wait(PATIENCE)
        shutil.rmtree(directory)


def _answers(place: Place) -> bool:
    try:
        psycopg.connect(
            host=place.host, port=place.port, dbname=place.name, user=place.user
        ).close()
    except psycopg.OperationalError:
        return False
    return True


@on_uvloop
async def test_hot_statements(pooled: Place) -> None:
    """They are not prepared, so it does not matter which server connection they meet."""
    with ground(pooled, access=POOLED) as asked:
        for _ in range(10):
            results = await asyncio.gather(
                *[asked.db("SELECT name FROM cities WHERE id = %s", (1,)) for _ in range(6)]
            )
            assert [rs.data for rs in results] == [[{"name": "Fairfax"}]] * 6


@on_uvloop
async def test_transactions(pooled: Place) -> None:
    """Each has a server connection to itself, and gives it back."""
    with ground(pooled, access=POOLED) as asked:

        async def transfer(number: int) -> None:
            async with asked.first().transaction() as tx:
                await tx.execute("INSERT INTO cities (name) VALUES (%s)", (f"p{number}",))
                await tx.execute("DELETE FROM cities WHERE name = %s", (f"p{number}",))

        await asyncio.gather(*[transfer(number) for number in range(8)])
        rows = asked.first().stream("SELECT generate_series(1, 100) AS n", batch=10)
        assert [row.n async for row in rows] == list(range(1, 101))


@on_uvloop
async def test_deadline(pooled: Place, postgres: Postgres, place: Place) -> None:
    """The statement is cancelled through the pooler, and the connection to it is not used again."""
    with ground(pooled, access=POOLED, limits=DatabaseLimits(connections=1)) as asked:
        result = await asked.db("SELECT pg_sleep(60)", timeout=0.1)
        assert result.status is Status.TIMEOUT
        assert await asked.at_rest() == [(0, 0)]
        assert (await asked.db("SELECT 1")).ok
        states = [state for _, state, _ in postgres.connections(place.name)]
        assert "active" not in states
