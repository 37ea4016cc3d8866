"""A PostgreSQL that is stopped, paused or full, under the load of a server's handlers."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import psycopg
import pytest
from operator_session import Home
from postgres import private
from served import Server
from waits import PATIENCE, wait_until

from skitaid.embedded_postgres import EmbeddedPostgres

APP = """
import json

from skitai.errors import TransactionFailed
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/read")
def read(was):
    s = was.db("@mydb")
    s.execute("SELECT sum(n) AS n FROM generate_series(1, 100) AS n")
    rs = s.getwait(10)
    return json.dumps([int(rs.status), rs.code, rs.msg])


@app.route("/write")
def write(was):
    try:
        with was.db("@mydb").transaction() as tx:
            rs = tx.execute("INSERT INTO log VALUES (1)").getwait(10)
        return json.dumps([int(rs.status), rs.code, rs.msg])
    except TransactionFailed as error:
        return json.dumps([2, error.code, str(error)])


@app.route("/slow")
def slow(was, seconds, timeout="10"):
    s = was.db("@mydb")
    s.execute("SELECT pg_sleep(%s)", (float(seconds),))
    rs = s.getwait(float(timeout))
    return json.dumps([int(rs.status), rs.code, rs.msg])


@app.route("/pools")
def pools(was):
    return was.clusters["mydb"].status()["members"][0]
"""
CLIENTS = 32
REQUESTS = 10_000
PATHS = ("/read", "/write")
CAP = 16


@dataclass
class Load:
    """32 clients that ask again and again until they are told to stop."""

    server: Server
    paths: tuple[str, ...]
    answers: list[Any] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        path = self.paths[number % len(self.paths)]
        connection = self.server.connect()
        try:
            while not self.is_over.is_set():
                connection.request("GET", path)
                self.answers.append(json.loads(connection.getresponse().read()))
        except (OSError, HTTPException) as error:
            self.answers.append([-1, "", repr(error)])
        finally:
            connection.close()

    def good(self) -> int:
        return sum(1 for each in list(self.answers) if each[0] == 3)


@contextmanager
def load(server: Server, *paths: str) -> Iterator[Load]:
    running = Load(server, paths)
    threads = [threading.Thread(target=running.run, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.is_over.set()
        for thread in threads:
            thread.join(PATIENCE)


@dataclass
class Town:
    server: Server
    postgres: EmbeddedPostgres

    def ask(self, path: str) -> Any:
        return self.server.get(path).json()

    def connections(self) -> list[str]:
        """The states of what the server has open."""
        rows = self.postgres.execute(
            "SELECT state FROM pg_stat_activity WHERE application_name = 'skitai db'"
        )
        return [str(state) for (state,) in rows]


@pytest.fixture
def town(home: Home) -> Iterator[Town]:
    """A server of one worker, and a PostgreSQL of its own."""
    with private() as postgres:
        postgres.execute("CREATE TABLE log (n int)")
        server = home.serve(
            "db",
            apps={"webapp.py": APP},
            sections="[@mydb]\ntype = postgresql\nwait_timeout = 5\nconnect_timeout = 1\n"
            f"members = 127.0.0.1:{postgres.port}/postgres/postgres/pw\nmax_connections = {CAP}\n",
            more="drain_timeout = 1",
        )
        yield Town(server, postgres)
        assert server.stop() == 0


def test_restart_under_load(town: Town) -> None:
    """Only what is in flight fails, zero requests afterwards, and the connections are as many."""
    with load(town.server, "/read", "/write") as running:
        wait_until(lambda: running.good() > 200, "the load runs")
        town.postgres.stop()
        town.postgres.start()
        count = len(running.answers)
        wait_until(lambda: len(running.answers) > count + 500, "it goes on")
        after = running.answers[count + CLIENTS :]
    failed = Counter((status, code) for status, code, _ in running.answers if status != 3)
    assert sum(failed.values()) <= CAP, failed
    assert {code for _, code in failed} <= {"57P01", "08000", "", 0, "08006"}, running.answers
    assert [each for each in after if each[0] != 3] == []
    assert len(town.connections()) <= CAP
    wait_until(lambda: set(town.connections()) == {"idle"}, "nothing is left open")


def test_terminated_at_random(town: Town) -> None:
    """Whatever connection ends: reads are not seen to fail, writes are told, all goes on."""
    with load(town.server, "/read", "/write") as running:
        for round in range(5):
            wait_until(lambda least=200 * (round + 1): running.good() > least, "the load runs")
            town.postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'skitai db' AND random() < 0.5"
            )
        count = len(running.answers)
        wait_until(lambda: len(running.answers) > count + 200, "it goes on")
    failed = [each for each in running.answers if each[0] != 3]
    assert len(failed) <= 5 * CAP
    assert {each[0] for each in failed} <= {2}, failed
    assert len(town.connections()) <= CAP
    wait_until(lambda: set(town.connections()) == {"idle"}, "nothing is left open")


def test_many_mixed_requests(town: Town) -> None:
    """Reads, writes, timeouts and clients that leave: then all connections are there, and clean."""

    def client(number: int) -> None:
        with closing(town.server.connect()) as connection:
            for turn in range(REQUESTS // CLIENTS):
                kind = (number + turn) % 8
                if kind == 7:
                    with town.server.raw() as leaving:
                        leaving.sendall(b"GET /slow?seconds=0.2 HTTP/1.1\r\nHost: a\r\n\r\n")
                    continue
                path = "/slow?seconds=5&timeout=0.01" if kind == 6 else PATHS[kind % 2]
                connection.request("GET", path)
                answers[json.loads(connection.getresponse().read())[0]] += 1

    answers: Counter[int] = Counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, range(CLIENTS)))
    assert answers[3] > REQUESTS // 2
    assert answers[1] > REQUESTS // 10
    assert answers[3] + answers[1] == sum(answers.values()), answers
    assert len(town.connections()) <= CAP
    wait_until(lambda: set(town.connections()) == {"idle"}, "nothing is left open")


def test_paused_server(town: Town) -> None:
    """Status 1 at each deadline, new connections are given up; well again when it goes on."""
    assert town.ask("/read")[0] == 3
    children = _children(town.postgres.pid)
    for pid in (town.postgres.pid, *children):
        os.kill(pid, signal.SIGSTOP)
    try:
        answers = [town.ask("/slow?seconds=0&timeout=0.3")[0] for _ in range(4)]
    finally:
        for pid in (town.postgres.pid, *children):
            os.kill(pid, signal.SIGCONT)
    assert set(answers) <= {0, 1}
    wait_until(lambda: town.ask("/read")[0] == 3, "it is asked again")
    wait_until(lambda: set(town.connections()) == {"idle"}, "nothing is left open")
    wait_until(lambda: town.ask("/pools")["busy"] == 0, "nothing is being cleaned")


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(each) for each in file.read().split()]


def test_server_that_is_down(town: Town) -> None:
    """After the time of a restart every call is told at once; then it comes back by itself."""
    assert town.ask("/read")[0] == 3
    town.postgres.stop()
    answers = [town.ask("/read") for _ in range(3)]
    assert [status for status, _, _ in answers] == [0, 0, 0]
    assert all("onnection refused" in msg for _, _, msg in answers)
    town.postgres.start()
    wait_until(lambda: town.ask("/read")[0] == 3, "it is asked again")


def test_full_server(home: Home) -> None:
    """Too many connections: 53300, while those that there are serve; then more again."""
    with private({"max_connections": "8", "superuser_reserved_connections": "0"}) as postgres:
        server = home.serve(
            "db",
            apps={"webapp.py": APP},
            sections=f"[@mydb]\ntype = postgresql\nwait_timeout = 2\nmax_connections = {CAP}\n"
            f"members = 127.0.0.1:{postgres.port}/postgres/postgres/pw\n",
        )
        others = [psycopg.connect(postgres.dsn()) for _ in range(8)]
        try:
            status, code, msg = server.get("/read").json()
            assert (status, code) == (0, "53300")
            assert "too many clients" in msg
        finally:
            for other in others:
                other.close()
        wait_until(lambda: server.get("/read").json()[0] == 3, "there is room again")
        assert server.stop() == 0
