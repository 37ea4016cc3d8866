"""Which file a path means, and that no path leaves its directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.web.static import IndexBelow, StaticFile, content_type, find

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
    if isinstance(found, StaticFile):
        with found.open() as file:
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


# What is said of a file


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.HTM", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.md", "text/markdown; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.pdf", "application/pdf"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ],
)
def test_content_type(name: str, kind: str) -> None:
    """By the suffix; what is packed or unknown is bytes."""
    assert content_type(f"/srv/{name}") == kind


FILE = StaticFile("/srv/a.txt", 5, 784111777)  # Sun, 06 Nov 1994 08:49:37 GMT


def test_fields() -> None:
    """Its type, its age, and how long it may be kept."""
    assert FILE.fields(300) == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Cache-Control", "max-age=300"),
    ]


@pytest.mark.parametrize(
    ("date", "is_newer"),
    [
        (None, True),
        ("Sun, 06 Nov 1994 08:49:37 GMT", False),
        ("Sun, 06 Nov 1994 08:49:38 GMT", False),
        ("Sun, 06 Nov 1994 08:49:36 GMT", True),
        ("Sunday, 06-Nov-94 08:49:37 GMT", False),
        ("Sun Nov  6 08:49:37 1994", False),
        ("Sun, 06 Nov 1994 09:49:37 +0100", False),
        ("", True),
        ("yesterday", True),
        ("Sun, 06 Nov 99999999999999 08:49:37 GMT", True),
        ("Sun, 06 Nov 1994 08:49:37 +9999999999", True),
        ("Sun, 99 Nov 1994 08:49:37 GMT", True),
    ],
)
def test_if_modified_since(date: str | None, is_newer: bool) -> None:
    """All three forms of dates; what is none is ignored."""
    assert FILE.is_newer_than(date) is is_newer


@given(st.text(st.sampled_from("SunNov 0123456789:,-+GMT./\u0663"), max_size=40))
def test_no_date_makes_it_fail(date: str) -> None:
    """Whatever a client sends."""
    FILE.is_newer_than(date)


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
    assert isinstance(find(str(root), "/.well-known/security.txt"), StaticFile)
