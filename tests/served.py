"""A server that runs, as the one who started it sees it: asked, signalled, its log read."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from waits import PATIENCE

from skitaid.supervisor.control_call import ask
from skitaid.supervisor.control_records import ServerStatus, Status
from skitaid.supervisor.master import control_path


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server has answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Log:
    """What a process and its children write to a pipe, read by a thread as it comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = ""
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="log reader", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """All of it so far."""
        with self._changed:
            return self._text

    def wait_for(self, text: str, times: int = 1) -> str:
        """All of it when `text` is there, `times` times."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._text.count(text) >= times, PATIENCE):
                raise AssertionError(f"the log does not say {text!r}; it says:\n{self._text}")
            return self._text

    def wait_end(self) -> str:
        """All of it when nobody is left who could write more."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended, PATIENCE):
                raise AssertionError(f"somebody still holds the log open:\n{self._text}")
            return self._text

    def close(self) -> None:
        """Wait for its end and for the thread's."""
        self.wait_end()
        self._thread.join()

    def _read(self) -> None:
        """In the thread."""
        with open(self._descriptor, encoding="utf-8", errors="replace") as pipe:
            for line in pipe:
                self._append(line)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _append(self, line: str) -> None:
        with self._changed:
            self._text += line
            self._changed.notify_all()


@dataclass(frozen=True)
class Client:
    """Asks whoever listens on a port of this machine."""

    port: int

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("GET", path, headers=headers)

    def post(
        self, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        return self.request("POST", path, body, headers)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        with closing(self.connect()) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())

    def connect(self) -> http.client.HTTPConnection:
        """A connection for several requests; the caller closes it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def raw(self) -> socket.socket:
        """A bare connection, for what no client library would send; the caller closes it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)


@dataclass(frozen=True)
class Server(Client):
    """A running server, held by its master."""

    name: str
    run_dir: Path
    process: subprocess.Popen[bytes]
    stderr: Log

    @property
    def pid(self) -> int:
        return self.process.pid

    def status(self) -> ServerStatus:
        """What the master says of itself."""
        path = control_path(str(self.run_dir))
        return ask(path, Status(), msgspec.json.Decoder(ServerStatus), PATIENCE)

    def workers(self) -> list[int]:
        """The pids of the workers, by ordinal."""
        return [worker.pid for worker in self.status().workers]

    def log(self) -> str:
        """All that was written to stderr so far."""
        return self.stderr.text()

    def wait_log(self, text: str, times: int = 1) -> str:
        """The log when it says `text`, `times` times."""
        return self.stderr.wait_for(text, times)

    def send(self, number: signal.Signals) -> None:
        """A signal for the master."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code of the master, when it and all its workers have ended."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the master does not end; its log:\n{self.log()}") from None
        self.stderr.wait_end()
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell the master to stop; its exit code."""
        self.send(number)
        return self.wait()
