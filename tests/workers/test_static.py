"""Which file a path means, and that no path leaves its directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.web.static import Candidate, IndexBelow, find, open_below

OUTSIDE = "secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to serve, with a file beside it that must not be."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/index.html").write_text(OUTSIDE)
    (tmp_path / "rootless").mkdir()
    (tmp_path / "rootless/x.txt").write_text(OUTSIDE)
    directory = tmp_path / "root"
    for name, text in {
        "index.html": "root",
        "a.txt": "a",
        "both/index.htm": "htm",
        "both/index.html": "html",
        "html/index.html": "html",
        "none/x.txt": "x",
        "index.htm/x.txt": "x",
        "with blank.txt": "blank",
        "\u20ac.txt": "euro",
    }.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    os.mkfifo(directory / "fifo")
    (directory / "odd").mkdir()
    os.mkfifo(directory / "odd/index.html")
    (directory / "inside.txt").symlink_to("a.txt")
    (directory / "absolute.txt").symlink_to(directory / "a.txt")
    (directory / "linked").symlink_to("both")
    (directory / "out.txt").symlink_to("../outside/index.html")
    (directory / "out").symlink_to("../outside")
    (directory / "broken").symlink_to("nowhere")
    (directory / "loop").symlink_to("loop")
    (directory / "parent").symlink_to("..")
    (directory / "to-rootless").symlink_to("../rootless")
    return directory


def text_of(root: Path, rest: str) -> str | None:
    """The text of the file that is found; "->" for a redirect to its directory."""
    found = find(str(root), rest)
    if isinstance(found, Candidate):
        try:
            file, _ = open_below(str(root), found.path)
        except FileNotFoundError:
            return None
        with file:
            return file.read().decode()
    return "->" if isinstance(found, IndexBelow) else None


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("/a.txt", "a"),
        ("/with blank.txt", "blank"),
        ("/\u20ac.txt", "euro"),
        ("/none/x.txt", "x"),
        ("/none//x.txt", "x"),
        ("/A.txt", None),
        ("/a.txt/", None),
        ("/a.txt/x", None),
        ("/missing", None),
        ("/both/", "htm"),
        ("/both", "->"),
        ("/both/index.html", "html"),
        ("/html/", "html"),
        ("/html", "->"),
        ("/none/", None),
        ("/none", None),
        ("/inside.txt", "a"),
        ("/absolute.txt", "a"),
        ("/linked/", "htm"),
        ("/linked", "->"),
    ],
)
def test_find(root: Path, rest: str, text: str | None) -> None:
    """A file, or the index of a directory: htm before html; without the slash a redirect."""
    assert text_of(root, rest) == text


def test_bare_prefix(root: Path) -> None:
    """The directory itself, without its slash and with it; an index must be a file."""
    assert text_of(root, "") == "->"
    assert text_of(root, "/") == "root"


@pytest.mark.parametrize(
    "rest",
    [
        "/../outside/index.html",
        "/none/../../outside/index.html",
        "/../root/a.txt",
        "/..",
        "/none/..",
        "/none/../a.txt",
        "/..\\outside\\index.html",
        "\\..\\outside\\index.html",
        "/none\\x.txt",
        "/a.txt\0",
        "/a.txt\0.html",
        "/\0",
        "/%2e%2e/outside/index.html",
        "/..%2foutside/index.html",
        "/a.txt%00",
        "/" + "x" * 5000,
        "/" + "x/" * 5000,
    ],
)
def test_tricks(root: Path, rest: str) -> None:
    """Dot-dot, backslashes, NUL, what was encoded twice, names that are too long."""
    assert text_of(root, rest) is None


@pytest.mark.parametrize(
    "rest",
    ["/out.txt", "/out/index.html", "/out/", "/out", "/broken", "/loop", "/to-rootless/x.txt",
     "/parent/outside/index.html", "/parent/outside/", "/parent/outside"],
)  # fmt: skip
def test_links_out(root: Path, rest: str) -> None:
    """They find nothing, and do not tell that there is something."""
    assert text_of(root, rest) is None


def test_link_that_leads_out_and_back(root: Path) -> None:
    """Only where it ends counts."""
    assert text_of(root, "/parent/root/a.txt") == "a"


@pytest.mark.parametrize("rest", ["/fifo", "/odd/", "/odd"])
def test_what_is_no_file(root: Path, rest: str) -> None:
    """A pipe would block the loop."""
    assert text_of(root, rest) is None


def test_directory_behind_a_link(root: Path, tmp_path: Path) -> None:
    """`current -> release-5` is how sites are deployed; a file below is inside."""
    (tmp_path / "current").symlink_to("root")

    assert text_of(tmp_path / "current", "/a.txt") == "a"
    assert text_of(tmp_path / "current", "/out.txt") is None


PIECES = st.sampled_from(
    ["/", "..", ".", "a.txt", "out", "parent", "outside", "index.html", "\0", "\\", "both", "x", ""]
)


@given(pieces=st.lists(PIECES, max_size=8))
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    """However it is put together."""
    base = tmp_path_factory.getbasetemp() / "no-path-leads-out"
    directory = base / "root"
    if not base.exists():
        (base / "outside").mkdir(parents=True)
        (base / "outside/index.html").write_text(OUTSIDE)
        (directory / "both").mkdir(parents=True)
        (directory / "both/index.html").write_text("both")
        (directory / "a.txt").write_text("a")
        (directory / "out").symlink_to("../outside")
        (directory / "parent").symlink_to("..")

    assert text_of(directory, "/" + "".join(pieces)) in (None, "->", "a", "both")


# What is opened is what was looked at


def test_a_pipe_that_takes_the_place_of_a_file_is_not_served(root: Path) -> None:
    """Nor does opening it wait for somebody at the other end."""
    with pytest.raises(FileNotFoundError, match="is not a file below"):
        open_below(str(root), str(root / "fifo"))


def test_a_directory_that_takes_the_place_of_a_file_is_not_served(root: Path) -> None:
    """Its descriptor is not left open."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="directory"):
        open_below(str(root), str(root / "both"))
    assert os.listdir("/proc/self/fd") == before


def test_a_link_out_that_takes_the_place_of_a_file_is_not_served(root: Path) -> None:
    """It is where the open file lies that counts, not where the path did a moment ago."""
    found = find(str(root), "/a.txt")
    assert isinstance(found, Candidate)
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to("../outside/index.html")
    with pytest.raises(FileNotFoundError):
        open_below(str(root), found.path)


def test_the_root_directory_of_the_machine_may_be_served(tmp_path: Path) -> None:
    """All is below it."""
    (tmp_path / "a.txt").write_text("a")
    assert text_of(Path("/"), f"{tmp_path}/a.txt") == "a"


# What is hidden


@pytest.mark.parametrize("hidden", [".env", ".git/config", "a/.b/c.txt", ".well-known/.x"])
def test_hidden_files_are_not_served(root: Path, hidden: str) -> None:
    """What begins with a dot is not meant for clients, whoever left it there."""
    file = root / hidden
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("secret")
    assert find(str(root), f"/{hidden}") is None


def test_well_known_files_are_served(root: Path) -> None:
    """RFC 8615 has a directory with a dot."""
    (root / ".well-known").mkdir()
    (root / ".well-known/security.txt").write_text("x")
    assert isinstance(find(str(root), "/.well-known/security.txt"), Candidate)
