"""An operator at work: a home with confs and apps; servers are started from it, asked, broken.

    def test_a_server_says_hello(home: Home) -> None:
        server = home.serve("web", apps={"webapp.py": APP})
        assert server.get("/hello").text == "hello"
        assert server.stop() == 0

Everything is a real process, run by the command line. Nothing sleeps: readiness is a line on
a descriptor, the log is read by a thread that wakes who waits for a text, the end of a process
is a pidfd. Every wait is bounded and says what it waited for.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from served import Log, Server
from survivors import adopt_orphans, our_processes, reap_adopted, wait_gone
from waits import PATIENCE

from skitaid.pidfile import holder

CHECKOUT = Path(__file__).resolve().parent.parent
PORTS = range(10000, 32000)  # below those the kernel takes for outgoing connections

HELLO = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hello")
def hello(was):
    return "hello"
"""

CONF = """\
[server]
processes = {processes}
threads = {threads}
ip = 127.0.0.1
port = {port}
{more}

[routes:line]
{routes}

{sections}
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Home:
    """Confs in etc, apps in app, what running servers keep in var."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.etc = root / "etc" / "skitaid"
        self.var = root / "var"
        self.app = root / "app"
        self.env: dict[str, str] = {}  # added to the environment of all commands
        self._servers: list[Server] = []
        adopt_orphans()
        self._others = {process.pid for process in our_processes()}
        for directory in ("servers-enabled", "servers-available", "cert"):
            (self.etc / directory).mkdir(parents=True)
        self.app.mkdir()

    # Writing

    def write_app(self, name: str, text: str = HELLO) -> Path:
        """An app, or any file, below app/."""
        path = self.app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def write_conf(self, name: str, conf: str | None = None, **values: Any) -> int:
        """NAME.conf in servers-enabled; returns its port.

        `conf` is the whole text, with {port} and {app} to be filled in. Without it the
        conf is made of `values`: port, processes, threads, more (lines of [server]),
        routes (lines of [routes:line]), sections (all that follows). `directory` is another
        one for the conf.
        """
        port: int = values.pop("port", None) or free_port()
        directory: Path = values.pop("directory", self.etc / "servers-enabled")
        text = _conf(**values) if conf is None else conf
        text = text.replace("{port}", str(port)).replace("{app}", str(self.app))
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.conf").write_text(text)
        return port

    # Running

    def serve(
        self,
        name: str = "web",
        conf: str | None = None,
        apps: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Server:
        """`skitaid serve NAME` when it is ready; `conf` and `values` as of `write_conf`."""
        for file, text in (apps or {"webapp.py": HELLO}).items():
            self.write_app(file, text)
        port = self.write_conf(name, conf, **values)
        return self.start([*self.skitaid, "serve", name], name, port)

    def start(
        self, command: list[str], name: str, port: int, pass_fds: tuple[int, ...] = ()
    ) -> Server:
        """A command that serves and takes `--notify-fd`, when it says that it is ready."""
        ready, notify = os.pipe()
        log_reader, log_writer = os.pipe()
        process = subprocess.Popen(
            [*command, "--notify-fd", str(notify)],
            stdin=subprocess.DEVNULL,
            stdout=log_writer,
            stderr=log_writer,
            pass_fds=[notify, *pass_fds],
            env=self.environment,
            cwd=self.root,
            start_new_session=True,  # a group of its own, as a shell would give it
        )
        os.close(notify)
        os.close(log_writer)
        server = Server(port, name, self.var / "servers" / name, process, Log(log_reader))
        self._servers.append(server)
        _wait_ready(ready, server)
        return server

    def run(self, *arguments: str) -> Ran:
        """`skitaid ARGUMENTS` to its end."""
        return self.run_command([*self.skitaid, *arguments])

    def run_command(self, command: list[str], pass_fds: tuple[int, ...] = ()) -> Ran:
        """Any command to its end, in this home."""
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=pass_fds,
            text=True,
            env=self.environment,
            cwd=self.root,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    @property
    def skitaid(self) -> list[str]:
        """The command, with the directories of this home."""
        etc, var = str(self.etc), str(self.var)
        return [sys.executable, "-W", "error", "-m", "skitaid", "--etc", etc, "--var", var]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(CHECKOUT), **self.env}

    # The end

    def close(self) -> None:
        """Stop what still runs. Fails, after killing it, if something does not stop."""
        for server in self._servers:
            if server.process.poll() is None:
                server.send(signal.SIGTERM)
        fleet = holder(self.var / "lock" / "pid")
        if fleet:
            os.kill(fleet, signal.SIGTERM)
        self.assert_nothing_runs()
        for server in self._servers:
            server.process.wait(PATIENCE)
            server.stderr.close()
        reap_adopted(set())

    def assert_nothing_runs(self) -> None:
        """Wait until all that was started from here has ended."""
        survivors = wait_gone(self.processes(), PATIENCE)
        names = [f"{process.pid} {' '.join(process.cmdline())}" for process in survivors]
        for process in survivors:
            process.kill()
        assert not names, f"still running: {names}"

    def processes(self) -> list[Any]:
        """What runs now and was started from here, as `psutil.Process`."""
        return [process for process in our_processes() if process.pid not in self._others]


def free_port() -> int:
    """A port that nobody listens on."""
    while True:
        port = random.choice(PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port


def _conf(
    processes: int = 1,
    threads: int = 4,
    more: str = "",
    routes: str = "/ = {app}/webapp",
    sections: str = "",
) -> str:
    filled = {"processes": processes, "threads": threads, "more": more}
    filled |= {"routes": routes, "sections": sections}
    return CONF.format(port="{port}", **filled)


def _wait_ready(descriptor: int, server: Server) -> None:
    """Wait for the line; end of file means that the server has given up."""
    with open(descriptor, encoding="utf-8") as pipe:
        came, _, _ = select.select([pipe], [], [], PATIENCE)
        line = pipe.readline() if came else "nothing in time"
    if not line.startswith("ready"):
        raise AssertionError(f"server {server.name} did not start ({line!r}):\n{server.log()}")
