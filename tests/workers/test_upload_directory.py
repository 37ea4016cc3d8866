"""The directories of workers for temporary files, and those that nobody cleans up but another."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from skitaid.workers.web.upload_directory import PREFIX, UploadDirectory


def abandoned(parent: Path, name: str = "dead") -> Path:
    """What a worker leaves that is killed: a directory that nobody holds."""
    path = parent / f"{PREFIX}{name}"
    path.mkdir()
    (path / "file").write_bytes(b"half of it")
    return path


def test_nothing_is_made_before_the_first_file(tmp_path: Path) -> None:
    """Most servers take no uploads."""
    directory = UploadDirectory(str(tmp_path))
    directory.sweep()
    directory.remove()

    assert os.listdir(tmp_path) == []


def test_missing_directory(tmp_path: Path) -> None:
    """It is missed by the first upload, not by the start."""
    directory = UploadDirectory(str(tmp_path / "none"))
    directory.sweep()
    with pytest.raises(FileNotFoundError):
        directory.new_file()
    (tmp_path / "none").mkdir()
    directory.new_file()[0].close()
    directory.remove()

    assert os.listdir(tmp_path / "none") == []


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else can read them, or find out about them."""
    directory = UploadDirectory(str(tmp_path))
    file, path = directory.new_file()
    other, _ = directory.new_file()
    with file, other:
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert Path(path).parent.stat().st_mode & 0o777 == 0o700
    (made,) = tmp_path.iterdir()
    assert len(list(made.iterdir())) == 2
    directory.remove()

    assert os.listdir(tmp_path) == []


def test_sweep_removes_what_dead_workers_have_left(tmp_path: Path) -> None:
    """And nothing else: not what a living one has, nor what is not ours."""
    abandoned(tmp_path)
    living = UploadDirectory(str(tmp_path))
    file, path = living.new_file()
    (tmp_path / "other").mkdir()
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "other")
    with file:
        UploadDirectory(str(tmp_path)).sweep()

    assert not (tmp_path / f"{PREFIX}dead").exists()
    kept = {Path(path).parent.name, "other", f"{PREFIX}file", f"{PREFIX}link"}
    assert set(os.listdir(tmp_path)) == kept
    assert os.path.exists(path)
    living.remove()


def test_sweep_leaves_alone_what_is_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory may be everybody's."""
    path = abandoned(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    UploadDirectory(str(tmp_path)).sweep()

    assert path.exists()


def test_directory_that_is_swept_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sibling who does so cannot know better; then another one is made."""
    real, swept = fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if not swept:
            (path,) = tmp_path.iterdir()
            path.rmdir()
            swept.append(path)
        real(descriptor, how)

    monkeypatch.setattr("fcntl.flock", flock)
    directory = UploadDirectory(str(tmp_path))
    file, path = directory.new_file()
    file.close()

    assert Path(path).exists()
    assert [Path(path).parent] == list(tmp_path.iterdir()) != swept
    directory.remove()
