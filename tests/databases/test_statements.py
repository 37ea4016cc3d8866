"""Statements and their results, on the loop's side: a real server, no handler."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from db_ground import PATIENCE, Place, ground
from on_loop import on_uvloop, until
from postgres import Postgres, private

from skitai import sql
from skitai.engine import DatabaseMembers, DatabaseServer, Reach
from skitai.errors import WrongUse
from skitai.keeping import Keeping
from skitai.results import SqlResult, Status
from skitai.was import WAS
from skitaid.workers.clients.pg_keeper import HOT
from skitaid.workers.clients.pg_waiting import Ending
from skitaid.workers.settings import DatabaseLimits

# what goes wrong


@on_uvloop
async def test_error_of_the_server(place: Place) -> None:
    """It is status 2 with the SQLSTATE, what the server says, and the place in the statement."""
    with ground(place) as asked:
        result = await asked.db("SELECT nme FROM cities")
        assert (result.status, result.code, result.data) == (Status.FAILED, "42703", [])
        assert result.msg.startswith('column "nme" does not exist; at character 8 of the statement')
        assert (await asked.db("SELECT 1 AS one")).data[0].one == 1
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_error_is_no_failure_of_the_member(place: Place) -> None:
    """However often: the server has answered."""
    with ground(place, place) as asked:
        for _ in range(8):
            await asked.dlb("SELECT nme FROM cities")
        members = asked.databases.groups["all"].all.members
        assert [member.health.ejections for member in members] == [0, 0]


@on_uvloop
async def test_wrong_database(postgres: Postgres) -> None:
    """A database that does not exist is status 0 with its SQLSTATE, at once."""
    with ground(Place(postgres.port, "nowhere")) as asked:
        result = await asked.db("SELECT 1")
        assert (result.status, result.code) == (Status.NOT_CONNECTED, "3D000")
        assert 'database "nowhere" does not exist' in result.msg


@on_uvloop
async def test_nobody_listens(postgres: Postgres) -> None:
    """Status 0, at once, if there was never anybody."""
    with ground(Place(1, "postgres")) as asked:
        result = await asked.db("SELECT 1")
        assert result.status is Status.NOT_CONNECTED
        assert "Connection refused" in result.msg


def test_wrong_password() -> None:
    """Status 0 with its SQLSTATE; neither message nor repr has the password."""
    hba = "host all strict 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
    with private() as server:
        (server.directory / "data" / "pg_hba.conf").write_text(hba)
        server.execute("SELECT pg_reload_conf()")
        server.execute("CREATE ROLE strict LOGIN PASSWORD 'right'")
        _ask_with_passwords(server.port)


@on_uvloop
async def _ask_with_passwords(port: int) -> None:
    wrong = Place(port, "postgres", "strict", "hunter2")
    with ground(wrong) as asked:
        result = await asked.db("SELECT 1")
        assert (result.status, result.code) == (Status.NOT_CONNECTED, "28P01")
        assert "password authentication failed" in result.msg
        assert "hunter2" not in f"{result.msg} {result!r} {wrong.server!r} {asked.keeper.node}"
        assert "hunter2" not in asked.keeper.figures.last_error
    with ground(Place(port, "postgres", "strict", "right")) as asked:
        assert (await asked.db("SELECT 1")).ok


@on_uvloop
async def test_statement_is_cancelled_on_the_server(place: Place, postgres: Postgres) -> None:
    """At the deadline it is status 1, the server stops, and the connection is used again."""
    with ground(place) as asked:
        pid = (await asked.db("SELECT pg_backend_pid() AS pid")).data[0].pid
        result = await asked.db("SELECT pg_sleep(60)", timeout=0.05)
        assert (result.status, result.code) == (Status.TIMEOUT, 0)
        assert await asked.at_rest() == [(1, 1)]
        assert (await asked.db("SELECT pg_backend_pid() AS pid")).data[0].pid == pid
        assert postgres.connections(place.name)[0][1] == "idle"


@on_uvloop
async def test_terminated_backend(place: Place, postgres: Postgres) -> None:
    """A write in flight is status 2 with what the server said; nothing is left behind."""
    with ground(place) as asked:
        waiting = asyncio.ensure_future(
            asked.db("INSERT INTO cities (name) SELECT 'x' FROM pg_sleep(60)")
        )
        await until(lambda: bool(asked.keeper.pool.busy))
        await asyncio.to_thread(_terminate_when_asleep, postgres, place.name)
        result = await waiting
        assert (result.status, result.code) == (Status.FAILED, "57P01")
        assert "terminating connection due to administrator command" in result.msg
        assert (await asked.db("SELECT 1")).ok
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_read_is_asked_again_after_a_break(place: Place, postgres: Postgres) -> None:
    """A statement that reads is sent once more when its connection breaks, a write is not."""
    with ground(place) as asked:
        postgres.execute("CREATE SEQUENCE naps", place.name)
        postgres.execute(
            "CREATE FUNCTION nap() RETURNS boolean LANGUAGE sql"
            " AS $$ SELECT nextval('naps') = 1 $$",
            place.name,
        )
        waiting = asyncio.ensure_future(
            asked.db("SELECT 5 AS five FROM pg_sleep(CASE WHEN nap() THEN 60 ELSE 0 END)")
        )
        await asyncio.to_thread(_terminate_when_asleep, postgres, place.name)
        result = await waiting
        assert result.ok and result.data[0].five == 5


def _terminate_when_asleep(postgres: Postgres, database: str) -> None:
    while True:
        for pid, state, statement in postgres.connections(database):
            if state == "active" and "pg_sleep" in statement:
                postgres.execute(
                    f"SELECT pg_terminate_backend({pid}) FROM pg_stat_activity"
                    f" WHERE pid = {pid} AND wait_event = 'PgSleep'"
                )
                return


@on_uvloop
async def test_idle_connection_that_ends_is_noticed(place: Place, postgres: Postgres) -> None:
    """Without being asked anything."""
    with ground(place) as asked:
        await asked.db("SELECT 1")
        pid = postgres.connections(place.name)[0][0]
        await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({pid})")
        await until(lambda: asked.keeper.pool.size == 0)
        assert "closed the connection unexpectedly" in asked.keeper.figures.last_error


@on_uvloop
async def test_break_makes_others_suspect(place: Place, postgres: Postgres) -> None:
    """When one connection breaks, those that are idle are asked whether they live."""
    with ground(place) as asked:
        await asyncio.gather(*[asked.db("SELECT pg_sleep(0.05)") for _ in range(3)])
        (_, idle) = (await asked.at_rest())[0]
        assert idle >= 2
        before = asked.keeper.pool.size
        pid = postgres.connections(place.name)[0][0]
        await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({pid})")
        await until(lambda: asked.keeper.pool.size == before - 1)
        assert await asked.at_rest() == [(before - 1, before - 1)]


@on_uvloop
async def test_transaction_of_a_plain_statement(place: Place) -> None:
    """BEGIN without a transaction is undone before anybody else gets the connection."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        assert (await asked.db("BEGIN")).ok
        await asked.db("INSERT INTO cities (name) VALUES ('Nowhere')")
        assert await asked.at_rest() == [(1, 1)]
        state = await asked.db("SELECT state FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        assert state.data[0].state == "active"
        assert (await asked.db("SELECT pg_current_xact_id_if_assigned() AS x")).data[0].x is None
        await asked.db("DELETE FROM cities WHERE name = 'Nowhere'")


@on_uvloop
async def test_copy_in_a_plain_statement(place: Place) -> None:
    """It fails, as there is nobody who would give or take the data."""
    with ground(place) as asked:
        result = await asked.db("COPY cities (name) FROM STDIN")
        assert result.status is Status.FAILED
        assert "COPY" in result.msg
        assert await asked.at_rest() == [(0, 0)]


@on_uvloop
async def test_waiting_in_line(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Who waits too long for a connection is told who has them, with age and statement."""
    with ground(place, limits=DatabaseLimits(connections=1, wait_timeout=0.5)) as asked:
        slow = asked.first().execute("SELECT pg_sleep(60)")
        await until(lambda: bool(asked.keeper.pool.busy))
        result = await asked.db("SELECT 1")
        assert result.status is Status.NOT_CONNECTED
        assert "no connection became free within" in result.msg
        assert "1 of 1 are in use" in result.msg
        assert "by GET /report (SELECT pg_sleep(60))" in result.msg
        assert result.msg in caplog.text
        await slow.wait(0.0)
        assert (await asked.db("SELECT 1")).ok


@on_uvloop
async def test_waiters_are_served_in_order(place: Place) -> None:
    """Of one connection, whoever has waited longest gets it next."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        order: list[int] = []

        async def ask(number: int) -> None:
            await asked.db("SELECT %s", (number,))
            order.append(number)

        await asyncio.gather(*[ask(number) for number in range(20)])
        assert order == list(range(20))
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_who_has_left_gets_no_connection(place: Place) -> None:
    """Those who wait behind it do."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        slow = asked.first().execute("SELECT pg_sleep(60)")
        await until(lambda: bool(asked.keeper.pool.busy))
        gone = asked.first().execute("SELECT 1")
        waiting = asked.first().execute("SELECT 2 AS two")
        assert (await _one(gone.wait(0.0))).status is Status.TIMEOUT
        await slow.wait(0.0)
        assert (await _one(waiting.wait(PATIENCE))).data == [{"two": 2}]


async def _one(waiting: object) -> SqlResult:
    result = await waiting  # type: ignore[misc]
    assert isinstance(result, SqlResult)
    return result


@on_uvloop
async def test_lifetime(place: Place) -> None:
    """A connection that is old is closed when it is put down, and counted."""
    with ground(place, limits=DatabaseLimits(max_lifetime=1e-6)) as asked:
        pids = {(await asked.db("SELECT pg_backend_pid() AS pid")).data[0].pid for _ in range(3)}
        assert len(pids) == 3
        assert asked.keeper.figures.closed_by_age == 3
        assert await asked.at_rest() == [(0, 0)]


@on_uvloop
async def test_least_connections(place: Place) -> None:
    """They are opened though nobody asks, and opened again when they are lost."""
    with ground(place, limits=DatabaseLimits(connections_min=2)) as asked:
        pool = asked.keeper.pool
        await until(lambda: len(pool.idle) == 2)
        next(iter(pool.idle)).close()
        assert pool.size == 1
        await until(lambda: len(pool.idle) == 2)


@on_uvloop
async def test_writes_are_not_kept(place: Place) -> None:
    """`cache=` is for statements that read: one that writes is sent each time, by each who asks."""
    first = DatabaseMembers("all", Reach.FIRST)
    with ground(place) as asked:

        async def ask(statement: str) -> SqlResult:
            handle = asked.handle(first, keeping=Keeping(60.0, 0.0))
            return await _one(handle.execute(statement))

        insert = "INSERT INTO cities (name) VALUES ('Twice') RETURNING id"
        made = [(await ask(insert)).data[0].id]
        both = await asyncio.gather(ask(insert), ask(insert))
        made += [each.data[0].id for each in both]
        await asked.handle(first, keeping=None).execute("SELECT 1").wait(PATIENCE)
        assert len(set(made)) == 3
        assert (await ask("DELETE FROM cities WHERE name = 'Twice'")).rowcount == 3
        assert (await ask("DELETE FROM cities WHERE name = 'Twice'")).rowcount == 0


@on_uvloop
async def test_host_that_cannot_be_one(place: Place) -> None:
    """It is a failure at once, not one that is waited for, and the next one is tried."""
    with ground(replace(place, host="a..b"), limits=DatabaseLimits(connections=1)) as asked:
        for _ in range(2):
            result = await asked.db("SELECT 1")
            assert result.status is Status.NOT_CONNECTED
            assert "no connection to a..b" in result.msg
        assert await asked.at_rest() == [(0, 0)]


@on_uvloop
async def test_resting_while_one_is_opened(place: Place) -> None:
    """What is opened for nobody is not kept then."""
    with ground(place) as asked:
        gone = asked.first().execute("SELECT 1")
        await until(lambda: asked.keeper.pool.opening == 1)
        await gone.wait(0.0)
        asked.keeper.rest()
        assert await asked.at_rest() == [(0, 0)]


@on_uvloop
async def test_given_up_while_it_is_prepared(place: Place) -> None:
    """It is not run then, though the server has not seen the cancel yet."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        insert = "INSERT INTO cities (name) VALUES (%s)"
        for _ in range(HOT):
            assert (await asked.db(insert, ("Hot",))).ok
        before = (await asked.db("SELECT count(*) AS n FROM cities")).data[0].n
        connection = asked.keeper.pool.take()
        assert connection is not None
        connection.start(Ending(asked.keeper.loop), sql.statement(insert, ("Late",)))
        over = Ending(asked.keeper.loop)
        connection.hand_over(over)
        await over.over
        asked.keeper.freed(connection)
        assert (await asked.db("SELECT count(*) AS n FROM cities")).data[0].n == before
        assert (await asked.db("SELECT name FROM pg_prepared_statements")).rowcount == 1
        await asked.db("DELETE FROM cities WHERE name = 'Hot'")


def test_many_comments() -> None:
    """What a statement does is seen at once, however many there are before it."""
    assert sql.statement("/* a */ " * 60 + "SELECT 1", None).idempotent
    assert not sql.statement("/* a */ " * 60 + "DELETE FROM cities", None).idempotent


# what is read


@on_uvloop
async def test_rows(place: Place) -> None:
    """They are dicts with attributes, in a list that can be sliced."""
    with ground(place) as asked:
        result = await asked.db("SELECT name, population FROM cities WHERE id < 4 ORDER BY id")
        assert (result.status, result.code, result.msg) == (Status.NORMAL, 200, "")
        assert (result.columns, result.rowcount) == (("name", "population"), 3)
        first = result.data[0]
        assert (first["name"], first.name, dict(first)) == (
            "Fairfax",
            "Fairfax",
            {"name": "Fairfax", "population": 23478},
        )
        assert [row.name for row in result.data[1:]] == ["Boston", "Austin"]
        with pytest.raises(AttributeError, match="no column mayor, but name, population"):
            _ = first.mayor


@on_uvloop
async def test_parameters_are_bound(place: Place) -> None:
    """By position and by name; nothing of them is ever read as SQL."""
    with ground(place) as asked:
        evil = "'; DROP TABLE cities; --"
        result = await asked.db("SELECT %s AS text, 'a%%' AS sign, %s::int AS n", (evil, 5))
        assert result.data == [{"text": evil, "sign": "a%", "n": 5}]
        named = await asked.db("SELECT %(a)s || %(a)s AS twice", {"a": "ab"})
        assert named.data[0].twice == "abab"
        assert (await asked.db("SELECT '100%s' AS plain")).data[0].plain == "100%s"
        assert (await asked.db("SELECT %s::int IS NULL AS none", (None,))).data[0].none is True


@on_uvloop
async def test_changes_tell_how_many(place: Place) -> None:
    """rowcount is the number of rows changed, data has none, or those of RETURNING."""
    with ground(place) as asked:
        made = await asked.db("CREATE TEMP TABLE t AS SELECT generate_series(1, 5) AS n")
        assert (made.ok, made.rowcount) == (True, 5)
    with ground(place) as asked:
        done = await asked.db("INSERT INTO cities (name) VALUES ('A'), ('B')")
        assert (done.status, done.data, done.rowcount, done.columns) == (3, [], 2, ())
        gone = await asked.db("DELETE FROM cities WHERE name IN ('A', 'B') RETURNING name")
        assert (sorted(row.name for row in gone.data), gone.rowcount) == (["A", "B"], 2)


@on_uvloop
async def test_several_statements_at_once(place: Place) -> None:
    """Without parameters a text may hold several; what the last one gives is the result."""
    with ground(place) as asked:
        assert (await asked.db("SELECT 1 AS a; SELECT 2 AS b")).data == [{"b": 2}]


@on_uvloop
async def test_types(place: Place) -> None:
    """They are psycopg's, and all of them can be JSON."""
    with ground(place) as asked:
        result = await asked.db(
            "SELECT 1.50::numeric AS numeric, '2015-06-01 12:00+00'::timestamptz AS time,"
            """ '{"a": [1, null]}'::jsonb AS jsonb, ARRAY[1, 2] AS ints,"""
            " ARRAY['a', NULL] AS texts, true AS yes, 'x'::bytea AS bytes,"
            " 'c0a80101-0000-4000-8000-000000000000'::uuid AS uuid,"
            " 1.5::float8 AS float, '192.168.1.1'::inet AS inet, '1 day'::interval AS day,"
            " '[1,5)'::int4range AS range, NULL AS nothing, 'é' AS text"
        )
        (row,) = result.data
        assert row.numeric == Decimal("1.50")
        assert row.time == datetime(2015, 6, 1, 12, tzinfo=UTC)
        assert row.time.utcoffset() is not None
        assert row.jsonb == {"a": [1, None]}
        assert (row.ints, row.texts) == ([1, 2], ["a", None])
        assert row.uuid == UUID("c0a80101-0000-4000-8000-000000000000")
        assert (row.yes, row.bytes, row.float, row.nothing, row.text) == (
            True,
            b"x",
            1.5,
            None,
            "é",
        )
        told = json.loads(WAS.tojson(result.data))[0]
        assert (told["numeric"], told["time"]) == ("1.50", "2015-06-01T12:00:00Z")
        assert (told["inet"], told["range"]) == ("192.168.1.1", "[1, 5)")


@on_uvloop
async def test_time_zone_of_the_session(place: Place) -> None:
    """Times come in it, as psycopg gives them; the instant is the same."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        await asked.db("SET TIME ZONE 'Asia/Tokyo'")
        row = (await asked.db("SELECT '2015-06-01 12:00+00'::timestamptz AS t")).data[0]
        assert row.t == datetime(2015, 6, 1, 12, tzinfo=UTC)
        assert row.t.isoformat() == "2015-06-01T21:00:00+09:00"


@on_uvloop
async def test_date_that_python_has_not(place: Place) -> None:
    """It is a failure that says so, not an exception."""
    with ground(place) as asked:
        result = await asked.db("SELECT 'infinity'::date AS d")
        assert result.status is Status.FAILED
        assert "has no form in Python" in result.msg


@on_uvloop
async def test_large_statement_and_large_result(place: Place) -> None:
    """Both are larger than what a socket takes at once."""
    with ground(place) as asked:
        text = "x" * 5_000_000
        result = await asked.db("SELECT %s AS text", (text,))
        assert result.data[0].text == text


@pytest.mark.parametrize(
    ("statement", "params", "reason"),
    [
        ("SELECT %s", (), "has 1 placeholders, and 0 parameters"),
        ("SELECT %s", "abc", "params is a str; for one value write"),
        ("SELECT %s", {"a": 1}, "which want a list or a tuple"),
        ("SELECT %(a)s", (1,), "which want a dict"),
        ("SELECT %(a)s", {"b": 1}, "placeholder %\\(a\\)s has no parameter"),
        ("SELECT %(a)s, %s", (1,), "this one has both"),
        ("SELECT 'a%'", (1,), "is no placeholder; with parameters a percent sign"),
        ("SELECT %s", (object(),), "cannot be sent to PostgreSQL"),
        ("SELECT '\0'", None, "no zero bytes"),
    ],
)
def test_wrong_parameters(place: Place, statement: str, params: object, reason: str) -> None:
    """They are refused before anything is sent, with what to write."""

    @on_uvloop
    async def ask() -> None:
        with ground(place) as asked, pytest.raises(WrongUse, match=reason):
            asked.first().execute(statement, params)  # type: ignore[arg-type]

    ask()


# prepared statements


@on_uvloop
async def test_hot_statements_are_prepared(place: Place) -> None:
    """One that comes often is; one that comes once is not."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        for number in range(8):
            await asked.db("SELECT name FROM cities WHERE id = %s", (number,))
        prepared = await asked.db("SELECT statement FROM pg_prepared_statements")
        assert [row.statement for row in prepared.data] == ["SELECT name FROM cities WHERE id = $1"]


@on_uvloop
async def test_prepared_statement_whose_table_changes(place: Place) -> None:
    """It is run all the same, in the new shape."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        await asked.db("CREATE TABLE shape (a int)")
        for _ in range(8):
            assert (await asked.db("SELECT * FROM shape")).columns == ("a",)
        await asked.db("ALTER TABLE shape ADD COLUMN b int")
        assert (await asked.db("SELECT * FROM shape")).columns == ("a", "b")
        await asked.db("DEALLOCATE ALL")
        assert (await asked.db("SELECT * FROM shape")).columns == ("a", "b")


@on_uvloop
async def test_many_prepared_statements(place: Place) -> None:
    """The server keeps a hundred of a connection at most."""
    with ground(place, limits=DatabaseLimits(connections=1)) as asked:
        for number in range(110):
            for _ in range(7):
                assert (await asked.db(f"SELECT {number} AS n")).data == [{"n": number}]
        count = await asked.db("SELECT count(*) AS n FROM pg_prepared_statements")
        assert count.data[0].n == 100


# members


@on_uvloop
async def test_database_that_a_call_names(place: Place) -> None:
    """It has a pool of its own, for each user of it."""
    with ground() as asked:
        servers = [place.server, DatabaseServer(place.host, place.port, place.name, "x", "")]
        results = [await asked.handle(each).execute("SELECT 1").wait(PATIENCE) for each in servers]
        assert [each.status for each in results if isinstance(each, SqlResult)] == [3, 0]
        assert [member.keeper.node for member in asked.databases.servers] == [place.server.node] * 2


@on_uvloop
async def test_map_over_databases(place: Place, postgres: Postgres) -> None:
    """Each answers for itself, in the order of the conf; one that fails spoils nothing."""
    with ground(place, Place(postgres.port, "nowhere"), place) as asked:
        results = await asked.dmap("SELECT count(*) AS n FROM cities WHERE id < 4")
        assert results.status == [3, 0, 3]
        assert [rs.data[0].n for rs in results.normal] == [3, 3]


@on_uvloop
async def test_reads_go_elsewhere(place: Place, postgres: Postgres) -> None:
    """A member that cannot be reached is passed over, for writes too, as nothing was sent."""
    with ground(Place(1, "x"), place) as asked:
        for _ in range(4):
            assert (await asked.dlb("SELECT 1")).ok
        assert (await asked.dlb("SELECT 1", write=True)).ok


@on_uvloop
async def test_writes_go_to_primaries(place: Place, postgres: Postgres) -> None:
    """write=True and was.db ask no replica."""
    replica = Place(1, "replica", is_replica=True)
    with ground(replica, place) as asked:
        assert (await asked.dlb("SELECT 1", write=True)).node == asked.keepers[1].node
        assert (await asked.db("SELECT 1")).node == asked.keepers[1].node
    with ground(replica) as asked, pytest.raises(WrongUse, match="are replicas, which only read"):
        await asked.dlb("SELECT 1", write=True)
