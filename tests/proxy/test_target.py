"""What a member is asked for: the path that was looked at, and no other."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.mounting import is_below
from skitai.request import decode_path
from skitaid.workers.web.proxy_target import Odd, member_target

ODD = ["//", ".", "..", "%2e", "%2E.", "%2f", "%5c", "\\", ";", "%00", "%0a", "#"]
PIECES = ["/", "a", "%61", "b", *ODD]
PATHS = st.lists(st.sampled_from(PIECES), max_size=8).map(lambda pieces: "/" + "".join(pieces))
BASES = st.sampled_from(["", "/a", "/a/b"])


@given(PATHS, BASES, st.booleans())
def test_member_sees_the_path_that_was_looked_at(raw: str, base: str, keep_prefix: bool) -> None:
    """What passes decodes to the same path, and no normalizing leads out of the prefix."""
    path = decode_path(raw.encode())
    if not is_below(path, base):
        return
    try:
        target = member_target(f"{raw}?q=../..".encode(), path, base, keep_prefix).decode()
    except Odd:
        return
    sent, _, query = target.partition("?")
    seen = unquote(sent)
    rest = path[len(base) :]

    assert query == "q=../.."
    assert seen == (path if keep_prefix else rest or "/")
    assert not seen[len(base) if keep_prefix else 0 :].startswith(("//", "/\\"))
    inside = posixpath.normpath(seen.replace("\\", "/"))
    assert not keep_prefix or is_below(inside, base)
    assert "\0" not in seen and "#" not in sent


@given(PATHS, BASES, st.booleans())
def test_plain_paths_pass(raw: str, base: str, keep_prefix: bool) -> None:
    """Nothing is refused without a reason that can be seen in it."""
    path = decode_path(raw.encode())
    plain = not any(odd in raw for odd in ("%", ".", "//", "\\", "#"))
    if plain and is_below(path, base):
        assert member_target(raw.encode(), path, base, keep_prefix).startswith(b"/")


@pytest.mark.parametrize(
    ("raw", "base", "passed"),
    [
        ("/%C3%A9/x", "/é", "/x"),
        ("/a%2Fb", "", "/a%2Fb"),
        ("/a/b%2Fc", "/a", "/b%2Fc"),
        ("/a/...", "/a", "/..."),
        ("/a/.well-known", "/a", "/.well-known"),
        ("/a/b..c", "/a", "/b..c"),
    ],
)
def test_prefix_is_taken_off_however_it_is_written(raw: str, base: str, passed: str) -> None:
    """By bytes or by percent signs; what is behind it stays as it came."""
    assert member_target(raw.encode(), decode_path(raw.encode()), base, False) == passed.encode()
