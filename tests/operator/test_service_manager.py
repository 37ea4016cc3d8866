"""What a service manager and the kernel see of a server."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Iterator

import psutil
import pytest
from operator_session import Home
from waits import PATIENCE


@pytest.fixture
def notified(home: Home) -> Iterator[socket.socket]:
    """The socket of a service manager, for all servers of this home."""
    path = home.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(PATIENCE)
        home.env["NOTIFY_SOCKET"] = str(path)
        yield sock


def heard(notified: socket.socket) -> dict[str, str]:
    lines = notified.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_it_is_told_of_each_change(home: Home, notified: socket.socket) -> None:
    """Ready, reloading and ready again, stopping; the reload has its time."""
    server = home.serve("web")
    ready = heard(notified)
    assert ready["READY"] == "1"
    assert ready["STATUS"] == f"serves http://127.0.0.1:{server.port}, generation 1"
    server.send(signal.SIGHUP)
    reloading = heard(notified)
    assert reloading["RELOADING"] == "1"
    assert int(reloading["MONOTONIC_USEC"]) > 0
    assert heard(notified)["STATUS"].endswith("generation 2")
    server.stop()
    assert heard(notified) == {"STOPPING": "1"}


def test_it_is_told_of_a_reload_that_fails(home: Home, notified: socket.socket) -> None:
    """Both words, or it would wait for the second."""
    server = home.serve("web")
    heard(notified)
    home.write_conf("web", port=server.port, more="threadss = 4")
    server.send(signal.SIGHUP)
    assert heard(notified)["RELOADING"] == "1"
    assert heard(notified)["READY"] == "1"


def test_as_many_files_as_allowed_may_be_open(home: Home) -> None:
    """In the master and in its workers."""
    server = home.serve("web")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for pid in (server.pid, *server.workers()):
        assert psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE) == (most, most)


def test_it_hears_that_the_master_lives(home: Home, notified: socket.socket) -> None:
    """Again and again though nothing happens, after a restart too."""
    home.env["WATCHDOG_USEC"] = "100000"
    server = home.serve("web")
    _hear_signs_of_life(notified, 3)
    server.send(signal.SIGUSR2)
    server.wait_log("the restart is complete")
    _hear_signs_of_life(notified, 20)  # more than can wait in the socket from before


def test_a_watchdog_of_another_process_is_not_fed(home: Home, notified: socket.socket) -> None:
    """As one that a parent has left in the environment."""
    home.env |= {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    server = home.serve("web")
    assert "READY" in heard(notified)
    server.stop()
    assert heard(notified) == {"STOPPING": "1"}


def _hear_signs_of_life(notified: socket.socket, times: int) -> None:
    while times:
        times -= heard(notified) == {"WATCHDOG": "1"}
