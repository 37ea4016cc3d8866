"""A load that notices every request that goes wrong, for restarts and kills under load.

Eight clients ask without pause, half of them on a connection that they keep as long as the
server lets them, half on a fresh one each time; every other request is a POST of 16 KiB, whose
answer must name its size and checksum. Each outcome is counted by its name.
"""

from __future__ import annotations

import http.client
import random
import ssl
import threading
import zlib
from collections import Counter

CLIENTS = 8
BODY = 16 * 1024
PATIENCE = 10.0  # seconds for one answer

APP = """\
import os
import zlib

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/sum")
def sum(was):
    body = was.request.get_body() or b""
    return "%d %d %d" % (os.getpid(), len(body), zlib.crc32(body))
"""


class MixedLoad:
    """The clients, as threads. `outcomes` counts; `broken_by` tells whose connections broke."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.outcomes: Counter[str] = Counter()
        self.broken_by: Counter[int | None] = Counter()  # by the pid that had answered before
        self._port = port
        self._tls = tls
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._client, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> Counter[str]:
        """End the load; returns the outcomes."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)
        return self.outcomes

    @property
    def answers(self) -> int:
        """Right answers so far."""
        return self.outcomes["ok"]

    def failures(self) -> dict[str, int]:
        """All that was not right."""
        return {name: count for name, count in self.outcomes.items() if name != "ok"}

    def _client(self, number: int) -> None:
        keeps = number % 2 == 0
        while not self._over.is_set():
            connection = self._connection()
            try:
                self._use(connection, keeps)
            finally:
                connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=PATIENCE, context=self._tls
        )

    def _use(self, connection: http.client.HTTPConnection, keeps: bool) -> None:
        served_by: int | None = None
        while not self._over.is_set():
            try:
                served_by, is_right, stays = _ask(connection, keeps)
            except Exception as error:
                self._note(_name(error))
                with self._lock:
                    self.broken_by[served_by] += 1
                return
            self._note("ok" if is_right else "wrong")
            if not (keeps and stays):
                return

    def _note(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


def _ask(connection: http.client.HTTPConnection, keeps: bool) -> tuple[int, bool, bool]:
    """(who answered, whether rightly, whether the connection stays open)."""
    body = random.randbytes(BODY) if random.random() < 0.5 else b""
    headers = {} if keeps else {"Connection": "close"}
    connection.request("POST" if body else "GET", "/sum", body or None, headers)
    response = connection.getresponse()
    text = response.read().decode()
    if response.status != 200:
        return 0, False, False
    pid, size, checksum = map(int, text.split())
    return pid, (size, checksum) == (len(body), zlib.crc32(body)), not response.will_close


def _name(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "refused"
        case TimeoutError():
            return "timeout"
        case ConnectionError() | http.client.RemoteDisconnected():
            return "reset"
        case http.client.IncompleteRead():
            return "cut off"
    return type(error).__name__
