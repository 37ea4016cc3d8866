"""Transactions, COPY and streams of rows, on the loop's side: a real server, no handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from db_ground import Place, ground
from hypothesis import given
from hypothesis import strategies as st
from on_loop import on_uvloop, until
from postgres import Postgres

from skitai.copying import encoded
from skitai.engine import DatabaseMembers, Reach
from skitai.errors import TransactionFailed, WrongUse
from skitai.results import Result, Status
from skitaid.workers.settings import DatabaseLimits

ONE = DatabaseLimits(connections=1)


async def count(asked: Any, table: str = "cities") -> int:
    number: int = (await asked.db(f"SELECT count(*) AS n FROM {table}")).data[0].n
    return number


# what goes wrong


@on_uvloop
async def test_exception_rolls_back(place: Place) -> None:
    """The block's exception goes on, and nothing of it stays."""
    with ground(place, limits=ONE) as asked:
        before = await count(asked)
        with pytest.raises(KeyError):
            async with asked.first().transaction() as tx:
                await tx.execute("INSERT INTO cities (name) VALUES ('Nowhere')")
                raise KeyError("a mistake of the app's")
        assert await count(asked) == before
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_failed_statement_rolls_back(place: Place) -> None:
    """The result says so; leaving the block raises, as nothing was committed."""
    with ground(place, limits=ONE) as asked:
        before = await count(asked)
        with pytest.raises(TransactionFailed, match=r"it was rolled back: .*division by zero") as e:
            async with asked.first().transaction() as tx:
                await tx.execute("INSERT INTO cities (name) VALUES ('Nowhere')")
                assert (await _one(tx.execute("SELECT 1 / 0"))).code == "22012"
                assert (await _one(tx.execute("SELECT 1"))).code == "25P02"
        assert e.value.code == "22012"
        assert await count(asked) == before
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_failure_that_nobody_looked_at(place: Place) -> None:
    """COMMIT tells."""
    with ground(place, limits=ONE) as asked:
        with pytest.raises(TransactionFailed, match="whose result was not looked at"):
            async with asked.first().transaction() as tx:
                tx.execute("SELECT 1 / 0")
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_deadline_rolls_back(place: Place, postgres: Postgres) -> None:
    """A statement that is too slow is cancelled on the server, and the whole is undone."""
    with ground(place, limits=ONE) as asked:
        before = await count(asked)
        with pytest.raises(TransactionFailed, match="no answer from"):
            async with asked.first().transaction() as tx:
                await tx.execute("INSERT INTO cities (name) VALUES ('Nowhere')")
                result = await _one(tx.execute("SELECT pg_sleep(60)", timeout=0.05))
                assert result.status is Status.TIMEOUT
                later = await _one(tx.execute("SELECT 1"))
                assert (later.status, later.code) == (Status.FAILED, "25P02")
                assert "was not waited for any longer" in later.msg
        assert await count(asked) == before
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_connection_that_breaks(place: Place, postgres: Postgres) -> None:
    """The statement fails, what follows fails too, and so does the end of the block."""
    with ground(place) as asked:
        with pytest.raises(TransactionFailed, match=r"it was rolled back: .*administrator command"):
            async with asked.first().transaction() as tx:
                pid = (await _one(tx.execute("SELECT pg_backend_pid() AS pid"))).data[0].pid
                running = tx.execute("SELECT pg_sleep(60)")
                await until(lambda: asked.keeper.pool.busy != set())
                await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({pid})")
                assert (await _one(running)).status is Status.FAILED
                assert (await _one(tx.execute("SELECT 1"))).status is Status.FAILED
        assert await asked.at_rest() == [(0, 0)]


@on_uvloop
async def test_connection_that_breaks_in_the_commit(place: Place, postgres: Postgres) -> None:
    """Nobody knows how it has ended, and whoever waits is told that, not that it is undone."""
    with ground(place) as asked:
        await asked.db("CREATE TABLE slow (id int)")
        await asked.db(
            "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'"
        )
        await asked.db(
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION nap()"
        )

        async def insert() -> None:
            async with asked.first().transaction() as tx:
                await tx.execute("INSERT INTO slow VALUES (1)")

        inserting = asyncio.ensure_future(insert())
        asleep = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{place.name}' AND query = 'COMMIT' AND state = 'active'"
        )
        while not await asyncio.to_thread(postgres.execute, asleep):
            pass
        with pytest.raises(TransactionFailed, match="nobody knows whether it was committed"):
            await inserting


@on_uvloop
async def test_connection_that_breaks_before_the_commit(place: Place, postgres: Postgres) -> None:
    """Then it is known: everything is undone."""
    with ground(place) as asked, pytest.raises(TransactionFailed, match="it was rolled back"):
        async with asked.first().transaction() as tx:
            pid = (await _one(tx.execute("SELECT pg_backend_pid() AS pid"))).data[0].pid
            await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({pid})")
            await until(lambda: not asked.keeper.pool.busy)


@on_uvloop
async def test_statement_that_was_given_up_when_it_was_over(place: Place) -> None:
    """Its deadline and its answer came at one time: nothing is committed, as the app was told."""
    with ground(place, limits=ONE) as asked:
        before = await count(asked)
        with pytest.raises(TransactionFailed, match="no answer from"):
            async with asked.first().transaction() as tx:
                statement = tx.execute("INSERT INTO cities (name) VALUES ('Nowhere')")
                call = statement._collection.open[0].call
                await until(lambda: call.landed == 1)
                call.replies.clear()  # as if it landed when the wait was over
                assert (await _one(statement.wait(0.0))).status is Status.TIMEOUT
        assert await count(asked) == before
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_cancelled_when_it_has_just_begun(place: Place) -> None:
    """A task that is cancelled between BEGIN's answer and its block leaves nothing open."""
    with ground(place, limits=ONE) as asked:
        assert (await asked.db("SELECT 1")).ok
        (connection,) = asked.keeper.pool.idle
        beginning = asyncio.ensure_future(asked.first().transaction().__aenter__())
        await until(lambda: connection.is_busy)
        await until(lambda: not connection.is_busy)
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_no_connection() -> None:
    """The block is not entered."""
    with ground(Place(1, "x")) as asked:
        refused = pytest.raises(TransactionFailed, match=r"no transaction: .*onnection refused")
        with refused:
            async with asked.first().transaction():
                pytest.fail("it was entered")


@on_uvloop
async def test_left_without_an_end(place: Place) -> None:
    """Whoever ends what is held ends it: it is rolled back, the connection is back."""
    with ground(place, limits=ONE) as asked:
        tx = asked.first().transaction()
        await tx.__aenter__()
        await tx.execute("INSERT INTO cities (name) VALUES ('Nowhere')")
        assert asked.errand.held == [tx]
        running = tx.execute("SELECT pg_sleep(60)")
        asked.errand.held[0].end("its request was answered")
        assert "its request was answered" in (await _one(running)).msg
        assert await asked.at_rest() == [(1, 1)]
        with pytest.raises(WrongUse, match="no transaction is open"):
            tx.execute("SELECT 1")


@on_uvloop
async def test_unknown_isolation(place: Place) -> None:
    """The known ones are listed; with dmap there is no transaction."""
    with ground(place) as asked:
        with pytest.raises(WrongUse, match="is none of read uncommitted, read committed"):
            asked.first().transaction(isolation="chaos")  # type: ignore[arg-type]
        everybody = asked.handle(DatabaseMembers("all", Reach.ALL))
        with pytest.raises(WrongUse, match=r"was\.db or was\.dlb, not was\.dmap"):
            everybody.transaction()


# what works


@on_uvloop
async def test_commit(place: Place) -> None:
    """Statements see each other, others see them when it is over, on one connection."""
    with ground(place) as asked:
        before = await count(asked)
        async with asked.first().transaction() as tx:
            first = tx.execute("INSERT INTO cities (name) VALUES ('New')")
            second = tx.execute("SELECT count(*) AS n FROM cities")
            assert (await _one(second)).data[0].n == before + 1
            assert (await _one(first)).rowcount == 1
            assert await count(asked) == before
        assert await count(asked) == before + 1
        await asked.db("DELETE FROM cities WHERE name = 'New'")


@on_uvloop
async def test_isolation(place: Place) -> None:
    """It is what was asked for."""
    with ground(place, limits=ONE) as asked:
        reading = asked.first().transaction(isolation="serializable", read_only=True)
        async with reading as tx:
            level = await _one(tx.execute("SHOW transaction_isolation"))
            assert level.data[0].transaction_isolation == "serializable"
            only = await _one(tx.execute("SHOW transaction_read_only"))
            assert only.data[0].transaction_read_only == "on"


@on_uvloop
async def test_savepoint(place: Place) -> None:
    """What is done in it is undone alone."""
    with ground(place, limits=ONE) as asked:
        before = await count(asked)
        async with asked.first().transaction() as tx:
            await tx.execute("INSERT INTO cities (name) VALUES ('Kept')")
            with pytest.raises(KeyError):
                async with tx.async_savepoint():
                    await tx.execute("INSERT INTO cities (name) VALUES ('Lost')")
                    raise KeyError
            with pytest.raises(TransactionFailed, match="division by zero"):
                async with tx.async_savepoint():
                    await tx.execute("SELECT 1 / 0")
            async with tx.async_savepoint():
                await tx.execute("INSERT INTO cities (name) VALUES ('Kept')")
        assert await count(asked) == before + 2
        done = await asked.db("DELETE FROM cities WHERE name IN ('Kept', 'Lost')")
        assert done.rowcount == 2


@on_uvloop
async def test_savepoints_do_not_pile_up(place: Place) -> None:
    """One that was undone is gone, as one that was not."""
    with ground(place, limits=ONE) as asked:
        async with asked.first().transaction() as tx:
            with pytest.raises(KeyError):
                async with tx.async_savepoint():
                    await tx.execute("SELECT 1 / 0")
                    raise KeyError
            with pytest.raises(TransactionFailed, match="division by zero"):
                async with tx.async_savepoint():
                    await tx.execute("SELECT 1 / 0")
            async with tx.async_savepoint():
                await tx.execute("SAVEPOINT mine")
                gone = await _one(tx.execute("ROLLBACK TO skitai_1"))
                assert gone.code == "3B001"
                await tx.execute("ROLLBACK TO mine")
                assert (await _one(tx.execute("ROLLBACK TO skitai_2"))).code == "3B001"
                await tx.execute("ROLLBACK TO mine")
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_rollback_by_hand(place: Place) -> None:
    """Leaving the block is no failure then."""
    with ground(place, limits=ONE) as asked:
        before = await count(asked)
        async with asked.first().transaction() as tx:
            await tx.execute("INSERT INTO cities (name) VALUES ('Nowhere')")
            tx.rollback()
        assert await count(asked) == before
        assert await asked.at_rest() == [(1, 1)]


# COPY


@on_uvloop
async def test_copy(place: Place) -> None:
    """Rows and pieces of text go in, pieces come out; values with special characters too."""
    odd = "tab\tline\nback\\slash"
    with ground(place, limits=ONE) as asked:
        async with asked.first().transaction() as tx:
            await tx.execute("CREATE TEMP TABLE t (id int, text text) ON COMMIT DROP")
            done = await tx.copy_in("COPY t FROM STDIN", [(1, odd), (2, None), [3, "é"]])
            assert (done.status, _rowcount(done)) == (Status.NORMAL, 3)
            more = (f"{n}\tx\n" for n in range(4, 50_000))
            assert _rowcount(await tx.copy_in("COPY t FROM STDIN", more)) == 49_996
            rows = await _one(tx.execute("SELECT text FROM t WHERE id < 4 ORDER BY id"))
            assert [row.text for row in rows.data] == [odd, None, "é"]
            pieces = [piece async for piece in tx.copy_out("COPY t TO STDOUT")]
            assert len(pieces) > 2
            assert b"".join(pieces).count(b"\n") == 49_999
        assert await asked.at_rest() == [(1, 1)]


def _rowcount(result: Result) -> int:
    count: int = result.rowcount  # type: ignore[attr-defined]
    return count


@on_uvloop
async def test_copy_that_the_server_refuses(place: Place) -> None:
    """It is a result with the SQLSTATE; and the transaction is undone."""
    with ground(place, limits=ONE) as asked:
        with pytest.raises(TransactionFailed, match="invalid input syntax"):
            async with asked.first().transaction() as tx:
                await tx.execute("CREATE TEMP TABLE t (id int)")
                result = await tx.copy_in("COPY t FROM STDIN", ["no number\n"] * 100_000)
                assert (result.status, result.code) == (Status.FAILED, "22P02")
        with pytest.raises(TransactionFailed, match="does not exist"):
            async with asked.first().transaction() as tx:
                async for _ in tx.copy_out("COPY nowhere TO STDOUT"):
                    pytest.fail("there is nothing")
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_copy_whose_source_fails(place: Place) -> None:
    """Its exception goes on, and the server keeps nothing."""

    async def source() -> AsyncIterator[str]:
        yield "1\n"
        raise KeyError("a mistake of the app's")

    with ground(place, limits=ONE) as asked:
        await asked.db("CREATE TABLE copied (id int)")
        with pytest.raises(KeyError):
            async with asked.first().transaction() as tx:
                await tx.copy_in("COPY copied FROM STDIN", source())
        assert await count(asked, "copied") == 0
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_copy_that_is_not_read_to_its_end(place: Place) -> None:
    """The connection is not left in the middle of it."""
    with ground(place, limits=ONE) as asked:
        with pytest.raises(TransactionFailed):
            async with asked.first().transaction() as tx:
                async for piece in tx.copy_out(
                    "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
                ):
                    assert piece
                    break
        await asked.at_rest()
        assert (await asked.db("SELECT 1")).ok


@on_uvloop
async def test_transaction_that_ends_in_a_copy(place: Place) -> None:
    """Whoever copies is told why, and sends nothing more to a connection that others may have."""
    is_asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "1\n"
        is_asked.set()
        await may_go_on.wait()
        yield "2\n"

    with ground(place, limits=ONE) as asked:
        await asked.db("CREATE TABLE left_alone (id int)")
        tx = await asked.first().transaction().__aenter__()
        copying = asyncio.ensure_future(tx.copy_in("COPY left_alone FROM STDIN", source()).wait())
        await is_asked.wait()
        tx.end("the client has left")
        assert await count(asked, "left_alone") == 0
        may_go_on.set()
        with pytest.raises(TransactionFailed, match="the client has left"):
            await copying
        assert await count(asked, "left_alone") == 0
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_transaction_that_ends_while_a_copy_is_read(place: Place) -> None:
    """Who waits for a piece is told at once."""
    with ground(place, limits=ONE) as asked:
        tx = await asked.first().transaction().__aenter__()
        pieces = aiter(tx.copy_out("COPY (SELECT pg_sleep(60)) TO STDOUT"))
        reading = asyncio.ensure_future(_next(pieces))
        await until(lambda: any(each.is_busy for each in asked.keeper.pool.busy))
        tx.end("the client has left")
        with pytest.raises(TransactionFailed, match="the client has left"):
            await reading
        assert (await asked.db("SELECT 1")).ok
        assert await asked.at_rest() == [(1, 1)]


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces)


@on_uvloop
async def test_statement_in_the_middle_of_a_copy(place: Place) -> None:
    """It ends the transaction with a sentence that says so, at once."""

    async def source() -> AsyncIterator[str]:
        yield "1\n"
        assert "in the middle of a COPY" in (await _one(tx.execute("SELECT 1"))).msg
        yield "2\n"

    with ground(place, limits=ONE) as asked:
        with pytest.raises(TransactionFailed, match="in the middle of a COPY"):
            async with asked.first().transaction() as tx:
                await tx.execute("CREATE TEMP TABLE t (id int)")
                await tx.copy_in("COPY t FROM STDIN", source())
        assert (await asked.db("SELECT 1")).ok
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_the_other_copy(place: Place) -> None:
    """A COPY of the wrong direction ends without hanging."""
    with ground(place, limits=ONE) as asked:
        with pytest.raises(TransactionFailed):
            async with asked.first().transaction() as tx:
                await tx.copy_in("COPY cities TO STDOUT", [])
        assert (await asked.db("SELECT 1")).ok


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_rows_of_copy_can_be_split_again(values: list[str]) -> None:
    """A line is a row, a tab a border, whatever the values hold."""
    if values:
        line = encoded(values)
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert len(line.split(b"\t")) == len(values)


# streams


@on_uvloop
async def test_stream(place: Place) -> None:
    """All rows come, batch by batch; the connection is back afterwards."""
    with ground(place, limits=ONE) as asked:
        stream = asked.first().stream("SELECT generate_series(1, %s) AS n", (1234,), batch=100)
        assert [row.n async for row in stream] == list(range(1, 1235))
        assert await asked.at_rest() == [(1, 1)]
        assert asked.errand.held == []


@on_uvloop
async def test_stream_that_is_left(place: Place) -> None:
    """It ends when the loop over it is closed."""
    with ground(place, limits=ONE) as asked:
        rows = aiter(asked.first().stream("SELECT generate_series(1, 100000) AS n", batch=10))
        assert (await anext(rows)).n == 1
        await rows.aclose()  # type: ignore[attr-defined]
        assert await asked.at_rest() == [(1, 1)]


@on_uvloop
async def test_stream_of_a_wrong_statement(place: Place) -> None:
    """The loop raises what the server says."""
    with ground(place, limits=ONE) as asked:
        with pytest.raises(TransactionFailed, match='"nowhere" does not exist'):
            async for _ in asked.first().stream("SELECT * FROM nowhere"):
                pytest.fail("there is nothing")
        assert await asked.at_rest() == [(1, 1)]


async def _one(waiting: Any) -> Any:
    return await waiting
