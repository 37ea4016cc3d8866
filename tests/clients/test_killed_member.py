"""One of five members is killed under load: what callers of `lb` and `map` see of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from operator_session import Home
from served import Server
from waits import wait_until

APP = """
import json

from skitai.server import ssgi

app = ssgi.Application(__name__)


def told(rs):
    return [int(rs.status), rs.node, rs.msg]


@app.route("/lb")
def lb(was):
    s = was.lb("five")
    s.who()
    return json.dumps(told(s.getwait(30)))


@app.route("/map")
def map(was):
    s = was.map("five")
    s.who()
    return json.dumps([told(rs) for rs in s.getswait(30)])
"""
CALLERS = 8
NORMAL = 3


@dataclass(frozen=True, slots=True)
class Member:
    process: subprocess.Popen[str]
    node: str

    def kill(self) -> None:
        """As the kernel or a power cut does it, to its end."""
        self.process.kill()
        self.process.wait()


@contextmanager
def member() -> Iterator[Member]:
    script = Path(__file__).with_name("member.py")
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        yield Member(process, f"127.0.0.1:{process.stdout.readline().strip()}")
        process.kill()


@pytest.fixture
def members() -> Iterator[list[Member]]:
    with ExitStack() as stack:
        yield [stack.enter_context(member()) for _ in range(5)]


class Load:
    """Callers that ask /lb without pause, each on a connection of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._generation = 0  # counted up by `mark`
        self.answers: list[tuple[int, int, str]] = []  # generation when asked, status, node
        self._threads = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def mark(self) -> int:
        """A number that all calls have which begin from now on."""
        self._generation += 1
        return self._generation

    def wait(self, what: str, enough: Callable[[list[tuple[int, int, str]]], bool]) -> None:
        """Wait for answers."""
        wait_until(lambda: enough(self.since(0)), what)

    def since(self, mark: int) -> list[tuple[int, int, str]]:
        """The answers to calls that began at a mark or later."""
        with self._lock:
            return [answer for answer in self.answers if answer[0] >= mark]

    def _ask(self) -> None:
        connection = self._server.connect()
        try:
            while not self._ended.is_set():
                generation = self._generation
                connection.request("GET", "/lb")
                status, node, _ = json.loads(connection.getresponse().read())
                with self._lock:
                    self.answers.append((generation, status, node))
        finally:
            connection.close()


def test_one_of_five_members_is_killed_under_load(home: Home, members: list[Member]) -> None:
    """Calls that it had in hand may fail; none does from its ejection on, and map names it."""
    nodes = [member.node for member in members]
    sections = f"[@five]\nmembers = {', '.join(nodes)}\n"
    server = home.serve("web", apps={"webapp.py": APP}, sections=sections)
    with Load(server) as load:
        load.wait("an answer of each", lambda seen: {node for _, _, node in seen} == set(nodes))
        assert {status for _, status, _ in load.since(0)} == {NORMAL}
        dead = members[2]
        dead.kill()
        server.wait_log("; after 3 failures it is left alone")  # refused, or reset in the middle
        mark = load.mark()
        for _ in range(20):
            results = server.get("/map").json()
            assert [node for _, node, _ in results] == nodes
            assert [node for status, node, _ in results if status != NORMAL] == [dead.node]
        load.wait("a thousand calls", lambda seen: sum(each[0] >= mark for each in seen) >= 1000)
    after = load.since(mark)
    assert {status for _, status, _ in after} == {NORMAL}
    assert {node for _, _, node in after} == {*nodes} - {dead.node}
    assert server.stop() == 0
