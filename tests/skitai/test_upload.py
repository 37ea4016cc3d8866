"""Uploads, as a handler sees them."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from skitai.request import MULTIPART, Request
from skitai.upload import Upload, UploadedFile


def file(path: Path, name: str = "a.txt") -> UploadedFile:
    """One with its content on disk, which only its owner may read."""
    path.write_bytes(b"content")
    path.chmod(0o600)
    return UploadedFile("text/plain", str(path), name, 7)


@pytest.fixture
def other_file_system() -> Iterator[Path]:
    """A directory on another file system than pytest's."""
    path = Path("/dev/shm") / f"skitai-test-{os.getpid()}"
    path.mkdir()
    yield path
    for each in path.iterdir():
        each.unlink()
    path.rmdir()


def request(upload: Upload, query: str = "") -> Request:
    made = Request("POST", f"/?{query}".encode(), [(b"Content-Type", MULTIPART)], b"", "1.1", "")
    made.upload = upload
    return made


def test_file_is_a_mapping(tmp_path: Path) -> None:
    """With the keys that it always had, and in their order."""
    one = file(tmp_path / "a")

    assert str(one) == str(
        {"mimetype": "text/plain", "local": str(tmp_path / "a"), "remote": "a.txt", "size": 7}
    )
    assert one.filename == "a.txt"
    with one.open() as source:
        assert source.read() == b"content"


def test_save_of_a_file_that_is_gone(tmp_path: Path) -> None:
    """The handler has moved it already."""
    one = file(tmp_path / "a")
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        one.save(tmp_path / "b")
    assert one["local"] == str(tmp_path / "a")


def test_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """As it was, and nothing beside it."""
    one = file(tmp_path / "a")
    (tmp_path / "a").unlink()
    (tmp_path / "b").write_bytes(b"older")
    with pytest.raises(FileNotFoundError):
        one.save(tmp_path / "b")

    assert (tmp_path / "b").read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["b"]


def test_save_to_another_file_system_where_it_does_not_fit(
    tmp_path: Path, other_file_system: Path
) -> None:
    """The file stays where it was, and what was there as it was."""
    one, target = file(tmp_path / "a"), other_file_system / "b"
    target.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, before[1]))  # bytes
    try:
        with pytest.raises(OSError, match="File too large"):
            one.save(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert target.read_bytes() == b"old"
    assert os.listdir(other_file_system) == ["b"]
    with one.open() as source:
        assert source.read() == b"content"


def test_save_to_itself(tmp_path: Path) -> None:
    """Nothing to do."""
    one = file(tmp_path / "a")
    one.save(tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["a"]


def test_save_to_a_link_replaces_the_link(tmp_path: Path) -> None:
    """What it led to is none of our business."""
    one, other = file(tmp_path / "a"), tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(other)
    one.save(tmp_path / "link")

    assert other.read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"content"
    assert not (tmp_path / "link").is_symlink()


def test_save_where_nothing_can_be_written(tmp_path: Path) -> None:
    """The file stays where it was."""
    one = file(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        one.save(tmp_path / "none" / "b")
    with one.open() as source:
        assert source.read() == b"content"


@pytest.mark.parametrize("there", [None, b"another, longer content"])
def test_save_moves(tmp_path: Path, there: bytes | None) -> None:
    """It replaces what is there, has the mode of any new file, and can be moved on."""
    one, target = file(tmp_path / "a"), tmp_path / "b"
    (tmp_path / "any").touch()
    if there is not None:
        target.write_bytes(there)
    one.save(target)
    assert target.read_bytes() == b"content"
    assert target.stat().st_mode == (tmp_path / "any").stat().st_mode
    assert one["local"] == str(target)
    one.save(tmp_path / "c")

    assert sorted(os.listdir(tmp_path)) == ["any", "c"]


def test_save_to_another_file_system(tmp_path: Path, other_file_system: Path) -> None:
    """Then it is copied."""
    one = file(tmp_path / "a")
    one.save(other_file_system / "b")

    assert (other_file_system / "b").read_bytes() == b"content"
    assert os.listdir(tmp_path) == []


def test_discard_is_done_once() -> None:
    """By whoever comes first: the end of the request, or of the upload."""
    deleted: list[str] = []
    upload = Upload([], lambda: deleted.append("a"))
    upload.discard()
    upload.discard()
    del upload
    assert deleted == ["a"]

    forgotten = Upload([], lambda: deleted.append("b"))
    del forgotten
    assert deleted == ["a", "b"]


def test_args_and_files(tmp_path: Path) -> None:
    """Query first; a name that comes again has a list."""
    one, other, lone = (file(tmp_path / name) for name in "abc")
    parts = [("n", "2"), ("n", "3"), ("f", one), ("f", other), ("g", lone), ("empty", "")]
    made = request(Upload(parts), "n=1&m=0")

    assert made.args == {
        "m": "0",
        "n": ["1", "2", "3"],
        "f": [one, other],
        "g": lone,
        "empty": "",
    }
    assert made.files == {"f": [one, other], "g": lone}


def test_request_without_an_upload_has_no_files() -> None:
    """Nothing to look for first."""
    assert Request("GET", b"/", [], b"", "1.1", "").files == {}
