"""A real master with real processes, whose workers misbehave as told (`small_server`)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from operator_session import Home, Ran, free_port
from served import Server
from survivors import wait_gone
from waits import PATIENCE

from skitaid.pidfile import holder
from skitaid.supervisor.control_call import NoAnswer
from skitaid.supervisor.control_records import Refused
from skitaid.supervisor.control_socket import CALLERS_MAX
from skitaid.supervisor.master import control_path
from skitaid.supervisor.unix_path import short_path

SMALL_SERVER = Path(__file__).with_name("small_server.py")


class Stage:
    """Where small servers are started, and how their next workers shall behave."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._manner = home.root / "manner"

    def behave(self, manner: str) -> None:
        """From now on new workers do."""
        self._manner.write_text(manner)

    def start(self, manner: str = "good", processes: int = 2, drain_timeout: float = 30) -> Server:
        """A small server, when it is ready."""
        self.behave(manner)
        port = free_port()
        return self._home.start(self._command(port, processes, drain_timeout), "web", port)

    def fail(self, manner: str) -> Ran:
        """A small server that does not come up."""
        self.behave(manner)
        return self._home.run_command(self._command(free_port(), 2, 30))

    def _command(self, port: int, processes: int, drain_timeout: float) -> list[str]:
        spec = {
            "name": "web",
            "port": port,
            "processes": processes,
            "run_dir": str(self._home.var / "servers" / "web"),
            "drain_timeout": drain_timeout,
            "manner": str(self._manner),
        }
        return [sys.executable, "-W", "error", str(SMALL_SERVER), json.dumps(spec)]


@pytest.fixture
def stage(home: Home) -> Stage:
    return Stage(home)


def test_a_broken_app_ends_the_start_with_its_reason(stage: Stage) -> None:
    """Exit code 1, the reason on stderr, nobody left."""
    ended = stage.fail("broken")
    assert ended.code == 1
    assert "ImportError: no webapp today" in ended.err


def test_a_worker_that_dies_mute_ends_the_start(stage: Stage) -> None:
    """Its exit code is all there is to say."""
    ended = stage.fail("mute")
    assert ended.code == 1
    assert "left with exit code 7 before it was ready" in ended.err


def test_a_worker_that_raises_never_becomes_a_second_master(stage: Stage) -> None:
    """Its traceback is logged under its own name and its process ends."""
    ended = stage.fail("raises")
    assert ended.code == 1
    assert "[error] web/0: the worker crashed\nTraceback" in ended.err
    assert "RuntimeError: a defect of the worker" in ended.err


def test_a_killed_worker_is_replaced_without_a_pause(stage: Stage) -> None:
    """As soon as its death is known; the other is let alone."""
    server = stage.start()
    lost, kept = server.workers()
    os.kill(lost, signal.SIGKILL)
    log = server.wait_log("is ready", times=3)
    assert f"worker 0 (pid {lost}) was killed by SIGKILL; another takes its place now" in log
    assert kept in server.workers()
    assert lost not in server.workers()


def test_a_worker_that_leaves_by_itself_is_replaced(stage: Stage) -> None:
    """Its exit code is logged: an app may have wanted it."""
    server = stage.start("quits", processes=1)
    (first,) = server.workers()
    stage.behave("good")
    with server.raw():
        server.wait_log("left with exit code 3; another takes its place now")
    server.wait_log("is ready", times=2)
    assert first not in server.workers()


def test_a_later_boot_failure_is_tried_again_while_others_serve(stage: Stage) -> None:
    """The reason is kept for status; when the cause is gone the server is whole again."""
    server = stage.start()
    stage.behave("broken")
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_log("the next try is in 1.0 s")
    assert "ImportError: no webapp today" in server.status().last_error
    assert int(server.get("/").body) in server.workers()
    stage.behave("good")
    server.wait_log("is ready", times=3)
    assert len(server.workers()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_leaves_nothing_behind(stage: Stage, number: signal.Signals) -> None:
    """Exit code 0, no process, no pid file, no socket."""
    server = stage.start()
    assert server.stop(number) == 0
    assert "killed" not in server.log()
    assert not (server.run_dir / "lock" / "pid").exists()
    assert not (server.run_dir / "control").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_keys_of_the_terminal_do_not_reach_workers(stage: Stage, number: signal.Signals) -> None:
    """They are sent to the whole group, but only the master decides."""
    server = stage.start(processes=1)
    (worker,) = server.workers()
    os.kill(worker, number)
    assert int(server.get("/").body) == worker


def test_workers_that_obey_nothing_are_killed(stage: Stage) -> None:
    """After their time, and the stop is clean all the same."""
    server = stage.start("deaf")
    assert server.stop() == 0
    assert server.log().count("did not leave in time and is killed") == 2


def test_a_drain_ends_with_its_timeout(stage: Stage) -> None:
    """A request that never ends does not hold the server for ever."""
    server = stage.start("slow", processes=1, drain_timeout=0.1)
    assert server.stop(signal.SIGQUIT) == 0
    assert "finishes 1 requests and leaves" in server.log()
    assert "did not leave in time and is killed" in server.log()


def test_a_second_signal_ends_a_drain(stage: Stage) -> None:
    """Nobody has to wait for the drain timeout."""
    server = stage.start("slow", processes=1, drain_timeout=3600)
    server.send(signal.SIGQUIT)
    server.wait_log("finishes 1 requests and leaves")
    assert server.stop(signal.SIGINT) == 0


def test_workers_leave_when_their_master_is_killed(stage: Stage) -> None:
    """No sibling holds an end of another's pipe, so each of them sees the end of file."""
    server = stage.start(processes=3)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL


def test_no_worker_keeps_the_pipe_of_another_open(stage: Stage) -> None:
    """One that hangs, and was forked later, does not hide the master's death from the others."""
    server = stage.start(processes=2)
    good, other = server.workers()
    stage.behave("deaf")
    os.kill(other, signal.SIGKILL)
    server.wait_log("is ready", times=3)
    deaf = server.workers()[1]
    server.process.kill()
    assert wait_gone([psutil.Process(good)], PATIENCE) == []
    os.kill(deaf, signal.SIGKILL)


def test_a_dead_master_does_not_look_alive_through_its_workers(stage: Stage) -> None:
    """They hold neither its pid file's lock nor its control socket."""
    server = stage.start("deaf", processes=1)
    (deaf,) = server.workers()
    server.process.kill()
    server.process.wait()
    assert psutil.pid_exists(deaf)
    assert holder(server.run_dir / "lock" / "pid") is None
    with pytest.raises(NoAnswer, match="Connection refused"):
        server.status()
    os.kill(deaf, signal.SIGKILL)


def test_titles_say_who_is_who(stage: Stage) -> None:
    """As shown by ps and top."""
    server = stage.start()
    titles = [psutil.Process(pid).cmdline()[0] for pid in [server.pid, *server.workers()]]
    assert titles == ["skitaid: master web", "skitaid: worker web/0", "skitaid: worker web/1"]


def test_the_log_says_when_and_where_the_server_is_ready(stage: Stage) -> None:
    """One line, in the format of all lines."""
    server = stage.start()
    address = re.escape(f"http://127.0.0.1:{server.port}")
    assert re.search(
        rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \[info\] web: all workers are ready at {address}$",
        server.wait_log("all workers are ready"),
        re.MULTILINE,
    )


def test_callers_that_say_nothing_do_not_lock_others_out(stage: Stage) -> None:
    """The oldest is hung up on."""
    server = stage.start(processes=1)
    idle = [connect(server) for _ in range(CALLERS_MAX + 3)]
    assert len(server.workers()) == 1
    assert idle[0].recv(1) == b""
    for sock in idle:
        sock.close()


def test_a_request_that_is_not_understood_is_refused(stage: Stage) -> None:
    """A command of another version gets a sentence, not silence."""
    server = stage.start(processes=1)
    with connect(server) as sock:
        sock.send(b'{"type": "Dance"}')
        assert "not understood" in msgspec.json.decode(sock.recv(4096), type=Refused).reason


def test_only_its_owner_may_open_the_control_socket(stage: Stage) -> None:
    """The mode of the file."""
    server = stage.start(processes=1)
    assert stat.filemode((server.run_dir / "control").stat().st_mode) == "srw-------"


def connect(server: Server) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(PATIENCE)
    with short_path(control_path(str(server.run_dir))) as path:
        sock.connect(path)
    return sock
