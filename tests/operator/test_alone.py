"""Servers that run without a fleet, by `skitaid serve`, and obey the same commands."""

from __future__ import annotations

import signal
import subprocess

from operator_session import HELLO, Home
from waits import PATIENCE, Gate

SAYS_NEW = HELLO.replace('return "hello"', 'return "new"')


def test_a_name_that_runs_nowhere_is_refused(home: Home) -> None:
    """Without a fleet nobody knows it; who runs goes on."""
    server = home.serve("web")
    for verb in ("stop", "restart", "rotate"):
        home.write_conf("api")
        ran = home.run(verb, "api")
        assert (ran.code, "skitaid is not running" in ran.err) == (1, True)
    assert server.get("/hello").text == "hello"


def test_it_is_stopped(home: Home) -> None:
    """The command comes back when it is gone; its exit code says that it was told to."""
    server = home.serve("web")
    ran = home.run("stop", "web")
    assert (ran.code, ran.err, ran.out.splitlines()[-1]) == (0, "", "web is stopped")
    assert server.process.poll() == 0
    assert not (server.run_dir / "lock" / "pid").exists()


def test_it_is_stopped_when_all_is_answered(home: Home) -> None:
    """With --graceful."""
    gate = Gate(home.app / "gate")
    server = home.serve("web", apps={"webapp.py": gate.app()})
    with server.raw() as connection:
        connection.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        stop = subprocess.Popen([*home.skitaid, "stop", "--graceful", "web"], env=home.environment)
        server.wait_log("control socket: stopping when all is answered")
        gate.open()
        assert connection.makefile("rb").read().endswith(b"through")
    assert stop.wait(PATIENCE) == 0
    assert server.wait() == 0
    gate.close()


def test_one_that_stands_still_is_continued_to_be_stopped(home: Home) -> None:
    """As the fleet does it."""
    server = home.serve("web")
    server.send(signal.SIGSTOP)
    assert home.run("stop", "web").code == 0
    assert server.wait() == 0


def test_it_is_restarted_in_place(home: Home) -> None:
    """With new code, in the same process."""
    server = home.serve("web")
    home.write_app("webapp.py", SAYS_NEW)
    ran = home.run("restart", "web")
    assert (ran.code, ran.err, ran.out.splitlines()[-1]) == (0, "", "web is restarted")
    assert server.get("/hello").text == "new"
    assert server.process.poll() is None


def test_it_writes_to_new_logs(home: Home) -> None:
    """By its name, and with all."""
    server = home.serve("web")
    log = server.run_dir / "logs" / "server.log"
    for arguments in (["rotate", "web"], ["rotate"]):
        log.rename(log.with_suffix(".old"))
        ran = home.run(*arguments)
        assert (ran.code, ran.err, ran.out) == (0, "", "web writes to new logs\n")
        assert "control socket: logs are reopened" in log.read_text()


def test_a_fleet_beside_it_is_not_asked(home: Home) -> None:
    """Of two servers one belongs to the fleet; both are told, each by who runs it."""
    home.write_app("webapp.py")
    home.write_conf("api")
    assert home.run("start").code == 0
    available = home.etc / "servers-available"  # the fleet would start one of servers-enabled
    port = home.write_conf("web", directory=available)
    server = home.start([*home.skitaid, "serve", "a/web"], "web", port)
    ran = home.run("stop", "web", "api")
    assert (ran.code, ran.err) == (0, "")
    assert server.process.poll() == 0
    assert home.run("status").code == 0
