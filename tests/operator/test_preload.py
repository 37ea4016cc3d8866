"""`preload = yes`: the master imports the apps, and is another program after each change."""

from __future__ import annotations

import signal
import subprocess

import pytest
from operator_session import HELLO, Home
from served import Client, Server
from waits import PATIENCE, Gate, wait_until

IMPORTED_BY = """\
import os

from skitai.server import ssgi

app = ssgi.Application(__name__)
IMPORTER = os.getpid()


@app.route("/hello")
def hello(was):
    return f"{IMPORTER} {os.getpid()}"
"""

THREAD = """
import threading


def poll():
    threading.Event().wait()


threading.Thread(target=poll, name="price poller", daemon=True).start()
"""

SOCKET = """
import socket

listening = socket.create_server(("127.0.0.1", 0))
connected = socket.create_connection(listening.getsockname())
open("address", "w").write(":".join(map(str, listening.getsockname())))
"""

SAYS_NEW = HELLO.replace('"hello"', '"new"')
BROKEN = HELLO + "\nimport no_such_module_anywhere\n"
PRELOAD = "preload = yes"
HANGS = """
import signal

open("{gate}/came", "w").close()
while True:
    try:
        signal.pause()
    except BaseException:
        pass
"""


def serve(home: Home, app: str = HELLO, processes: int = 1) -> Server:
    """With preloaded apps."""
    return home.serve("web", apps={"webapp.py": app}, processes=processes, more=PRELOAD)


def importers(server: Server, workers: int) -> set[int]:
    """The process ids that the app was imported in, when so many workers have answered."""
    seen: dict[int, int] = {}

    def all_answered() -> bool:
        importer, pid = map(int, server.get("/hello").text.split())
        seen[pid] = importer
        return len(seen) == workers

    wait_until(all_answered, f"an answer of each of {workers} workers")
    return set(seen.values())


def test_all_workers_have_what_the_master_has_imported(home: Home) -> None:
    """Those that replace a dead one, too."""
    server = serve(home, IMPORTED_BY, processes=2)
    assert importers(server, 2) == {server.pid}
    assert "preload:" not in server.log()
    assert server.stop() == 0


def test_without_it_each_worker_imports_for_itself(home: Home) -> None:
    """The default."""
    server = home.serve("web", apps={"webapp.py": IMPORTED_BY}, processes=2)
    assert importers(server, 2) == set(server.workers())


def test_a_thread_started_by_an_import_is_told(home: Home) -> None:
    """By its name and what it runs; the server serves all the same."""
    server = serve(home, HELLO + THREAD)
    assert "an app has started the thread price poller (it runs poll, " in server.log()
    assert "app/webapp.py:" in server.log()
    assert server.get("/hello").text == "hello"


def test_a_socket_opened_by_an_import_is_told(home: Home) -> None:
    """By both its addresses."""
    server = serve(home, HELLO + SOCKET)
    address = (home.root / "address").read_text()
    assert server.log().count("an app has opened a socket by its import") == 2
    assert f" at {address};" in server.log()
    assert f" to {address};" in server.log()


def test_what_does_not_import_is_not_started(home: Home) -> None:
    """Exit code 1 and the traceback."""
    home.write_app("webapp.py", BROKEN)
    home.write_conf("web", more=PRELOAD)
    ran = home.run("serve", "web")
    assert ran.code == 1
    assert "webapp.py does not import:\nTraceback" in ran.err
    assert "No module named 'no_such_module_anywhere'" in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_an_import_that_hangs_is_ended_by_a_signal(home: Home, number: signal.Signals) -> None:
    """Even one that catches all."""
    gate = Gate(home.app / "gate")
    home.write_app("webapp.py", HANGS.format(gate=home.app / "gate"))
    home.write_conf("web", more=PRELOAD)
    process = subprocess.Popen([*home.skitaid, "serve", "web"], env=home.environment, cwd=home.root)
    gate.wait_came()
    process.send_signal(signal.SIGUSR1)  # waits until the master serves, and kills nobody
    process.send_signal(number)
    assert process.wait(PATIENCE) == -number
    gate.close()


def test_a_broken_app_is_found_before_anything_changes(home: Home) -> None:
    """The trial's word, and the old workers."""
    server = serve(home)
    workers = server.workers()
    home.write_app("webapp.py", BROKEN)
    ran = home.run("reload", "web")
    assert (ran.code, "not restarted, nothing has changed" in ran.err) == (1, True)
    assert "No module named 'no_such_module_anywhere'" in ran.err
    assert server.workers() == workers
    assert server.get("/hello").text == "hello"


def test_a_reload_brings_new_code(home: Home) -> None:
    """By the command and by HUP, in the same process."""
    server = serve(home, processes=2)
    before = server.workers()
    home.write_app("webapp.py", SAYS_NEW)
    ran = home.run("reload", "web")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("web is reloaded\n")
    assert server.get("/hello").text == "new"
    assert not set(server.workers()) & set(before)
    home.write_app("webapp.py", IMPORTED_BY)
    server.send(signal.SIGHUP)
    server.wait_log("the restart is complete", times=2)
    assert importers(server, 2) == {server.pid}


def test_it_is_turned_on_and_off_by_a_reload(home: Home) -> None:
    """Either way by another program."""
    server = home.serve("web", apps={"webapp.py": IMPORTED_BY})
    home.write_conf("web", port=server.port, more=PRELOAD)
    assert home.run("reload", "web").code == 0
    assert importers(server, 1) == {server.pid}
    home.write_conf("web", port=server.port)
    assert home.run("reload", "web").code == 0
    assert importers(server, 1) == set(server.workers())


def test_another_port_is_let_go(home: Home) -> None:
    """As by a reload without it."""
    server = serve(home)
    port = home.write_conf("web", more=PRELOAD)
    assert home.run("reload", "web").code == 0
    assert Client(port).get("/hello").text == "hello"
    try:
        server.raw().close()
    except ConnectionRefusedError:
        return
    raise AssertionError("the old port is still open")
