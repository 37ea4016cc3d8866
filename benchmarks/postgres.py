"""Handlers that ask PostgreSQL: what a request costs here, and as people do it today.

    python benchmarks/postgres.py [--rounds 3] [--seconds 3] [--only row,map,rows,pool]

The servers have one core, wrk and the PostgreSQL (embedded, or nothing) have the other. `us/req` is
the CPU time that the server spends on a request; on a machine that does other things too, believe
that and not the rates. `pool` is our pool with nothing around it, beside one bare connection of
psycopg's, on the same loop.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import bench
import psutil
import psycopg
import uvloop
from fanout import Command, compare
from psycopg.rows import dict_row

from skitai import rows as decoding
from skitai import sql
from skitai.engine import DatabaseServer, Reply
from skitaid.embedded_postgres import EmbeddedPostgres, free_port
from skitaid.workers.clients.balance import Load
from skitaid.workers.clients.cluster import ClusterMember
from skitaid.workers.clients.pg_attempt import PgAttempt
from skitaid.workers.clients.pg_keeper import PgKeeper
from skitaid.workers.settings import DatabaseAccess, DatabaseLimits

NAMES = ("first", "second", "third")
ROW = "SELECT id, name FROM items WHERE id = %s"
QUERIES = 5000
ITEMS = """
CREATE TABLE items AS SELECT n AS id, 'item ' || n AS name, n * 1.5::float8 AS price,
n * 2 AS weight, n % 7 AS count, repeat('x', 20) AS note, n % 2 = 0 AS active,
timestamptz '2015-06-01' + n * interval '1 hour' AS made FROM generate_series(1, 1000) AS n
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    given = options.parse_args()
    with databases() as port:
        dsns = [f"postgresql://postgres:x@127.0.0.1:{port}/{name}" for name in NAMES]
        os.environ["POSTGRES"] = ",".join(dsns)
        for name in given.only.split(","):
            PARTS[name](port, given.rounds, given.seconds)


@contextmanager
def databases() -> Iterator[int]:
    """A server on the load's core; gives its port."""
    with tempfile.TemporaryDirectory(prefix="skitai-bench-pg-") as place:
        Path(place).chmod(0o711)
        directory = Path(place, "pg")
        directory.mkdir()
        server = EmbeddedPostgres(directory, free_port())
        server.start()
        try:
            psutil.Process(server.pid).cpu_affinity([bench.LOAD_CORE])
            for name in NAMES:
                server.execute(f"CREATE DATABASE {name}")
                server.execute(ITEMS, name)
                server.execute("ALTER TABLE items ADD PRIMARY KEY (id)", name)
            yield server.port
        finally:
            server.stop()


# --- the sides ---


def skitai(port: int) -> Command:
    """skitai_postgres, one worker."""

    def command(listen: int) -> list[str]:
        directory = tempfile.mkdtemp(prefix="skitai-bench-")
        members = [f"127.0.0.1:{port}/{name}/postgres/x" for name in NAMES]
        lines = ["[server]", "ip = 127.0.0.1", f"port = {listen}", "access_log = no"]
        lines += ["[routes:line]", f"/ = {bench.APPS / 'skitai_postgres'}"]
        for name, listed in {"one": members[:1], "three": members}.items():
            lines += [f"[@{name}]", "type = postgresql", f"max_connections = {10 * len(listed)}"]
            lines += [f"members = {', '.join(listed)}"]
        conf = Path(directory, "bench.conf")
        conf.write_text("\n".join(lines) + "\n")
        return bench.python("-m", "skitaid", "--var", directory, "serve", str(conf))

    return command


def flask(listen: int) -> Sequence[str]:
    """flask_postgres, one process."""
    options = ["-k", "gthread", "-w", "1", "--threads", "16", "-b", f"127.0.0.1:{listen}"]
    quiet = ["--log-level", "warning", "--keep-alive", "75", "--worker-connections", "2000"]
    return bench.python(
        "-m", "gunicorn", "--chdir", str(bench.APPS), *options, *quiet, "flask_postgres:app"
    )


STARLETTE = bench.uvicorn("starlette_postgres")
FASTAPI = bench.uvicorn("fastapi_postgres")


# --- the parts ---


def row(port: int, rounds: int, seconds: int) -> None:
    """One row by its key."""
    sides = [
        bench.Side("Skitai, plain handler", skitai(port), "/row"),
        bench.Side("Starlette + asyncpg pool", STARLETTE, "/row"),
        bench.Side("FastAPI + SQLAlchemy async", FASTAPI, "/row"),
        bench.Side("FastAPI + psycopg_pool", FASTAPI, "/psycopg"),
        bench.Side("Flask + psycopg_pool, gthread", flask, "/row"),
    ]
    compare("one row, 64 connections", sides, (rounds, seconds, 64))


def three(port: int, rounds: int, seconds: int) -> None:
    """One row of each of three databases."""
    sides = [
        bench.Side("Skitai, plain handler, dmap", skitai(port), "/map"),
        bench.Side("Starlette + asyncpg, gather", STARLETTE, "/map"),
    ]
    compare("three databases, 64 connections", sides, (rounds, seconds, 64))


def many(port: int, rounds: int, seconds: int) -> None:
    """A thousand rows of eight columns, as JSON."""
    sides = [
        bench.Side("Skitai, plain handler", skitai(port), "/rows"),
        bench.Side("Starlette + asyncpg + orjson", STARLETTE, "/rows"),
    ]
    compare("1,000 rows to JSON, 16 connections", sides, (rounds, seconds, 16))


def pool(port: int, rounds: int, seconds: int) -> None:
    """Our pool beside one connection of psycopg's."""
    uvloop.run(_pool(port, rounds))


async def _pool(port: int, rounds: int) -> None:
    loop = asyncio.get_running_loop()
    server = DatabaseServer("127.0.0.1", port, NAMES[0], "postgres", "x")
    keeper: object = PgKeeper(loop, server, DatabaseLimits(), DatabaseAccess(), "bench")
    assert isinstance(keeper, PgKeeper)
    member = ClusterMember(keeper, Load())  # type: ignore[arg-type]
    bare = await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=port, dbname=NAMES[0], user="postgres", autocommit=True
    )
    bare.row_factory = dict_row  # type: ignore[assignment]

    async def by_pool() -> None:
        over: asyncio.Future[PgAttempt] = loop.create_future()
        asker = SimpleNamespace(ended=lambda attempt, now: over.set_result(attempt))
        ask = sql.statement(ROW, (500,))
        PgAttempt(asker, ask, member, time.monotonic(), is_patient=True).start()
        done = await over
        reply = Reply(0, "", done.status, done.code, "", (), b"", 0.0, answer=done.answer)
        assert decoding.sql(reply).data

    async def by_psycopg() -> None:
        cursor = await bare.execute(ROW, (500,))
        assert await cursor.fetchall()

    costs: dict[str, list[float]] = {"our pool": [], "bare psycopg AsyncConnection": []}
    for _ in range(rounds):
        for name, query in zip(costs, (by_pool, by_psycopg), strict=True):
            costs[name].append(await _cost(query))
    print("\nthe pool alone, us of CPU per query")
    for name, each in costs.items():
        print(f"{name:40} {statistics.median(each):8.1f}")
    ours, theirs = (statistics.median(each) for each in costs.values())
    print(f"ours: {ours / theirs:.2f} of theirs")
    await bare.close()
    keeper.close()


async def _cost(query: Callable[[], object]) -> float:
    for _ in range(20):
        await query()  # type: ignore[misc]
    before = time.process_time()
    for _ in range(QUERIES):
        await query()  # type: ignore[misc]
    return (time.process_time() - before) / QUERIES * 1e6


PARTS: dict[str, Callable[[int, int, int], None]] = {
    "row": row,
    "map": three,
    "rows": many,
    "pool": pool,
}

if __name__ == "__main__":
    main()
