"""A restart: the master becomes what is installed now, in the same process, without a gap."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from operator_session import HELLO, Home
from served import Server
from waits import Gate, wait_until

from skitaid import masters
from skitaid.errors import SkitaidError
from skitaid.paths import Paths
from skitaid.pidfile import holder

SAYS_NEW = HELLO.replace('"hello"', '"new"')

# Imported by the trial, after it has found the conf to be good.
BREAKS_CONF = '''
with open("{conf}", "w") as conf:
    conf.write("""{broken}""")
'''
BROKEN = HELLO + "\nimport no_such_module_anywhere\n"


def restart(home: Home, server: Server) -> list[str]:
    """Ask the master, as the command does; the lines of progress."""
    lines: list[str] = []
    masters.restart(Paths.find(str(home.etc), str(home.var)), [server.name], lines.append)
    return lines


def test_what_would_not_come_up_is_not_restarted(home: Home) -> None:
    """The reason is logged and kept for status; the old workers never noticed."""
    server = home.serve("web")
    workers = server.workers()
    home.write_app("webapp.py", BROKEN)
    server.send(signal.SIGUSR2)
    server.wait_log("not restarted, nothing has changed")
    server.wait_log("No module named 'no_such_module_anywhere'")
    assert server.workers() == workers
    home.write_app("webapp.py", HELLO)
    home.write_conf("web", port=server.port, more="threadss = 4")
    server.send(signal.SIGUSR2)
    server.wait_log("web.conf:6: threadss: unknown key")
    assert "threadss" in server.status().last_error
    assert server.get("/hello").text == "hello"


@pytest.mark.parametrize(
    ("mistake", "told"),
    [("threadss = 4", "threadss: unknown key"), ("port = {taken}", "already does")],
)
def test_a_conf_that_breaks_after_the_trial_is_told_and_not_used(
    home: Home, mistake: str, told: str
) -> None:
    """There is no way back by then, so the next program goes by what the last one has read."""
    taken = home.serve("other").port
    server = home.serve("web", processes=2)
    conf = home.etc / "servers-enabled" / "web.conf"
    broken = conf.read_text().replace(f"port = {server.port}", mistake.format(taken=taken))
    home.write_app("webapp.py", SAYS_NEW + BREAKS_CONF.format(conf=conf, broken=broken))
    with pytest.raises(SkitaidError, match="the conf has broken since the trial and is not used"):
        restart(home, server)
    server.wait_log("the restart is complete")
    assert server.get("/hello").text == "new"
    assert len(server.workers()) == 2
    assert told in server.status().last_error
    assert server.stop() == 0


def test_a_restart_keeps_the_process_and_replaces_all_in_it(home: Home) -> None:
    """New workers with new code; pid, pid file, control socket and start stay."""
    server = home.serve("web", processes=2)
    before = server.status()
    home.write_app("webapp.py", SAYS_NEW)
    lines = restart(home, server)
    assert "web: trying whether it would come up" in lines
    assert "draining web: 1 of 2 workers retired, 0 requests left" in lines
    assert server.get("/hello").text == "new"
    after = server.status()
    assert (after.pid, after.generation) == (before.pid, 2)
    assert abs(after.started - before.started) < 1
    assert not {w.pid for w in after.workers} & {w.pid for w in before.workers}
    assert holder(server.run_dir / "lock" / "pid") == server.pid
    assert psutil.Process(server.pid).cmdline()[0] == "skitaid: master web"
    assert server.stop() == 0


def test_a_request_in_flight_outlives_a_restart(home: Home) -> None:
    """Its worker is adopted, answers, and leaves."""
    gate = Gate(home.root / "gate")
    server = home.serve("web", apps={"webapp.py": gate.app()})
    with server.raw() as waiting:
        waiting.sendall(b"GET /gate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        gate.wait_came()
        home.write_app("webapp.py", SAYS_NEW)
        server.send(signal.SIGUSR2)
        server.wait_log("finishes 1 requests and leaves")
        assert server.get("/hello").text == "new"
        gate.open()
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")
    server.wait_log("the restart is complete")
    gate.close()


def test_restarts_leave_nothing_behind(home: Home) -> None:
    """As many descriptors after five as after one, and nobody unreaped."""
    server = home.serve("web")
    restart(home, server)
    before = len(open_files(server))  # maybe with our own call, just being hung up
    for _ in range(4):
        restart(home, server)
    wait_until(lambda: len(open_files(server)) <= before, f"{before} open files, as before")
    (worker,) = psutil.Process(server.pid).children()
    assert worker.status() != psutil.STATUS_ZOMBIE


def test_a_worker_that_dies_after_a_restart_is_noticed(home: Home) -> None:
    """The next program is the parent that the last one was."""
    server = home.serve("web")
    restart(home, server)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    server.wait_log(f"(pid {worker}) was killed by SIGKILL; another takes its place now")
    assert server.get("/hello").text == "hello"


def open_files(server: Server) -> list[str]:
    """What the master holds open, by kind."""
    directory = Path(f"/proc/{server.pid}/fd")
    return sorted(os.readlink(link).split(":")[0] for link in directory.iterdir())
