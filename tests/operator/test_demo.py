"""The demo as its user sees it: start, ask, stop a member, ask again, Ctrl-C."""

from __future__ import annotations

import base64
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operator_session import Home, free_port
from waits import PATIENCE

from skitaid.embedded_postgres import _reachable


@pytest.fixture
def demo(home: Home) -> Iterator[tuple[int, str]]:
    """A running demo: its port, and what it printed."""
    port = _four_free_ports()
    process = subprocess.Popen(
        [sys.executable, "-m", "skitaid", "demo", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env=home.environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    yield port, "".join(lines)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    process.stdout.close()


def test_its_postgresql_is_copied_with_its_libraries_where_nobody_may_enter(tmp_path: Path) -> None:
    """A checkout below /root, say; the programs look for the libraries beside their package."""
    package = tmp_path / "private" / "pgserver"
    programs = package / "pginstall" / "bin"
    programs.mkdir(parents=True)
    (programs / "initdb").touch()
    package.with_name("pgserver.libs").mkdir()
    (tmp_path / "private" / "pgserver.libs" / "libpq.so").touch()
    (tmp_path / "private").chmod(0o700)

    copy = _reachable(programs, tmp_path / "directory")

    assert (copy / "initdb").exists()
    assert (copy / ".." / ".." / ".." / "pgserver.libs" / "libpq.so").exists()


def test_the_demo_says_what_to_try_and_it_works(demo: tuple[int, str], home: Home) -> None:
    """Page, XML-RPC and search answer; with a member down the search tells which and why."""
    port, printed = demo
    assert _get(port, "/hello") == "Hello World"
    assert "<h1>One function, three servers</h1>" in _get(port, "/")
    with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/RPC2") as proxy:
        assert proxy.hello() == "Hello World"

    assert f"localhost:{port}/cities" in printed
    found = json.loads(_get(port, "/query?keyword=os"))
    assert [row["name"] for row in found["found"]] == ["Boston", "Oslo"]
    assert [each["status"] for each in found["databases"]] == [3, 3, 3]
    assert len({row["database"] for row in json.loads(_get(port, "/cities"))}) == 1

    whole = _search(port)
    assert [each["title"] for each in whole["found"]] == ["Eroica", "Fidelio", "Moonlight Sonata"]
    assert [member["status"] for member in whole["members"]] == [3, 3, 3]

    stop = re.search(r"^ +(\S.* stop s2)$", printed, re.MULTILINE)
    assert stop, printed
    arguments = shlex.split(stop[1])[1:]
    assert home.run_command([sys.executable, "-m", "skitaid", *arguments]).code == 0

    partial = _search(port)
    assert len(partial["found"]) == 2
    second = partial["members"][1]
    assert (second["node"], second["status"]) == (f"127.0.0.1:{port + 2}", 0)
    assert "connection refused" in second["msg"]
    assert [member["status"] for member in partial["members"]] == [3, 0, 3]

    password = re.search(r"sign in as admin, with the password (\w+)$", printed, re.MULTILINE)
    assert password, printed
    (cluster,) = _status(port, password[1])["clusters"]
    errors = {member["node"]: member["last_error"] for member in cluster["members"]}
    assert [node for node, error in errors.items() if error] == [second["node"]]


def test_a_taken_port_is_told_with_what_to_do(home: Home) -> None:
    """Nothing is started, and the sentence names the port and the option."""
    port = _four_free_ports()
    with socket.create_server(("127.0.0.1", port + 1)):
        ran = home.run_command([sys.executable, "-m", "skitaid", "demo", "--port", str(port)])

    assert ran.code == 1
    assert f"127.0.0.1:{port + 1}" in ran.err
    assert "skitaid demo --port" in ran.err


def _status(port: int, password: str) -> Any:
    """What the status page shows, after signing in."""
    url = f"http://127.0.0.1:{port}/skitai/status.json"
    basic = base64.b64encode(f"admin:{password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {basic}"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)


def _four_free_ports() -> int:
    while True:
        port = free_port()
        try:
            for each in range(port, port + 4):
                socket.create_server(("127.0.0.1", each)).close()
        except OSError:
            continue
        return port


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
    return text


def _search(port: int) -> Any:
    return json.loads(_get(port, "/search?keyword=Beethoven"))
