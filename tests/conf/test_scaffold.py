"""A new home."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from skitaid.conf import SAMPLE_SECRETS, load_server
from skitaid.errors import SkitaidError
from skitaid.paths import Paths
from skitaid.scaffold import init
from skitaid.workers.settings import AppRoute, StaticRoute


def tree(directory: Path) -> dict[str, str]:
    """Every file below a directory, with its content."""
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


# what is refused


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """If any of the files is there, all such are listed and nothing is touched."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/webapp.py").write_text("mine")
    os.symlink("nowhere", tmp_path / "etc-link")
    (tmp_path / "etc/skitaid").mkdir(parents=True)
    os.symlink("nowhere", tmp_path / "etc/skitaid/skitaid.conf")
    with pytest.raises(SkitaidError) as raised:
        init(tmp_path)
    assert str(raised.value).split("\n")[1:] == [
        f"  {tmp_path}/etc/skitaid/skitaid.conf",
        f"  {tmp_path}/app/webapp.py",
    ]
    assert tree(tmp_path) == {"app/webapp.py": "mine"}


def test_file_where_a_directory_should_be(tmp_path: Path) -> None:
    """What the system refuses is told in a sentence."""
    (tmp_path / "home").touch()
    with pytest.raises(SkitaidError, match="cannot be made"):
        init(tmp_path / "home")


# what is made


def test_new_home_has_a_server_that_checks(tmp_path: Path) -> None:
    """The conf works as it stands: on this machine only, with a key of its own."""
    init(tmp_path / "home")
    paths = Paths.find(str(tmp_path / "home"))
    assert paths == Paths(tmp_path / "home/etc/skitaid", tmp_path / "home/var")
    assert paths.enabled() == ["web"]
    settings = load_server(paths.conf("web"), paths.run_dir("web"), {})
    assert settings.ip == "127.0.0.1"
    assert [type(route) for route in settings.worker.routes] == [StaticRoute, AppRoute]


def test_sample_in_a_new_home_checks_too(tmp_path: Path) -> None:
    """Whoever starts from the sample starts from something that works."""
    init(tmp_path)
    paths = Paths.find(str(tmp_path))
    assert load_server(paths.conf("a/sample"), paths.run_dir("sample"), {}).port == 5000


def test_key_is_secret(tmp_path: Path) -> None:
    """Each home has another key, which only its owner can read."""
    keys: set[str] = set()
    for name in ("a", "b"):
        init(tmp_path / name)
        conf = Paths.find(str(tmp_path / name)).conf("web")
        assert conf.stat().st_mode & 0o777 == 0o600
        keys.update(load_server(conf, tmp_path, {}).worker.secure_keys)
    assert len(keys) == 2
    assert SAMPLE_SECRETS["securekey"] not in keys


def test_home_can_be_moved(tmp_path: Path) -> None:
    """Nothing in it knows where it was made."""
    init(tmp_path / "old")
    assert str(tmp_path) not in "".join(tree(tmp_path / "old").values())
    (tmp_path / "old").rename(tmp_path / "new")
    paths = Paths.find(str(tmp_path / "new"))
    settings = load_server(paths.conf("web"), paths.run_dir("web"), {})
    assert settings.run_dir == str(tmp_path / "new/var/servers/web")


def test_app_is_python(tmp_path: Path) -> None:
    """The app has a global `app`, and the templates it asks for are there."""
    init(tmp_path)
    module = ast.parse((tmp_path / "app/webapp.py").read_text())
    targets = [
        target.id
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert targets == ["app"]
    assert (tmp_path / "app/templates/page.html").is_file()


def test_existing_directory_with_other_files(tmp_path: Path) -> None:
    """A home may be made in a directory that is not empty."""
    (tmp_path / "README").write_text("mine")
    made = init(tmp_path)
    assert tree(tmp_path).keys() == {"README", *(str(f.relative_to(tmp_path)) for f in made)}
