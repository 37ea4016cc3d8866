"""A Valkey or Redis server of one test, where there is one."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

from waits import PATIENCE, wait_until

PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server")


class Valkey:
    """On a unix socket; it writes nothing down."""

    def __init__(self, directory: Path) -> None:
        assert PROGRAM is not None
        self.socket = directory / "valkey.sock"
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._process = subprocess.Popen(
            [PROGRAM, *options], cwd=directory, stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, "the cache server's start")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def ask(self, *words: str) -> bytes:
        """The answer to one command, as it comes."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self.socket))
            sock.sendall(" ".join(words).encode() + b"\r\n")
            return sock.recv(65536)

    def stop(self) -> None:
        self.send(signal.SIGCONT)
        self._process.kill()
        self._process.wait(PATIENCE)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False
