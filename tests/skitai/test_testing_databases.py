"""Databases of `skitai.testing`: what is scripted is what handlers get."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from skitai.errors import TransactionFailed, WrongUse
from skitai.server import ssgi
from skitai.testing import Client, Member, NotScripted, SqlError

app = ssgi.Application(__name__)
CITIES = [{"name": "Fairfax", "population": 23478}, {"name": "Boston", "population": 655884}]
VALUES = {
    "number": 5,
    "decimal": Decimal("1.50"),
    "time": datetime(2015, 6, 1, 12, tzinfo=UTC),
    "uuid": UUID("c0a80101-0000-4000-8000-000000000000"),
    "list": [1, 2],
    "json": {"a": [1, None]},
    "yes": True,
    "none": None,
}


@app.route("/cities")
def cities(was, least="0"):  # type: ignore[no-untyped-def]
    s = was.dlb("mydb")
    s.execute("SELECT name, population FROM cities WHERE population >= %s", (int(least),))
    rs = s.getwait(2)
    return {"status": int(rs.status), "code": rs.code, "names": [row.name for row in rs.data]}


@app.route("/all")
def everywhere(was):  # type: ignore[no-untyped-def]
    s = was.dmap("mydb")
    s.execute("SELECT 1 AS one")
    return [int(rs.status) for rs in s.getswait(2)]


@app.route("/types")
def types(was):  # type: ignore[no-untyped-def]
    s = was.db("127.0.0.1:5432", "shop", "user", "pw")
    s.execute("SELECT *")
    assert dict(s.getwait().data[0]) == VALUES
    return "the same"


@app.route("/move")
def move(was):  # type: ignore[no-untyped-def]
    with was.db("@mydb").transaction() as tx:
        changed = tx.execute("UPDATE a SET b = %(b)s", {"b": 1}).getwait().rowcount
    return str(changed)


@app.route("/stream")
def stream(was):  # type: ignore[no-untyped-def]
    return (f"{row.name};" for row in was.db("@mydb").stream("SELECT name", batch=1))


@app.route("/copy")
def copy(was):  # type: ignore[no-untyped-def]
    with was.db("@mydb").transaction() as tx:
        count = tx.copy_in("COPY a FROM STDIN", [(1, "x"), (2, None)]).getwait().rowcount
        return [count, b"".join(tx.copy_out("COPY a TO STDOUT")).decode()]


def answer(path: str, *members: Any) -> tuple[Any, list[Any]]:
    """What the path gives, and what the databases were asked."""
    with Client(app) as client:
        asked = client.database("@mydb", members).asked
        return client.get(path), asked


def test_rows_and_what_was_asked() -> None:
    """The statement is as the app has written it, with its parameters."""
    reply, asked = answer("/cities?least=5", CITIES)
    assert reply.json() == {"status": 3, "code": 200, "names": ["Fairfax", "Boston"]}
    statement = "SELECT name, population FROM cities WHERE population >= %s"
    assert asked == [(0, statement, (5,))]


def test_function() -> None:
    """It is given statement and parameters."""
    reply, _ = answer(
        "/cities?least=50000",
        lambda statement, least: [row for row in CITIES if row["population"] >= least],  # type: ignore[operator]
    )
    assert reply.json()["names"] == ["Boston"]


def test_failures() -> None:
    """An error of the database, no connection, none in time."""
    reply, _ = answer("/cities", SqlError("42P01", 'relation "cities" does not exist'))
    assert (reply.json()["status"], reply.json()["code"]) == (2, "42P01")
    reply, asked = answer("/cities", ConnectionRefusedError(), CITIES)
    assert (reply.json()["status"], len(asked)) == (3, 2)
    slow = Member([{"one": 1}], latency=5.0)
    reply, _ = answer("/all", [{"one": 1}], slow, ConnectionResetError(), TimeoutError())
    assert reply.json() == [3, 1, 2, 1]


def test_types_are_those_of_a_server() -> None:
    """What is scripted comes as psycopg would give it."""
    with Client(app, databases={"127.0.0.1:5432/shop": [[VALUES]]}) as client:
        assert client.get("/types").text == "the same"


def test_transaction() -> None:
    """BEGIN and COMMIT are not shown; what fails in it rolls back."""
    reply, asked = answer("/move", 3)
    assert (reply.text, asked) == ("3", [(0, "UPDATE a SET b = %(b)s", (1,))])
    with pytest.raises(TransactionFailed, match="duplicate key"):
        answer("/move", SqlError("23505", "duplicate key"))


def test_stream_and_copy() -> None:
    """Rows come one by one, pieces go in and out."""
    assert answer("/stream", CITIES)[0].text == "Fairfax;Boston;"
    reply, asked = answer("/copy", lambda statement, *data: 2 if data else [{"id": 1, "name": "x"}])
    assert reply.json() == [2, "1\tx\n"]
    assert asked[0] == (0, "COPY a FROM STDIN", (b"1\tx\n2\t\\N\n",))


def test_what_is_not_scripted() -> None:
    """It is told what to write."""
    with pytest.raises(NotScripted, match=r'client\.database\("mydb", \[answer'), Client(app) as c:
        c.get("/cities")
    with pytest.raises(WrongUse, match="answers with a list of dicts, its rows"):
        answer("/cities", "text")
