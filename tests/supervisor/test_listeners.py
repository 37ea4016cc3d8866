"""Binding the server's address, and what is said when it cannot be."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from operator_session import free_port

from skitaid.supervisor.listeners import CannotListen, listen


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this process listens."""
    port = free_port()
    with closing(listen("127.0.0.1", port)):
        yield port


def test_a_taken_port_names_who_has_it(taken: int) -> None:
    """The operator learns which process to stop."""
    expected = rf"^cannot listen on 127\.0\.0\.1:{taken}: .+ \(pid {os.getpid()}\) already does$"
    with pytest.raises(CannotListen, match=expected):
        listen("127.0.0.1", taken)


def test_a_taken_port_is_taken_for_all_interfaces_too(taken: int) -> None:
    """The star stands for them."""
    with pytest.raises(CannotListen, match=rf"cannot listen on \*:{taken}"):
        listen("", taken)


def test_an_address_of_another_machine_is_refused() -> None:
    """192.0.2.1 is nobody's."""
    with pytest.raises(CannotListen, match="this machine has no such address"):
        listen("192.0.2.1", free_port())


def test_a_name_that_is_no_address_is_refused() -> None:
    """The key of the conf is named."""
    with pytest.raises(CannotListen, match=r"ip = no-such-host\.invalid is not an address"):
        listen("no-such-host.invalid", free_port())


def test_no_ip_means_all_interfaces_of_both_families() -> None:
    """One socket answers IPv4, and IPv6 where the machine has it."""
    port = free_port()
    with closing(listen("", port)):
        socket.create_connection(("127.0.0.1", port)).close()
        if socket.has_dualstack_ipv6():
            socket.create_connection(("::1", port)).close()


def test_an_ipv6_address_is_only_itself() -> None:
    """A server on ::1 does not answer on 127.0.0.1."""
    port = free_port()
    with closing(listen("::1", port)):
        socket.create_connection(("::1", port)).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_port_is_free_again_when_its_server_has_closed_connections() -> None:
    """What is left of them (TIME_WAIT) does not stop a restart."""
    port = free_port()
    with closing(listen("127.0.0.1", port)) as listener:
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = listener.accept()
        accepted.close()
        client.close()
    listen("127.0.0.1", port).close()
