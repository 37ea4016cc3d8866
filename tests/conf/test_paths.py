"""Where confs are looked for, and where servers keep their files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skitaid.errors import ConfError, ConfNotFound
from skitaid.paths import Paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with two enabled confs and an available one; we stand in an empty directory."""
    for name in ("servers-enabled/web", "servers-enabled/api", "servers-available/sample"):
        conf = tmp_path / f"home/etc/skitaid/{name}.conf"
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.fixture
def paths(home: Path) -> Paths:
    return Paths(home / "etc/skitaid", home / "var")


# what is not there


def test_etc_without_confs(tmp_path: Path) -> None:
    """A directory that holds no confs is refused with the three places looked at."""
    with pytest.raises(ConfNotFound) as raised:
        Paths.find(str(tmp_path))
    for place in (tmp_path, tmp_path / "skitaid", tmp_path / "etc/skitaid"):
        assert str(place) in str(raised.value)
    assert raised.value.exit_code == 2


def test_wrong_fleet_conf(home: Path) -> None:
    """VAR is not guessed when the file that says it has a mistake."""
    (home / "etc/skitaid/skitaid.conf").write_text("[global]\nvar = x\n")
    with pytest.raises(ConfError, match=r"skitaid\.conf:2: var: unknown key"):
        Paths.find(str(home))


def test_unknown_conf(paths: Paths) -> None:
    """Every place looked at is named, and the nearest name."""
    here = Path.cwd()
    with pytest.raises(ConfNotFound) as raised:
        paths.conf("webb")
    assert str(raised.value) == (
        f"there is no conf webb; looked at {paths.servers_enabled}/webb.conf,"
        f" {here}/webb, {here}/webb.conf; did you mean web?"
    )


def test_conf_that_is_only_available(paths: Paths) -> None:
    """Who forgets the a/ is reminded of it."""
    with pytest.raises(ConfNotFound, match=r"did you mean a/sample\?$"):
        paths.conf("sample")


@pytest.mark.parametrize("argument", ["", ".", "..", "/", "e/", "x/web", "../web", "~"])
def test_odd_arguments(paths: Paths, argument: str) -> None:
    """Directories and made-up prefixes are no confs."""
    with pytest.raises(ConfNotFound):
        paths.conf(argument)


def test_nothing_enabled(tmp_path: Path) -> None:
    """A missing directory holds no servers."""
    assert Paths(tmp_path, tmp_path).enabled() == []


# what is there


@pytest.mark.parametrize("below", ["", "etc", "etc/skitaid"])
def test_a_home_stands_for_its_etc(home: Path, below: str) -> None:
    """The home, its etc and the directory itself all name the same confs."""
    assert Paths.find(str(home / below)).etc == home / "etc/skitaid"


def test_nearest_etc_wins(home: Path) -> None:
    """A directory that holds confs itself stands for itself."""
    (home / "skitaid.conf").touch()
    assert Paths.find(str(home)).etc == home


def test_relative_etc(home: Path) -> None:
    """What is relative is so to where we stand, once and for all."""
    paths = Paths.find("../home", "../run")
    assert (paths.etc, paths.var) == (home / "etc/skitaid", home.parent / "run")


def test_var_of_the_fleet_conf(home: Path) -> None:
    """Without --var it is what skitaid.conf says."""
    (home / "etc/skitaid/skitaid.conf").write_text("[global]\nvar_path = var\n")
    assert Paths.find(str(home)).var == home / "var"
    assert Paths.find(str(home), "/run/x").var == Path("/run/x")


def test_default_var(home: Path) -> None:
    """Without skitaid.conf it is the system's."""
    assert Paths.find(str(home)).var == Path("/var/local/skitaid")


def test_run_dir(paths: Paths) -> None:
    """Each server has a directory of its own; asking for it makes none."""
    assert paths.run_dir("web") == paths.var / "servers/web"
    assert not paths.var.exists()


def test_fleet_conf(paths: Paths) -> None:
    """The fleet's file is beside the servers' directories."""
    assert paths.fleet_conf == paths.servers_enabled.parent / "skitaid.conf"


@pytest.mark.parametrize(
    ("argument", "place"),
    [
        ("web", "servers-enabled/web.conf"),
        ("e/web", "servers-enabled/web.conf"),
        ("web.conf", "servers-enabled/web.conf"),
        ("a/sample", "servers-available/sample.conf"),
        ("a/sample.conf", "servers-available/sample.conf"),
    ],
)
def test_conf_by_name(paths: Paths, argument: str, place: str) -> None:
    """Names are those of servers-enabled, a/ is for servers-available."""
    assert paths.conf(argument) == paths.etc / place


@pytest.mark.parametrize("argument", ["devel", "devel.conf", "./devel", "../here/devel.conf"])
def test_conf_by_path(paths: Paths, argument: str) -> None:
    """A conf anywhere can be named by its path, with or without .conf."""
    Path("devel.conf").touch()
    assert paths.conf(argument) == Path.cwd() / "devel.conf"


def test_name_goes_before_a_file_that_happens_to_be_here(paths: Paths) -> None:
    """NAME means the enabled server wherever one stands, NAME.conf the file at hand."""
    Path("web.conf").touch()
    assert paths.conf("web") == paths.servers_enabled / "web.conf"
    assert paths.conf("web.conf") == Path.cwd() / "web.conf"


def test_enabled(paths: Paths) -> None:
    """Names are sorted; links count, dangling links and other files do not."""
    enabled = paths.servers_enabled
    os.symlink("../servers-available/sample.conf", enabled / "linked.conf")
    os.symlink("nowhere.conf", enabled / "gone.conf")
    for name in (".web.conf", "web.conf~", "README"):
        (enabled / name).touch()
    (enabled / "directory.conf").mkdir()
    assert paths.enabled() == ["api", "linked", "web"]
    assert paths.conf("linked") == enabled / "linked.conf"
