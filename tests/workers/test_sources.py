"""What is remembered of the files that modules are read from."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skitaid.workers.sources import GONE, Sources, installed, stamp


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    """At work, with a directory to import from; modules and finders are the process's."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "meta_path", [Sources(), *sys.meta_path])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield installed()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_each_file_is_noted_as_it_was_read(sources: Sources, tmp_path: Path) -> None:
    """So what was written later differs, whenever one looks."""
    file = tmp_path / "some_module.py"
    file.write_text("x = 1\n")
    noted = stamp(str(file))
    importlib.import_module("some_module")
    file.write_text("x = 2 + 3\n")

    assert sources.read() == {str(file): noted}
    assert stamp(str(file)) != noted
    file.unlink()
    assert stamp(str(file)) == GONE


def test_file_that_does_not_import_is_noted(sources: Sources, tmp_path: Path) -> None:
    """It is the one that will be mended."""
    file = tmp_path / "some_module.py"
    file.write_text("x = (\n")
    with pytest.raises(SyntaxError):
        importlib.import_module("some_module")

    assert list(sources.read()) == [str(file)]


def test_text_is_read_again_though_python_would_take_it_for_the_same(
    sources: Sources, tmp_path: Path
) -> None:
    """Same length, same second: that is all it compares."""
    file = tmp_path / "some_module.py"
    for number in (1, 2, 3):
        file.write_text(f"x = {number}\n")
        os.utime(file, ns=(0, number))
        sys.modules.pop("some_module", None)
        assert importlib.import_module("some_module").x == number


def test_module_that_is_forgotten(sources: Sources, tmp_path: Path) -> None:
    """It is not looked at until it is imported again."""
    file = tmp_path / "some_module.py"
    file.write_text("")
    importlib.import_module("some_module")
    sources.forget(str(file))
    assert sources.read() == {}
    importlib.reload(sys.modules["some_module"])
    assert list(sources.read()) == [str(file)]


def test_what_was_not_found_appears(sources: Sources, tmp_path: Path) -> None:
    """Also in a package, which does not change by that."""
    (tmp_path / "some_package").mkdir()
    (tmp_path / "some_package/__init__.py").write_text("")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("some_package.part")
    assert not sources.has_appeared()
    (tmp_path / "some_package/part.py").write_text("")
    assert sources.has_appeared()
    sources.forget_missing()
    assert not sources.has_appeared()


def test_modules_without_a_source_file(sources: Sources, tmp_path: Path) -> None:
    """Directories without an `__init__.py` are found as ever."""
    (tmp_path / "some_space").mkdir()
    (tmp_path / "some_space/part.py").write_text("x = 1\n")
    assert importlib.import_module("some_space.part").x == 1
    assert list(sources.read()) == [str(tmp_path / "some_space/part.py")]


def test_there_is_one_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In front of the finder that it asks."""
    plain = [finder for finder in sys.meta_path if not isinstance(finder, Sources)]
    monkeypatch.setattr(sys, "meta_path", plain.copy())
    made = installed()

    assert installed() is made
    place = sys.meta_path.index(made)
    assert sys.meta_path[place + 1] is importlib.machinery.PathFinder
    assert [finder for finder in sys.meta_path if finder is not made] == plain
