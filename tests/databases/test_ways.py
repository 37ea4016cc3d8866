"""What lies between a server and its database: a network that fails, a cache that others share."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from operator_session import Home
from postgres import Postgres
from served import Server
from tcp_proxy import TcpProxy
from valkey import PROGRAM, Valkey
from waits import PATIENCE, wait_until

APP = """
import json
import os

from skitai.server import ssgi

app = ssgi.Application(__name__)


def told(rs):
    return json.dumps([int(rs.status), rs.code, rs.msg])


@app.route("/read")
def read(was, timeout="10"):
    s = was.db("@mydb")
    s.execute("SELECT name FROM cities WHERE id = 2")
    return told(s.getwait(float(timeout)))


@app.route("/slow")
def slow(was):
    s = was.db("@mydb")
    s.execute("DO $$ BEGIN PERFORM pg_sleep(60); END $$")  # no read, so nobody sends it again
    return told(s.getwait(30))


@app.route("/kept/<int:id>")
def kept(was, id):
    s = was.db("@mydb", cache=3600)
    s.execute("SELECT name, population, 1.5::numeric AS n, clock_timestamp() AS at"
              " FROM cities WHERE id = %s", (id,))
    rs = s.getwait(10)
    row = rs.data[0]
    values = [row.name, row.population, str(row.n), str(row.at)]
    return json.dumps([os.getpid(), rs.is_cached, *values])
"""
WAIT_TIMEOUT = 5
TIMED_OUT, FAILED, NORMAL = 1, 2, 3


@dataclass
class Village:
    """A server of one worker, and the way from it to its database."""

    server: Server
    way: TcpProxy
    postgres: Postgres
    database: str

    def ask(self, path: str) -> Any:
        return self.server.get(path).json()

    def statements(self) -> list[str]:
        """What the connections of the server do that have something to do."""
        found = self.postgres.connections(self.database)
        return [query for _, state, query in found if state != "idle"]


@contextmanager
def asked(village: Village, path: str) -> Iterator[list[Any]]:
    """Someone who has asked meanwhile; the answer is in the list in the end."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(village.ask(path)))
    thread.start()
    try:
        yield answers
    finally:
        thread.join(PATIENCE)


@pytest.fixture
def village(home: Home, place: Any, postgres: Postgres) -> Iterator[Village]:
    with TcpProxy(place.port) as way:
        server = home.serve(
            "db",
            apps={"webapp.py": APP},
            sections="[@mydb]\ntype = postgresql\nconnect_timeout = 1\n"
            f"wait_timeout = {WAIT_TIMEOUT}\nmax_connections = 4\n"
            f"members = {way.node}/{place.name}/{place.user}/{place.password}\n",
            more="drain_timeout = 1",
        )
        yield Village(server, way, postgres, place.name)
        assert server.stop() == 0
    # A statement that sleeps learns of the end of its connection when it has slept.
    postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{place.name}'"
    )
    wait_until(lambda: postgres.connections(place.name) == [], "nothing is left of this test")


def test_a_way_that_goes_silent_is_status_1_at_the_deadline(village: Village) -> None:
    """Half-open TCP: nobody says that it is over. Once it goes on, so does the server."""
    assert village.ask("/read")[0] == NORMAL
    village.way.stop()
    answers = [village.ask("/read?timeout=0.3") for _ in range(3)]
    village.way.go()

    assert [status for status, _, _ in answers] == [TIMED_OUT] * 3
    assert all("no answer" in msg for _, _, msg in answers)
    wait_until(lambda: village.ask("/read")[0] == NORMAL, "it is asked again")
    wait_until(lambda: village.statements() == [], "nothing is left running")


def test_a_way_that_is_half_closed_while_idle_is_noticed_at_once(village: Village) -> None:
    """The next statement goes out on another connection, and nobody sees that one has ended."""
    for _ in range(5):
        assert village.ask("/read")[0] == NORMAL
        village.way.half_close()

    assert village.ask("/read")[0] == NORMAL


@pytest.mark.parametrize("harm", ["half_close", "reset"])
def test_a_way_that_breaks_under_a_statement_fails_it_at_once(village: Village, harm: str) -> None:
    """With a sentence that names the server, and no other statement is harmed."""
    with asked(village, "/slow") as answers:
        wait_until(lambda: any("pg_sleep" in each for each in village.statements()), "it runs")
        getattr(village.way, harm)()

    ((status, _, msg),) = answers
    assert status == FAILED
    assert village.way.node in msg
    assert village.ask("/read")[0] == NORMAL


@pytest.mark.skipif(PROGRAM is None, reason="no valkey-server and no redis-server")
def test_rows_are_shared_by_workers_through_a_cache_server(
    home: Home, place: Any, postgres: Postgres, tmp_path: Path
) -> None:
    """What one worker has asked for another has, with its types, and for its parameters only."""
    valkey = Valkey(tmp_path)
    try:
        server = home.serve(
            "db",
            apps={"webapp.py": APP},
            sections=f"[@mydb]\ntype = postgresql\nmembers = {postgres.member(place.name)}\n",
            processes=2,
            more=f"result_cache = {valkey.url}",
        )
        answers: list[Any] = []

        def both_have_answered() -> bool:
            answers.append(json.loads(server.get("/kept/2").text))
            return len({pid for pid, *_ in answers}) == 2

        wait_until(both_have_answered, "both workers have answered")
        other = json.loads(server.get("/kept/3").text)

        assert [is_cached for _, is_cached, *_ in answers] == [False] + [True] * (len(answers) - 1)
        assert {tuple(row) for _, _, *row in answers} == {tuple(answers[0][2:])}
        assert answers[0][2:5] == ["Boston", 655884, "1.5"]
        assert other[1:5] == [False, "Austin", 885400, "1.5"]
        assert server.stop() == 0
    finally:
        valkey.stop()
