"""One server in the foreground: `skitaid serve`."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from operator_session import HELLO, Home, free_port
from waits import PATIENCE, Gate

from skitaid.supervisor.listeners import listen

BROKEN = "import no_such_module_anywhere\n"


def test_a_broken_app_stops_the_start_with_its_traceback(home: Home) -> None:
    """Exit code 1, and nothing is left running."""
    home.write_app("webapp.py", BROKEN)
    home.write_conf("web", processes=2)
    ran = home.run("serve", "web")
    assert ran.code == 1
    assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in ran.err
    home.assert_nothing_runs()


def test_code_that_is_served_as_files_is_warned_of(home: Home) -> None:
    """Each start says so, as not everybody asks `skitaid check`."""
    server = home.serve(routes="/ = {app}")
    assert "[warning] web: web.conf:" in server.log()
    assert "a route to an app names its module" in server.log()
    assert server.stop() == 0


def test_a_taken_port_is_one_sentence(home: Home) -> None:
    """It names the address and who has it; there is no traceback."""
    home.write_app("webapp.py")
    port = home.write_conf("web")
    listener = listen("127.0.0.1", port)
    ran = home.run("serve", "web")
    listener.close()
    assert ran.code == 1
    assert f"server web: cannot listen on 127.0.0.1:{port}: " in ran.err
    assert f"(pid {os.getpid()}) already does" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_second_server_of_the_same_conf_is_refused(home: Home) -> None:
    """The pid of the first is named, and the first is not disturbed."""
    server = home.serve("web")
    ran = home.run("serve", "web")
    assert (ran.code, ran.err) == (1, f"server web is already running (pid {server.pid})\n")
    assert server.get("/hello").text == "hello"


def test_mistakes_in_the_conf_are_told_before_anything_starts(home: Home) -> None:
    """All of them, each with its line."""
    home.write_conf("web", more="threadss = 4", routes="/ = {app}/nothing")
    ran = home.run("serve", "web")
    assert ran.code == 2
    assert "threadss: unknown key" in ran.err
    assert ran.err.count("web.conf:") == 2


def test_a_var_directory_that_cannot_be_written_is_one_sentence(home: Home) -> None:
    """It says which file and how to choose another place."""
    home.write_app("webapp.py")
    home.write_conf("web")
    home.var.write_text("a file in the way")
    ran = home.run("serve", "web")
    assert ran.code == 1
    assert ran.err.startswith(f"server web cannot write {home.var}/servers/web/lock/pid: ")
    assert ran.err.endswith("--var chooses the directory\n")


def test_a_descriptor_that_is_not_open_is_refused(home: Home) -> None:
    """The option is named."""
    home.write_app("webapp.py")
    home.write_conf("web")
    ran = home.run("serve", "web", "--notify-fd", "77")
    assert ran.code == 1
    assert ran.err == "--notify-fd 77 is not an open descriptor: Bad file descriptor\n"


def test_a_server_answers_and_stops(home: Home) -> None:
    """The shortest session there is."""
    server = home.serve("web", apps={"webapp.py": HELLO}, processes=2)
    assert server.get("/hello").text == "hello"
    assert server.stop() == 0


def test_ctrl_c_stops_cleanly(home: Home) -> None:
    """No traceback, no pid file."""
    server = home.serve("web")
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait() == 0
    assert "Traceback" not in server.log()
    assert not (server.run_dir / "lock" / "pid").exists()


def test_a_killed_worker_is_replaced_and_the_server_answers_on(home: Home) -> None:
    """An operator kills it with -9 and asks again."""
    server = home.serve("web", processes=2)
    lost, kept = server.workers()
    os.kill(lost, signal.SIGKILL)
    server.wait_log("is ready after", times=3)
    assert server.get("/hello").text == "hello"
    assert kept in server.workers()


def test_an_app_broken_while_serving_does_not_end_the_server(home: Home) -> None:
    """The worker that is left serves on; status tells why there is only one."""
    server = home.serve("web", processes=2)
    home.write_app("webapp.py", BROKEN)
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_log("the next try is in")
    assert server.get("/hello").text == "hello"
    assert "no_such_module_anywhere" in server.status().last_error
    home.write_app("webapp.py", HELLO)
    server.wait_log("is ready after", times=3)


def test_workers_of_a_killed_master_leave(home: Home) -> None:
    """And the next server can have its place at once."""
    server = home.serve("web", processes=2)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    again = home.serve("web")
    assert again.get("/hello").text == "hello"


def test_what_a_killed_master_leaves_in_flight_is_answered(home: Home) -> None:
    """And meanwhile the next server starts, on the same port."""
    gate = Gate(home.app / "gate")
    server = home.serve("web", apps={"webapp.py": gate.app()})
    with server.raw() as connection:
        connection.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        server.send(signal.SIGKILL)
        server.wait_log("the master is gone")
        again = home.serve("web", port=server.port)
        assert again.get("/hello").text == "hello"
        gate.open()
        assert connection.makefile("rb").read().endswith(b"through")
    gate.close()


def test_a_stale_pid_file_is_no_obstacle(home: Home) -> None:
    """It names a living process, but nobody holds its lock."""
    pid_file = home.var / "servers" / "web" / "lock" / "pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text(f"{os.getpid()}\n")
    server = home.serve("web")
    assert pid_file.read_text() == f"{server.pid}\n"


def test_a_server_ends_with_its_lifeline(home: Home) -> None:
    """Whoever started it is gone, in whatever way."""
    home.write_app("webapp.py")
    home.write_conf("web")
    ready, notify = os.pipe()
    lifeline, ours = os.pipe()
    process = subprocess.Popen(
        [*home.skitaid, "serve", "web", "--notify-fd", f"{notify}", "--lifeline-fd", f"{lifeline}"],
        pass_fds=[notify, lifeline],
        env=home.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(notify)
    os.close(lifeline)
    with open(ready) as pipe:
        assert pipe.readline().startswith("ready http://127.0.0.1:")
    os.close(ours)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "the process that started this server is gone: stopping when all is answered" in log


@pytest.mark.parametrize("conf", ["e/web", "web.conf"])
def test_a_conf_has_several_names(home: Home, conf: str) -> None:
    """They are one server, so its lock is the same."""
    server = home.serve("web")
    assert home.run("serve", conf).err == f"server web is already running (pid {server.pid})\n"


def test_an_ip_that_is_not_ours(home: Home) -> None:
    """One sentence, of which server."""
    home.write_app("webapp.py")
    conf = f"[server]\nip = 192.0.2.7\nport = {free_port()}\n[routes:line]\n/ = {{app}}/webapp\n"
    home.write_conf("web", conf)
    ran = home.run("serve", "web")
    assert ran.code == 1
    assert "this machine has no such address" in ran.err
