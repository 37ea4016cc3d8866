"""Who runs: the pid file and its lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skitaid.errors import SkitaidError
from skitaid.pidfile import AlreadyRunning, PidFile, holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock" / "pid"


def test_it_holds_a_plain_decimal_pid(path: Path) -> None:
    """For scripts that read it with cat."""
    PidFile(path, "server web").close()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_held_file_is_refused_to_others(path: Path) -> None:
    """Who is running, and which pid to look for."""
    held = PidFile(path, "server web")
    with pytest.raises(
        AlreadyRunning, match=rf"^server web is already running \(pid {os.getpid()}"
    ):
        PidFile(path, "server web")
    held.close()


def test_the_holder_is_known_while_it_lives(path: Path) -> None:
    """Not before, not after, however it ended."""
    assert holder(path) is None
    held = PidFile(path, "server web")
    assert holder(path) == os.getpid()
    held.close()
    assert path.exists()
    assert holder(path) is None


def test_a_longer_stale_pid_is_overwritten_whole(path: Path) -> None:
    """No digits of the last one stay."""
    path.parent.mkdir()
    path.write_text("9999999999999\n")
    PidFile(path, "server web").close()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_clean_end_removes_the_file(path: Path) -> None:
    """And it can be taken again."""
    PidFile(path, "server web").remove()
    assert not path.exists()
    PidFile(path, "server web").remove()


def test_a_lock_on_a_removed_file_does_not_count(path: Path) -> None:
    """Who waits on a file that its holder removes must take the new one."""
    held = PidFile(path, "server web")
    path.unlink()
    successor = PidFile(path, "server web")
    assert holder(path) == os.getpid()
    successor.close()
    held.close()


def test_a_place_that_cannot_be_written_is_told(path: Path) -> None:
    """With the path and the way out."""
    path.parent.write_text("in the way")
    with pytest.raises(SkitaidError, match=r"server web cannot write .*--var chooses"):
        PidFile(path, "server web")


def test_a_full_disk_is_told_too(path: Path) -> None:
    """The file is there by then, and cannot be filled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/dev/full")
    with pytest.raises(SkitaidError, match=r"server web cannot write .*--var chooses"):
        PidFile(path, "server web")
