"""The book of small files: bounded, and never of a file that has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skitaid.workers.web.file_cache import OVERHEAD, SETTLED, FileCache, Page, is_settled
from skitaid.workers.web.representation import Representation
from skitaid.workers.web.static import Stamp, stamp

LIMIT = 8 * OVERHEAD
NOW: Stamp = (1, 2, 3, 4, 5)
LATER: Stamp = (1, 2, 4, 4, 5)
WHAT = Representation(b'"a"', 0, b"text/css", b"", b"")


def page(size: int) -> Page:
    return Page.of(WHAT, b"x" * size)


def keep(cache: FileCache, path: str, now: Stamp, coding: str = "", size: int = 1) -> None:
    cache.keep(path, now, {"br": None, "gzip": None}, 0.0, coding, page(size))


def test_a_changed_file_is_forgotten() -> None:
    """With all its pages, at the first look."""
    cache = FileCache(LIMIT)
    keep(cache, "/a", NOW)
    keep(cache, "/a", NOW, "br")
    assert cache.get("/a", LATER) is None
    assert cache.get("/a", NOW) is None
    assert (len(cache), cache.size) == (0, 0)


def test_pages_of_one_file_are_kept_together() -> None:
    """A stamp holds for all of them."""
    cache = FileCache(LIMIT)
    keep(cache, "/a", NOW)
    keep(cache, "/a", NOW, "br")
    entry = cache.get("/a", NOW)
    assert entry is not None
    assert set(entry.pages) == {"", "br"}


def test_a_page_of_a_changed_file_throws_the_others_out() -> None:
    """One that was compressed meanwhile, say."""
    cache = FileCache(LIMIT)
    keep(cache, "/a", NOW)
    keep(cache, "/a", LATER, "br")
    entry = cache.get("/a", LATER)
    assert entry is not None
    assert set(entry.pages) == {"br"}


def test_other_neighbours_throw_the_pages_out() -> None:
    """What was made on the fly gives way to what was made beforehand."""
    cache = FileCache(LIMIT)
    keep(cache, "/a", NOW, "br")
    cache.keep("/a", NOW, {"br": LATER}, 0.0, "", page(1))
    entry = cache.get("/a", NOW)
    assert entry is not None
    assert set(entry.pages) == {""}


def test_the_least_recently_used_goes_first() -> None:
    """To be looked at counts."""
    cache = FileCache(3 * OVERHEAD)
    keep(cache, "/a", NOW, size=0)
    keep(cache, "/b", NOW, size=0)
    keep(cache, "/c", NOW, size=0)
    cache.get("/a", NOW)
    keep(cache, "/d", NOW, size=0)
    assert [path for path in ("/a", "/b", "/c", "/d") if cache.get(path, NOW)] == ["/a", "/c", "/d"]


def test_what_is_larger_than_all_is_not_taken_in() -> None:
    """And throws nothing out."""
    cache = FileCache(LIMIT)
    keep(cache, "/a", NOW)
    keep(cache, "/b", NOW, size=LIMIT)
    assert cache.get("/b", NOW) is None
    assert cache.get("/a", NOW) is not None


class CacheMachine(RuleBasedStateMachine):
    """Any sequence of uses; `files` is what the disk has."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = FileCache(LIMIT)
        self.files: dict[str, int] = {}

    def now(self, path: str) -> Stamp:
        return (0, self.files.get(path, 0), 0, 0, 0)

    @rule(path=st.sampled_from("abcde"))
    def change(self, path: str) -> None:
        self.files[path] = self.files.get(path, 0) + 1

    @rule(
        path=st.sampled_from("abcde"),
        coding=st.sampled_from(["", "br"]),
        size=st.integers(0, LIMIT + 1),
    )
    def keep(self, path: str, coding: str, size: int) -> None:
        body = b"%d" % self.files.get(path, 0)
        found = Page.of(WHAT, body.ljust(size))
        self.cache.keep(path, self.now(path), {}, 0.0, coding, found)

    @rule(path=st.sampled_from("abcde"))
    def get(self, path: str) -> None:
        entry = self.cache.get(path, self.now(path))
        pages = entry.pages.values() if entry else ()
        assert all(int(page.body) == self.files.get(path, 0) for page in pages)

    @rule(path=st.sampled_from("abcde"))
    def drop(self, path: str) -> None:
        self.cache.drop(path)
        assert self.cache.get(path, self.now(path)) is None

    @invariant()
    def is_bounded(self) -> None:
        entries = self.cache._entries.values()
        assert self.cache.size == sum(entry.size for entry in entries) <= LIMIT


test_any_sequence_of_uses = CacheMachine.TestCase


def test_what_was_just_changed_is_not_settled(tmp_path: Path) -> None:
    """It may change again within one tick of the clock, even with its time set back."""
    file = tmp_path / "a"
    file.write_text("a")
    os.utime(file, (1, 1))
    status = file.stat()
    assert not is_settled(status, status.st_ctime)
    assert not is_settled(status, status.st_ctime + SETTLED * 0.9)
    assert is_settled(status, status.st_ctime + SETTLED)


@pytest.mark.parametrize("how", ["write", "same size, time set back", "replace", "link"])
def test_every_change_is_another_stamp(tmp_path: Path, how: str) -> None:
    """Nobody can set back the time at which an inode was changed."""
    file = tmp_path / "a"
    file.write_text("old")
    before = file.stat()
    match how:
        case "write":
            file.write_text("longer")
        case "same size, time set back":
            while file.stat().st_ctime_ns == before.st_ctime_ns:  # within one tick
                file.write_text("new")
                os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            assert file.stat().st_mtime_ns == before.st_mtime_ns
        case "replace":
            (tmp_path / "b").write_text("new")
            (tmp_path / "b").rename(file)
        case "link":
            (tmp_path / "b").write_text("new")
            file.unlink()
            file.symlink_to("b")
    assert stamp(file.stat()) != stamp(before)


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_settled_looks_at_both_times(modified: int, changed: int) -> None:
    """A file from the future is never settled."""
    status = os.stat_result((0, 0, 0, 0, 0, 0, 0, 0, modified, changed))
    assert is_settled(status, max(modified, changed) + SETTLED)
    assert not is_settled(status, max(modified, changed))
