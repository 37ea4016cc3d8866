"""Opening what stands in a log directory, whatever somebody has put there."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from skitaid.workers.logs.owned import open_owned

APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
NOBODY = pwd.getpwnam("nobody")

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be in danger")


@pytest.fixture
def of_another(tmp_path: Path) -> Path:
    """A directory that belongs to another user than root."""
    directory = tmp_path / "logs"
    directory.mkdir()
    os.chown(directory, NOBODY.pw_uid, NOBODY.pw_gid)
    return directory


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@pytest.mark.parametrize("plant", [os.mkfifo, _bind, Path.mkdir])
@pytest.mark.parametrize("flags", [APPEND, os.O_RDWR | os.O_CREAT])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, plant: Callable[[Path], None], flags: int
) -> None:
    """Nobody waits for its reader. The message says what is wrong, and with what."""
    path = tmp_path / "server.log"
    plant(path)
    with pytest.raises(OSError, match=r"it is no regular file|Is a directory") as refused:
        open_owned(path, flags)
    assert refused.value.filename in (path, str(path))


def test_a_fifo_that_somebody_reads_is_refused(tmp_path: Path) -> None:
    """Then it could be opened, and would block when it is full."""
    path = tmp_path / "server.log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="it is no regular file"):
        open_owned(path, APPEND)
    os.close(reader)


@only_root
@pytest.mark.parametrize("target", ["file", "fifo", "/dev/null"])
def test_root_follows_no_link_of_another_user(of_another: Path, target: str) -> None:
    """Neither to a file nor to what is none."""
    (of_another / "file").touch()
    os.mkfifo(of_another / "fifo")
    (of_another / "server.log").symlink_to(target)
    with pytest.raises(OSError, match="it is a link, which root does not follow"):
        open_owned(of_another / "server.log", APPEND)


@only_root
def test_root_opens_no_fifo_of_another_user(of_another: Path) -> None:
    """It stays whose it is."""
    os.mkfifo(of_another / "server.log")
    with pytest.raises(OSError, match="it is no regular file"):
        open_owned(of_another / "server.log", APPEND)
    assert (of_another / "server.log").stat().st_uid == 0


def test_a_link_of_ours_may_lead_to_a_device_or_a_pipe(tmp_path: Path) -> None:
    """As to /dev/stdout in a container. What is written waits for the reader."""
    reader, writer = os.pipe()
    for target in ("/dev/null", f"/proc/self/fd/{writer}"):
        link = tmp_path / "request.log"
        link.symlink_to(target)
        descriptor = open_owned(link, APPEND)
        assert os.get_blocking(descriptor)
        os.write(descriptor, b"a line\n")
        os.close(descriptor)
        link.unlink()
    assert os.read(reader, 100) == b"a line\n"
    os.close(reader)
    os.close(writer)


def test_a_new_file_is_not_for_everybody(tmp_path: Path) -> None:
    """What is asked for is nobody's business."""
    descriptor = open_owned(tmp_path / "request.log", APPEND)
    assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o640
    os.close(descriptor)
