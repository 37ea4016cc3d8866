"""kill -9 of a worker while clients with kept-alive connections ask without pause."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Callable

from operator_session import Home
from served import Server
from waits import PATIENCE, wait_until

CLIENTS = 32

APP = """\
import os

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/pid")
def pid(was):
    return str(os.getpid())
"""


class Client(threading.Thread):
    """Asks again and again on one connection; opens another when it breaks."""

    def __init__(self, port: int, is_over: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self.answers = 0
        self.refused = 0
        self.broken: list[int | None] = []  # by each broken connection: whose it was, if known
        self._port = port
        self._is_over = is_over

    def run(self) -> None:
        while not self._is_over():
            self._use_one_connection()

    def _use_one_connection(self) -> None:
        worker: int | None = None
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            while not self._is_over():
                connection.request("GET", "/pid")
                worker = int(connection.getresponse().read())
                self.answers += 1
        except ConnectionRefusedError:
            self.refused += 1
        except (http.client.HTTPException, ConnectionError):
            self.broken.append(worker)
        finally:
            connection.close()


def test_only_the_killed_workers_requests_are_lost(home: Home) -> None:
    """Each of its connections breaks once, no other does, none is refused, and a new one serves."""
    server = home.serve(apps={"webapp.py": APP}, processes=2)
    before = server.workers()
    over = threading.Event()
    clients = [Client(server.port, over.is_set) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    _wait_for_answers(clients, 20)

    os.kill(before[0], signal.SIGKILL)
    _wait_for_answers(clients, 20)
    _wait_for_new_worker(server, before)

    over.set()
    for client in clients:
        client.join(PATIENCE)
    broken = [worker for client in clients for worker in client.broken]
    assert set(broken) <= {before[0], None}
    assert all(len(client.broken) <= 2 for client in clients)
    assert sum(client.refused for client in clients) == 0
    assert server.stop() == 0


def _wait_for_answers(clients: list[Client], more: int) -> None:
    wanted = [client.answers + more for client in clients]
    wait_until(
        lambda: all(client.answers >= count for client, count in zip(clients, wanted, strict=True)),
        f"every client has {more} more answers",
    )


def _wait_for_new_worker(server: Server, before: list[int]) -> None:
    def is_new() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/pid")
            return int(connection.getresponse().read()) not in before
        finally:
            connection.close()

    wait_until(is_new, "a worker that was not there before answers")
