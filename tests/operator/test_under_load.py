"""Reload, restart and kill while clients ask without pause. The long form is in benchmarks/."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from mixed_load import APP, MixedLoad
from operator_session import Home
from served import Server
from waits import wait_until

BROKEN = "def broken(:\n"


@pytest.fixture
def server(home: Home) -> Server:
    """Two workers, with the app that checks what it is sent."""
    return home.serve(apps={"webapp.py": APP}, processes=2)


@pytest.fixture
def load(server: Server) -> Iterator[MixedLoad]:
    """A load on it that has begun; it must have ended well before the server stops."""
    load = MixedLoad(server.port)
    load.start()
    _wait_for_answers(load)
    yield load
    load.stop()


def _wait_for_answers(load: MixedLoad, more: int = 100) -> None:
    wanted = load.answers + more
    wait_until(lambda: load.answers >= wanted, f"{more} more right answers")


def test_reload_loses_no_request(home: Home, server: Server, load: MixedLoad) -> None:
    """Not one is refused, reset, late or wrong, and all workers are new."""
    for _ in range(3):
        before = server.workers()
        assert home.run("reload", "web").code == 0
        assert not set(before) & set(server.workers())
        _wait_for_answers(load)

    load.stop()
    assert load.failures() == {}


def test_reloads_that_overtake_each_other_lose_no_request(
    home: Home, server: Server, load: MixedLoad
) -> None:
    """Also a worker that is not wanted any more just when it begins to serve finishes."""
    for _ in range(20):
        server.send(signal.SIGHUP)
        _wait_for_answers(load, more=20)
    assert home.run("reload", "web").code == 0

    load.stop()
    assert load.failures() == {}


def test_reload_with_a_broken_app_loses_no_request(
    home: Home, server: Server, load: MixedLoad
) -> None:
    """The old workers go on, and the operator sees the traceback."""
    before = server.workers()
    home.write_app("webapp.py", BROKEN)
    ran = home.run("reload", "web")
    assert ran.code != 0
    assert "SyntaxError" in ran.err
    assert server.workers() == before
    _wait_for_answers(load)

    load.stop()
    assert load.failures() == {}


def test_a_killed_worker_loses_only_its_own(server: Server, load: MixedLoad) -> None:
    """Nobody is refused, and no other worker's connection breaks."""
    killed = []
    for _ in range(3):
        killed.append(server.workers()[0])
        os.kill(killed[-1], signal.SIGKILL)
        wait_until(
            lambda: killed[-1] not in server.workers() and len(server.workers()) == 2,
            "another worker takes its place",
        )
        _wait_for_answers(load)

    load.stop()
    assert set(load.failures()) <= {"reset", "cut off"}
    assert set(load.broken_by) <= {*killed, None}


def test_connections_are_shared_out(home: Home) -> None:
    """Of 4 workers with 64 kept-alive connections none has more than 1.5 times another's.

    A worker that gets no processor for some milliseconds is passed over, as one that hangs would
    be; on a machine that does other things as well, one fair round of three is enough.
    """
    server = home.serve(apps={"webapp.py": APP}, processes=4)
    rounds = (_shared_out(server) for _ in range(3))
    assert any(len(held) == 4 and max(held) <= 1.5 * min(held) for held in rounds)


def _shared_out(server: Server) -> list[int]:
    """How many of 64 connections each worker has."""
    with ExitStack() as stack:
        held: Counter[int] = Counter()
        for _ in range(64):
            connection = stack.enter_context(closing(server.connect()))
            connection.request("GET", "/sum")
            held[int(connection.getresponse().read().split()[0])] += 1
        return list(held.values())
