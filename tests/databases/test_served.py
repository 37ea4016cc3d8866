"""Databases asked by plain handlers of a real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xmlrpc.client import ServerProxy

import pytest
from operator_session import Home
from postgres import Postgres
from served import Server
from waits import PATIENCE, wait_until

APP = (Path(__file__).parent / "app_of_databases.py").read_text()
CITIES = (
    "CREATE TABLE cities (id serial PRIMARY KEY, name text NOT NULL, population int)",
    "INSERT INTO cities (name, population) VALUES"
    " ('Fairfax', 23478), ('Boston', 655884), ('Austin', 885400)",
    "CREATE TABLE accounts (id int, amount int)",
    "INSERT INTO accounts VALUES (1, 100), (2, 100)",
)
PROCESSES = 2
CONNECTIONS = 8


@dataclass
class Town:
    """A server whose handlers ask two databases."""

    server: Server
    postgres: Postgres
    names: list[str]

    def text(self, path: str, **query: str) -> str:
        reply = self.server.get(f"{path}?{urlencode(query)}" if query else path)
        assert reply.status == 200, reply.text
        return reply.text

    def ask(self, path: str, **query: str) -> Any:
        return json.loads(self.text(path, **query))

    def amounts(self) -> list[int]:
        rows = self.postgres.execute("SELECT amount FROM accounts ORDER BY id", self.names[0])
        return [amount for (amount,) in rows]

    def states(self) -> list[str]:
        """What the connections of the server do."""
        found = [self.postgres.connections(name) for name in self.names]
        return sorted(state for each in found for _, state, _ in each)


@pytest.fixture(scope="module")
def town(postgres: Postgres, shared_home: Home) -> Iterator[Town]:
    with ExitStack() as stack:
        names = [stack.enter_context(postgres.database(*CITIES)) for _ in range(2)]
        shared_home.env["TEST_PG_SERVER"] = " ".join(
            (postgres.server, names[0], postgres.user, postgres.password)
        )
        members = ", ".join(postgres.member(name) for name in names)
        server = shared_home.serve(
            "db",
            apps={"webapp.py": APP},
            sections=f"[@mydb]\ntype = postgresql\nmembers = {members}\n"
            f"max_connections = {PROCESSES * CONNECTIONS}\n",
            processes=PROCESSES,
        )
        yield Town(server, postgres, names)
        assert server.stop() == 0
        assert postgres.password not in server.log()


# what goes wrong


def test_sql_error(town: Town) -> None:
    """The handler gets status 2, SQLSTATE and sentence; a handler that returns it is a 502."""
    status, code, data, msg = town.ask("/db", sql="SELECT 1 / 0")
    assert (status, code, data, msg) == (2, "22012", [], "division by zero")
    reply = town.server.get("/dlb?" + urlencode({"sql": "SELECT nothing"}))
    assert (reply.status, "does not exist" in reply.text) == (502, True)


def test_deadline(town: Town) -> None:
    """Status 1, and the server is told to stop."""
    assert town.ask("/db", sql="SELECT pg_sleep(60)", timeout="0.05")[0] == 1
    wait_until(lambda: "active" not in town.states(), "the statement is cancelled")


@pytest.mark.parametrize("how", ["raise", "sql", "late"])
def test_transaction_that_fails(town: Town, how: str) -> None:
    """By an exception, an error or its deadline: nothing stays, and no connection is left in it."""
    before = town.amounts()
    text = town.text("/transfer", amount="50", fail=how)
    assert text.startswith("ValueError" if how == "raise" else "TransactionFailed: it was rolled")
    assert town.amounts() == before
    wait_until(lambda: set(town.states()) == {"idle"}, "the connections are clean")


def test_client_that_leaves_in_a_transaction(town: Town) -> None:
    """The statement is cancelled, everything is rolled back."""
    before = town.amounts()
    _leave(town, "/sleeping-transaction")
    wait_until(lambda: set(town.states()) == {"idle"}, "it is rolled back")
    assert town.amounts() == before


def test_client_that_leaves_a_slow_statement(town: Town) -> None:
    """The handler is told by ClientGone, and the server by a cancel."""
    _leave(town, "/slow?seconds=60")
    town.server.wait_log("the client has left a slow statement")
    wait_until(lambda: set(town.states()) == {"idle"}, "it is cancelled")


def _leave(town: Town, path: str) -> None:
    with town.server.raw() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(lambda: "active" in town.states(), "the statement runs")


@pytest.mark.parametrize("path", ["/forgotten", "/forgotten-transaction"])
def test_what_a_handler_forgets(town: Town, path: str) -> None:
    """It ends with the request, and the log names request and handler."""
    before = town.amounts()
    assert town.text(path)
    name = path.removeprefix("/").replace("-", "_")
    town.server.wait_log(f"GET {path}: webapp.{name} has left a transaction open")
    wait_until(lambda: set(town.states()) == {"idle"}, "it is rolled back")
    assert town.amounts() == before


# what works


def test_database_that_a_call_names(town: Town) -> None:
    """`was.db (server, dbname, user, password)`."""
    sql = "SELECT name FROM cities WHERE id = 1"
    assert town.ask("/db", sql=sql) == [3, 200, [{"name": "Fairfax"}], ""]


def test_rows_are_json(town: Town) -> None:
    """Of a handler that returns them, and of one that returns the result."""
    assert town.ask("/row", id="1") == [{"name": "Fairfax", "population": 23478}]
    assert town.ask("/dlb", sql="SELECT 1.5::numeric AS n") == [{"n": "1.5"}]


def test_rows_by_xml_rpc(town: Town) -> None:
    """They are structs."""
    with ServerProxy(f"http://127.0.0.1:{town.server.port}/rpc2") as proxy:
        assert proxy.row(1) == [{"name": "Fairfax", "population": 23478}]


def test_map(town: Town) -> None:
    """All databases at once, in their order; a filter runs on each result."""
    found = town.ask("/dmap", sql="SELECT current_database() AS name")
    assert [rows[0]["name"] for _, _, rows, _ in found] == town.names
    assert town.ask("/filtered") == [["Boston", "Austin"]] * 2
    assert sorted(town.ask("/quorum"))[-1] == 3


def test_several_statements_on_a_handle(town: Town) -> None:
    """They are out together; their results come in their order."""
    assert town.ask("/several") == [0, 1, 2]


def test_transaction(town: Town) -> None:
    """Both or none, with a savepoint in it."""
    first, second = town.amounts()
    assert town.text("/transfer", amount="10") == "done"
    assert town.amounts() == [first - 10, second + 10]


def test_copy(town: Town) -> None:
    """Rows go in from a generator, and come out."""
    count, size = town.ask("/copy", count="20000")
    assert count == 20000
    assert size > 20000 * 12


def test_async_handler(town: Town) -> None:
    """`await`, `async with`, `async for`."""
    assert town.ask("/async") == [1, 2, [1, 2, 3]]


def test_results_that_are_kept(town: Town) -> None:
    """The next one is given the same rows, whatever the first has made of its own."""
    was_cached, first, number, columns, count = town.ask("/cached")
    seen = {json.dumps(town.ask("/cached")[1:]) for _ in range(20)}
    assert (was_cached, number, columns, count) == (False, "1.5", ["t", "n"], 1)
    assert 1 <= len(seen) <= PROCESSES
    assert json.dumps([first, number, columns, count]) in seen


def test_results_kept_by_hand(town: Town) -> None:
    """`results.cache (timeout)` keeps those of all members."""
    town.ask("/cached-by-result")
    wait_until(
        lambda: [cached for cached, _ in town.ask("/cached-by-result")] == [True, True],
        "each worker has kept them",
    )


def test_stream(town: Town) -> None:
    """All rows, in chunks; its connection is free again at the end."""
    lines = town.text("/stream", count="5000").splitlines()
    assert [line.partition(",")[0] for line in lines] == [str(n) for n in range(1, 5001)]
    wait_until(lambda: set(town.states()) == {"idle"}, "the cursor is closed")


def test_stream_to_a_client_that_does_not_read(town: Town) -> None:
    """The database is asked for no more than the client takes; when it leaves, the cursor ends."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", town.server.port))
        client.sendall(b"GET /stream?count=100000000&width=1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1024)
        wait_until(lambda: "idle in transaction" in town.states(), "it has sent what is taken")
    wait_until(lambda: set(town.states()) == {"idle"}, "the cursor is closed")


def test_status(town: Town) -> None:
    """Each worker tells of its pools: size, idle, in use, waiting, and so on."""
    town.ask("/row", id="1")
    status = town.ask("/status")
    first = status["clusters"]["mydb"]["members"][0]
    assert first["address"] == f"{town.postgres.server}/{town.names[0]}"
    assert first["cap"] == CONNECTIONS // 2
    assert {"idle", "busy", "opening", "waiting", "waited", "opened", "closed_by_age"} < set(first)
    assert first["last_error"] == ""
    assert town.postgres.password not in json.dumps(status)


def test_connections_are_as_many_as_may_be(town: Town) -> None:
    """However many ask: not more than max_connections, none of them in a transaction after that."""
    with ThreadPoolExecutor(4 * CONNECTIONS) as clients:
        list(clients.map(lambda _: town.ask("/dmap", sql="SELECT 1 AS one"), range(100)))
    assert (
        len(town.states()) <= PROCESSES * CONNECTIONS + CONNECTIONS
    )  # some by was.db, which names its own
    wait_until(lambda: set(town.states()) == {"idle"}, "nothing is left open")


def test_operator_takes_a_member_out(town: Town, shared_home: Home) -> None:
    """`skitaid cluster` shows databases, and a drained one is not asked any more."""
    first = f"{town.postgres.server}/{town.names[0]}"
    shown = shared_home.run("cluster", "mydb")
    assert (shown.code, first in shown.out) == (0, True), shown.out + shown.err
    sql = "SELECT current_database() AS name"
    assert shared_home.run("cluster", "mydb", "drain", first).code == 0
    try:
        wait_until(
            lambda: {town.ask("/dlb", sql=sql)[0]["name"] for _ in range(8)} == {town.names[1]},
            "it is passed over by all workers",
        )
        assert [rows[0]["name"] for _, _, rows, _ in town.ask("/dmap", sql=sql)] == town.names[1:]
    finally:
        assert shared_home.run("cluster", "mydb", "enable", first).code == 0
    wait_until(lambda: len(town.ask("/dmap", sql=sql)) == 2, "it is asked again")
