"""A worker that may open no more files: who connects waits, and nobody is turned away."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count, islice
from pathlib import Path

import psutil
from operator_session import HELLO, Home
from served import Client, Server
from waits import wait_until

ASK = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
SAID = "no connection can be accepted: Too many open files"
OVER = "connections are accepted again"


def limit(worker: int, more: int) -> None:
    """From now on it may open so many files more than it has."""
    open_now = {int(name) for name in os.listdir(f"/proc/{worker}/fd")}
    free = (number for number in count() if number not in open_now)
    _, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (next(islice(free, more, None)), hard))


def unlimit(worker: int) -> None:
    """It may have as many as before."""
    _, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def clients(server: Client, number: int) -> Iterator[list[socket.socket]]:
    """So many connections that have asked."""
    with ExitStack() as stack:
        connected = [stack.enter_context(server.raw()) for _ in range(number)]
        for client in connected:
            client.sendall(ASK)
        yield connected


def answered(client: socket.socket) -> bool:
    """Waits for the answer."""
    return client.recv(65536).endswith(b"hello")


def test_who_finds_no_room_waits_and_is_answered_when_there_is(home: Home) -> None:
    """It is said once for all of them; the worker lives, and says when it is over."""
    server = home.serve("web", apps={"webapp.py": HELLO})
    (worker,) = server.workers()
    limit(worker, more=4)
    with clients(server, 12) as connected:
        server.wait_log(SAID)
        for client in connected:  # each that goes makes room for one that waits
            assert answered(client)
            client.close()
        log = server.wait_log(OVER)
    assert log.count(SAID) == 1
    assert server.workers() == [worker]


def test_a_second_time_is_told_again(home: Home) -> None:
    """After room was made by the operator, and not by those who have left."""
    server = home.serve("web", apps={"webapp.py": HELLO})
    (worker,) = server.workers()
    for times in (1, 2):
        wait_until(lambda: connections(server) == 0, "those of the first time have left")
        limit(worker, more=1)
        with clients(server, 6) as connected:
            server.wait_log(SAID, times)
            unlimit(worker)
            assert all(map(answered, connected))
            server.wait_log(OVER, times)


def test_while_there_is_no_room_the_worker_rests(home: Home) -> None:
    """What it cannot take from, and stays readable, does not wake it."""
    server = home.serve("web", apps={"webapp.py": HELLO})
    (worker,) = server.workers()
    (listener,) = [
        each.fd
        for each in psutil.Process(worker).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    ]
    assert listener in waking(worker)
    limit(worker, more=0)
    with clients(server, 1) as connected:
        server.wait_log(SAID)
        wait_until(lambda: listener not in waking(worker), "it looks away")
        unlimit(worker)
        assert all(map(answered, connected))
    assert listener in waking(worker)


def test_siblings_take_what_one_cannot(home: Home) -> None:
    """Whoever connects is answered by the other."""
    server = home.serve("web", apps={"webapp.py": HELLO}, processes=2)
    full, well = server.workers()
    limit(full, more=0)
    for _ in range(20):
        with clients(server, 4) as connected:
            assert all(map(answered, connected))
    wait_until(lambda: SAID in server.log(), "the one that is full has tried")
    assert server.workers() == [full, well]


def test_it_is_in_the_log_of_a_server_of_the_fleet(home: Home) -> None:
    """Even if nothing was logged by that worker before."""
    home.write_app("webapp.py")
    client = Client(home.write_conf("web"))
    assert home.run("start").code == 0
    (server,) = json.loads(home.run("status", "--json").out)["servers"]
    (worker,) = server["workers"]
    limit(worker["pid"], more=0)
    with clients(client, 1) as connected:
        log = home.var / "servers" / "web" / "logs" / "server.log"
        wait_until(lambda: SAID in log.read_text(), "the log says so")
        unlimit(worker["pid"])
        assert all(map(answered, connected))
    assert home.run("stop").code == 0


def connections(server: Server) -> int:
    """Of all workers."""
    return sum(worker.connections for worker in server.status().workers)


def waking(pid: int) -> set[int]:
    """The descriptors by which the kernel would wake it."""
    directory = Path(f"/proc/{pid}")
    found: set[int] = set()
    for name in os.listdir(directory / "fd"):
        with suppress(FileNotFoundError):  # closed just now
            if "eventpoll" in os.readlink(directory / "fd" / name):
                watched = (directory / "fdinfo" / name).read_text()
                found |= set(map(int, re.findall(r"^tfd: *(\d+)", watched, re.MULTILINE)))
    return found
