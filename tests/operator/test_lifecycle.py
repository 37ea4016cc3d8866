"""Startup and shutdown of apps, in workers that come and go."""

from __future__ import annotations

import os
import signal

import pytest
from operator_session import HELLO, Home
from served import Server
from waits import PATIENCE, Gate, wait_until

# Hooks leave marks: the hook, who it was called for, and the process.
HOOKS = """

def mark(what, whom):
    with open("marks", "a") as marks:
        marks.write(f"{what} {whom} {os.getpid()}\\n")


@app.startup
def startup(wasc, app):
    mark("startup", app.import_name)


@app.onreload
def onreload(wasc, app):
    mark("onreload", app.import_name)


@app.shutdown
def shutdown(wasc, app):
    mark("shutdown", app.import_name)
"""
APP = "import os\n" + HELLO + HOOKS

SHARES = """

class Searcher:
    def status(self):
        return "well"

    def cleanup(self):
        mark("cleanup", "searcher")


@app.startup
def share(wasc, app):
    wasc.register("searcher", Searcher())


@app.route("/search")
def search(was):
    return was.searcher.status()
"""
USES = "\n\n@app.shutdown\ndef last(wasc, app):\n    mark(wasc.searcher.status(), 'searcher')\n"
FAILS = "\n\n@app.shutdown\ndef fails(wasc, app):\n    raise SystemExit(7)\n"
HANGS = "\n\n@app.shutdown\ndef hangs(wasc, app):\n    import threading\n"
HANGS += "    mark('hangs', app.import_name)\n    threading.Event().wait()\n"


def marks(home: Home) -> list[str]:
    """What the hooks have left."""
    path = home.root / "marks"
    return path.read_text().splitlines() if path.exists() else []


def of_process(home: Home, pid: int) -> list[str]:
    """The marks of one, without it."""
    return [line.rpartition(" ")[0] for line in marks(home) if line.endswith(f" {pid}")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
@pytest.mark.parametrize("more", ["", "preload = yes"])
def test_hooks_are_called_once_in_each_worker(
    home: Home, number: signal.Signals, more: str
) -> None:
    """However the server is stopped, and whoever has imported the apps."""
    server = home.serve(apps={"webapp.py": APP}, processes=2, more=more)
    workers = server.workers()
    assert server.stop(number) == 0

    for pid in workers:
        assert of_process(home, pid) == ["startup webapp", "shutdown webapp"]
    assert len(marks(home)) == 4


def test_reload_of_the_server_is_new_workers(home: Home) -> None:
    """Those that go shut down, those that come start up; `onreload` is something else."""
    server = home.serve(apps={"webapp.py": APP})
    (old,) = server.workers()
    assert home.run("reload", "web").code == 0
    wait_until(lambda: old not in server.workers(), "the old worker is gone")
    (new,) = server.workers()

    assert of_process(home, old) == ["startup webapp", "shutdown webapp"]
    assert of_process(home, new) == ["startup webapp"]


def test_restart_tries_the_hooks_beforehand(home: Home) -> None:
    """What is begun in the trial is ended there."""
    server = home.serve(apps={"webapp.py": APP})
    server.send(signal.SIGUSR2)
    server.wait_log("the restart is complete")
    assert server.stop() == 0
    processes = {line.rpartition(" ")[2] for line in marks(home)}

    assert len(processes) == 3
    for pid in processes:
        assert of_process(home, int(pid)) == ["startup webapp", "shutdown webapp"]


def test_shutdown_comes_after_the_last_request(home: Home) -> None:
    """A worker that retires answers first."""
    gate = Gate(home.root / "gate")
    app = "import os\n" + gate.app().replace('"through"', "str(os.path.exists('marks'))")
    app += HOOKS.replace("@app.startup", "")
    server = home.serve(apps={"webapp.py": app})
    connection = server.connect()
    connection.request("GET", "/gate")
    gate.wait_came()
    server.send(signal.SIGQUIT)
    server.wait_log("stopping when all is answered")
    gate.open()
    assert connection.getresponse().read() == b"False"
    assert server.wait() == 0
    assert [line.rpartition(" ")[0] for line in marks(home)] == ["shutdown webapp"]
    connection.close()
    gate.close()


def test_nobody_connects_to_a_server_that_finishes_what_it_has(home: Home) -> None:
    """Whoever comes is refused at once, as if it had stopped, rather than cut off in the end."""
    gate = Gate(home.root / "gate")
    server = home.serve(apps={"webapp.py": gate.app()}, processes=2)
    connection = server.connect()
    connection.request("GET", "/gate")
    gate.wait_came()
    server.send(signal.SIGQUIT)
    wait_until(lambda: _is_refused(server), "new connections are refused")
    gate.open()
    assert connection.getresponse().status == 200
    assert server.wait() == 0
    connection.close()
    gate.close()


def _is_refused(server: Server) -> bool:
    try:
        server.raw().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_that_is_cut_off_is_told_so(home: Home) -> None:
    """503 when drain_timeout is over, and so it stands in request.log."""
    gate = Gate(home.root / "gate")
    server = home.serve(
        apps={"webapp.py": gate.app()}, more="drain_timeout = 0.2\naccess_log = yes"
    )
    connection = server.connect()
    connection.request("GET", "/gate")
    gate.wait_came()
    server.send(signal.SIGQUIT)
    reply = connection.getresponse()
    assert (reply.status, b"The server is leaving" in reply.read()) == (503, True)
    assert server.wait() == 0
    assert "GET /gate HTTP/1.1 503" in server.log()
    connection.close()
    gate.close()


def test_apps_shut_down_in_the_other_order(home: Home) -> None:
    """What one shares another may still use; then what is shared cleans up."""
    apps = {"webapp.py": APP + SHARES, "uses.py": APP + USES}
    server = home.serve(apps=apps, routes="/ = {app}/webapp\n/uses = {app}/uses")
    (worker,) = server.workers()
    assert server.get("/search").text == "well"
    assert server.stop() == 0

    assert of_process(home, worker) == [
        "startup webapp",
        "startup uses",
        "shutdown uses",
        "well searcher",
        "shutdown webapp",
        "cleanup searcher",
    ]


def test_hook_that_fails_does_not_keep_others_from_being_called(home: Home) -> None:
    """It is logged by name."""
    failing = FAILS.replace("SystemExit", "ValueError") + HOOKS[HOOKS.index("@app.shutdown") :]
    apps = {"webapp.py": APP + SHARES, "fails.py": APP + FAILS + failing}
    server = home.serve(apps=apps, routes="/ = {app}/webapp\n/fails = {app}/fails")
    (worker,) = server.workers()
    assert server.stop() == 0

    assert of_process(home, worker)[2:] == [
        "shutdown fails",
        "shutdown fails",
        "shutdown webapp",
        "cleanup searcher",
    ]
    assert server.log().count("the shutdown hook fails.fails has failed") == 2
    assert "ValueError: 7" in server.log()
    assert "SystemExit: 7" in server.log()


def test_hook_that_hangs_is_not_waited_for(home: Home) -> None:
    """The master kills the worker when its time to leave is over."""
    server = home.serve(apps={"webapp.py": APP + HANGS}, more="drain_timeout = 0.2s")
    server.send(signal.SIGQUIT)
    server.wait()
    assert "did not leave in time and is killed" in server.log()
    assert [line.split()[0] for line in marks(home)] == ["startup", "shutdown", "hangs"]


def test_hook_that_hangs_when_the_master_is_gone(home: Home) -> None:
    """The worker ends by itself, and says where it hangs."""
    server: Server = home.serve(apps={"webapp.py": APP + HANGS}, more="drain_timeout = 0.2s")
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(PATIENCE)
    log = server.stderr.wait_end()
    assert "Timeout (" in log
    assert "in hangs" in log
    home.assert_nothing_runs()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("wasc.nothing", ["AttributeError: was has no nothing"]),
        ("wasc.register('request', 1)", ["NameTaken: wasc.register('request'): was.request is"]),
        ("wasc.register('a-b', 1)", ["ValueError: wasc.register('a-b')"]),
        ("wasc.unregister('searcher')", ["nothing is registered under that name"]),
        ("raise SystemExit(3)", ["SystemExit: 3"]),
    ],
)
def test_startup_that_fails_ends_the_start(home: Home, end: str, words: list[str]) -> None:
    """With the traceback, from the app's own line on."""
    app = home.write_app("webapp.py", f"{HELLO}\n\n@app.startup\ndef f(wasc, app):\n    {end}\n")
    home.write_conf("web")
    ran = home.run("serve", "web")

    assert ran.code == 1
    for word in (f"{app}: its startup has failed:", f'"{app}", line 13, in f', end, *words):
        assert word in ran.err
    assert "skitai/package.py" not in ran.err
