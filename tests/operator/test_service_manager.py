"""What a service manager and the kernel see of a server, and of the fleet."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest
from operator_session import HELLO, Home
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
    return _read(notified.recv(4096))


def _read(datagram: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in datagram.decode().splitlines())


def fill(notified: socket.socket) -> None:
    """Until it takes nothing from anybody; each sender may only send so much."""
    sent = 1
    while sent:
        sent = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, suppress(BlockingIOError):
            other.setblocking(False)
            while True:
                other.sendto(b"STATUS=from another", notified.getsockname())
                sent += 1


def hear_status(notified: socket.socket, status: str) -> None:
    """Until it is this one."""
    while heard(notified).get("STATUS") != status:
        pass


@contextmanager
def fleet(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """As a service manager runs it: in the foreground, and stopped gracefully."""
    process = subprocess.Popen(
        [*home.skitaid, "start", "--foreground"], env=home.environment, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGQUIT)
        assert process.wait(PATIENCE) == 0


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


WHO_IS_TOLD = """
import os
IN_THE_ENVIRONMENT = [name for name in os.environ if name[:6] in ("NOTIFY", "WATCHD")]


@app.route("/told")
def told(was):
    return IN_THE_ENVIRONMENT
"""


def test_no_worker_speaks_for_the_server(home: Home, notified: socket.socket) -> None:
    """Nor what imports apps before them, nor what an app runs; and a restart goes on speaking."""
    home.env["WATCHDOG_USEC"] = "60000000"
    server = home.serve("web", apps={"webapp.py": HELLO + WHO_IS_TOLD}, more="preload = yes")
    assert server.get("/told").json() == []
    hear_status(notified, f"serves http://127.0.0.1:{server.port}, generation 1")
    server.send(signal.SIGUSR2)
    hear_status(notified, f"serves http://127.0.0.1:{server.port}, generation 2")
    assert server.get("/told").json() == []


def test_what_meets_a_full_socket_is_told_again(home: Home, notified: socket.socket) -> None:
    """In its order, without the states in between."""
    fill(notified)
    server = home.serve("web")
    for generation in (2, 3):
        server.send(signal.SIGHUP)
        server.wait_log(f"all workers are of generation {generation}")
    words = [heard(notified)]
    while words[-1].get("READY") != "1":
        words.append(heard(notified))
    told = [each for each in words if each != {"STATUS": "from another"}]
    assert [word for each in told for word in each if word in ("READY", "RELOADING")] == [
        "RELOADING",
        "READY",
    ]
    assert told[-1]["STATUS"].endswith("generation 3")


def test_the_fleet_is_ready_when_each_server_is_up_or_has_failed(
    home: Home, notified: socket.socket
) -> None:
    """One word for all of them: masters say nothing. Who is ill is named."""
    home.write_app("webapp.py")
    home.write_app("broken.py", "import no_such_module_anywhere")
    home.write_conf("web")
    home.write_conf("api", routes="/ = {app}/broken")
    with fleet(home):
        assert heard(notified) == {
            "READY": "1",
            "STATUS": "1 of 2 servers serve; api is tried again: master left with exit code 1",
        }
        home.write_app("broken.py")
        home.run("start", "api")
        hear_status(notified, "2 of 2 servers serve")
        home.run("stop", "web")
        hear_status(notified, "1 of 2 servers serve; web is stopped")
    assert heard(notified) == {"STOPPING": "1"}


def test_a_fleet_without_a_server_is_never_ready(home: Home, notified: socket.socket) -> None:
    """It stops by itself, and fails."""
    home.write_app("webapp.py", "import no_such_module_anywhere")
    home.write_conf("web")
    assert home.run("start", "--foreground").code == 1
    assert heard(notified) == {"STOPPING": "1"}


def test_the_fleet_says_both_words_of_a_reload(home: Home, notified: socket.socket) -> None:
    """The reload has its time. A conf with mistakes is told of, though its server serves on."""
    home.write_app("webapp.py")
    port = home.write_conf("web")
    with fleet(home) as process:
        assert heard(notified)["STATUS"] == "1 of 1 servers serve"
        home.write_conf("web", port=port, more="threadss = 4")
        hear_status(notified, "1 of 1 servers serve; the conf of web has mistakes")
        process.send_signal(signal.SIGHUP)
        reloading = heard(notified)
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert heard(notified)["READY"] == "1"


def test_it_hears_that_the_fleet_lives(home: Home, notified: socket.socket) -> None:
    """From one process only."""
    home.env["WATCHDOG_USEC"] = "100000"
    home.write_app("webapp.py")
    home.write_conf("web")
    with fleet(home):
        hear_status(notified, "1 of 1 servers serve")
        _hear_signs_of_life(notified, 3)


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
