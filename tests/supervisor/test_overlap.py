"""Two sockets of one port whose addresses overlap."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from operator_session import free_port

from skitaid.supervisor.listeners import CannotListen, listen
from skitaid.supervisor.overlap import mute, unshare
from skitaid.workers.backlog import open_backlog

# Of two addresses, and one that both have; of the two the first is the closer one.
OVERLAPS = [("127.0.0.1", "0.0.0.0", "127.0.0.1"), ("127.0.0.1", "", "127.0.0.1")]
if socket.has_dualstack_ipv6():
    OVERLAPS += [("0.0.0.0", "", "127.0.0.1"), ("::1", "", "::1")]


class Pair:
    """A listening socket, and one that was bound beside it."""

    def __init__(self, old: str, new: str, common: str) -> None:
        self.port = free_port()
        self.common = common
        self.old = listen(old, self.port)
        self.new = listen(new, self.port, [self.old])

    def who_gets_one(self) -> str:
        """Where a new connection arrives."""
        with socket.create_connection((self.common, self.port)):
            for name, sock in (("old", self.old), ("new", self.new)):
                with suppress(OSError):
                    sock.accept()[0].close()
                    return name
        return "nobody"

    def close(self) -> None:
        self.old.close()
        self.new.close()


@pytest.fixture(params=OVERLAPS)
def widened(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """From the closer address to the other."""
    close, wide, common = request.param
    with closing(Pair(close, wide, common)) as pair:
        yield pair


@pytest.fixture(params=OVERLAPS)
def narrowed(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """From the wider address to the closer one."""
    close, wide, common = request.param
    with closing(Pair(wide, close, common)) as pair:
        yield pair


def test_without_leave_of_the_old_one_it_is_taken() -> None:
    """As if it were of another process."""
    port = free_port()
    with closing(listen("127.0.0.1", port)) as old:
        with pytest.raises(CannotListen, match="already does"):
            listen("0.0.0.0", port)
        with (
            closing(listen("127.0.0.2", port)),
            pytest.raises(CannotListen, match="stop and start it"),
        ):
            listen("0.0.0.0", port, [old])


def test_nobody_else_gets_in_afterwards(widened: Pair) -> None:
    """When both listen, and no more are to come."""
    open_backlog(widened.new)
    unshare([widened.old, widened.new])
    for ip in ("127.0.0.1", "0.0.0.0", ""):
        with pytest.raises(CannotListen):
            listen(ip, widened.port)


def test_one_that_is_only_bound_takes_nothing(narrowed: Pair) -> None:
    """So nothing is lost if it never listens."""
    assert narrowed.who_gets_one() == "old"
    open_backlog(narrowed.new)
    assert narrowed.who_gets_one() == "new"


def test_a_muted_one_takes_nothing_more(widened: Pair) -> None:
    """What has come to it can still be accepted."""
    open_backlog(widened.new)
    with socket.create_connection((widened.common, widened.port)):
        mute(widened.old)
        assert _accepts(widened.old)
    assert widened.who_gets_one() == "new"


def _accepts(listener: socket.socket) -> bool:
    connection, _ = listener.accept()
    connection.close()
    return True
