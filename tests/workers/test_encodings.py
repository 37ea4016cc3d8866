"""Which content coding a client wants, by what browsers and tools say, and by what they might."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.web.compression import MIN_SIZE, compressed
from skitaid.workers.web.encodings import LONG, choose, preferred

TEXT = b"All that is gold does not glitter. " * 100

CORPUS = [
    # as browsers and tools send it
    ("gzip, deflate, br, zstd", ("br", "zstd", "gzip")),
    ("gzip, deflate, br", ("br", "gzip")),
    ("gzip,deflate,br", ("br", "gzip")),
    ("gzip, deflate", ("gzip",)),
    ("deflate, gzip, br, zstd", ("br", "zstd", "gzip")),
    ("br;q=1.0, gzip;q=0.8, *;q=0.1", ("br", "gzip", "zstd")),
    ("gzip;q=1.0, deflate;q=0.6, identity;q=0.3", ("gzip",)),
    ("identity", ()),
    ("identity;q=1, *;q=0", ()),
    ("*", ("br", "zstd", "gzip")),
    ("", ()),
    # RFC 9110 section 12.5.3
    ("compress, gzip", ("gzip",)),
    ("compress;q=0.5, gzip;q=1.0", ("gzip",)),
    ("gzip;q=1.0, identity; q=0.5, *;q=0", ("gzip",)),
    # weights
    ("gzip;q=0", ()),
    ("gzip;q=0.000, br;q=0.001", ("br",)),
    ("*;q=0", ()),
    ("*, br;q=0", ("zstd", "gzip")),
    ("*;q=0, gzip", ("gzip",)),
    ("gzip, br;q=0.9, zstd;q=0.95", ("gzip", "zstd", "br")),
    ("gzip;q=0.5, identity", ()),
    ("gzip;q=0.5, identity;q=0.5", ("gzip",)),
    ("gzip;q=0.5, *;q=0.7", ("br", "zstd")),
    ("identity;q=0", ()),
    ("identity;q=0, gzip;q=0.1", ("gzip",)),
    # names
    ("GZIP, Br", ("br", "gzip")),
    ("x-gzip", ("gzip",)),
    ("gzip-x, xbr", ()),
    # blanks, and mistakes, which are what was not said
    (" gzip ;Q=0.5\t,, br ; q=0.4 ", ("gzip", "br")),
    ("gzip;q=2", ()),
    ("gzip;q=-1, br", ("br",)),
    ("gzip;q=0.5555", ()),
    ("gzip;level=9", ()),
    ("gzip br", ()),
    (";q=1, =, ,", ()),
    ("gzip" + " " * LONG, ()),
]


@pytest.mark.parametrize(("accept", "codings"), CORPUS)
def test_preferred(accept: str, codings: tuple[str, ...]) -> None:
    """By the client's weights, then by our order; never what it likes less than the plain form."""
    assert preferred(accept) == codings


@given(st.text(st.sampled_from("gzipbrstd*identy;q=01.5, \t-"), max_size=60))
def test_no_field_makes_it_fail(accept: str) -> None:
    """Whatever a client sends."""
    assert set(preferred(accept)) <= {"br", "zstd", "gzip"}


def test_choose() -> None:
    """The best that there is."""
    assert choose(("br", "gzip"), {"gzip", "zstd"}) == "gzip"
    assert choose(("br", "gzip"), ()) == ""


# Compressing


@pytest.mark.parametrize(
    ("accept", "coding", "decode"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("br", "br", brotli.decompress),
        ("zstd", "zstd", zstandard.decompress),
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
    ],
)
def test_compressed(accept: str, coding: str, decode: Callable[[bytes], bytes]) -> None:
    """It comes back as it was, and is smaller."""
    made = compressed(TEXT, accept, "text/html; charset=utf-8")
    assert made is not None
    assert made[0] == coding
    assert len(made[1]) < len(TEXT) / 10
    assert decode(made[1]) == TEXT


def test_the_same_body_is_the_same_bytes() -> None:
    """An entity tag stands for bytes, and another worker has made them."""
    assert compressed(TEXT, "gzip", "text/css") == compressed(TEXT, "gzip", "text/css")


@pytest.mark.parametrize(
    ("body", "accept", "kind"),
    [
        (TEXT[: MIN_SIZE - 1], "gzip", "text/html"),
        (TEXT, "", "text/html"),
        (TEXT, "identity", "text/html"),
        (TEXT, "gzip", "image/png"),
        (TEXT, "gzip", ""),
        (random.Random(1).randbytes(2048), "gzip", "text/plain"),
    ],
)
def test_left_alone(body: bytes, accept: str, kind: str) -> None:
    """Short bodies, clients that do not ask, packed types, what does not become smaller."""
    assert compressed(body, accept, kind) is None


def test_without_the_extra_there_is_gzip() -> None:
    """brotli and zstandard need not be installed."""
    program = """
import sys
from collections.abc import Callable
sys.modules["brotli"] = sys.modules["zstandard"] = None
from skitaid.workers.web.compression import CODERS
print(*CODERS)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "gzip\n"
