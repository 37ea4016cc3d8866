"""Who is heard on the control socket."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from skitaid.supervisor.control_records import Request
from skitaid.supervisor.control_socket import ControlSocket
from skitaid.supervisor.events import Asked, Event
from skitaid.supervisor.waiting import Waiter

NOBODY = 65534


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """Where any user may go."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_other_users_are_hung_up_on(
    public_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if somebody has opened the mode of the file."""
    waiter: Waiter[Event] = Waiter()
    path = public_directory / "control"
    control = ControlSocket(str(path), waiter, msgspec.json.Decoder(Request), Asked)
    path.chmod(0o777)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
        os.seteuid(NOBODY)
        try:
            caller.connect(str(path))
        finally:
            os.seteuid(0)
        assert waiter.wait(None) == []
        assert caller.recv(10) == b""
    assert f"which belongs to user id {NOBODY}" in caplog.text
    control.remove()
    waiter.close()


def test_a_deep_directory_is_no_obstacle(tmp_path: Path) -> None:
    """The kernel's limit of 107 bytes is not the operator's concern."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    waiter: Waiter[Event] = Waiter()
    path = str(deep / "control")
    control = ControlSocket(path, waiter, msgspec.json.Decoder(Request), Asked)
    assert os.path.exists(path)
    control.remove()
    waiter.close()
