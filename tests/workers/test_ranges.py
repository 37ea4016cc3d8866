"""Parts of a file: what a Range field means, held against a model that is as plain as can be."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skitaid.workers.web.ranges import PARTS_MAX, Span, multipart, wanted

# What is no Range field for us is ignored


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=5-2",
        b"bytes=a-b",
        b"bytes=1-2x",
        b"bytes=+1-2",
        b"bytes=1--2",
        b"bytes=0x1-2",
        b"bytes=1 - 2",
        b"bytes=1-2;3-4",
        b"bytes=1-2,x",
        b"bytes:1-2",
        b"lines=1-2",
        "bytes=\u0661-\u0662".encode(),
    ],
)
def test_a_field_with_a_mistake_is_ignored(value: bytes) -> None:
    """The whole is sent; so it is for a unit that we do not know."""
    assert wanted(value, 100) is None


def test_many_parts_are_ignored() -> None:
    """A client that asks for hundreds of bytes one by one gets the whole (section 14.2)."""
    parts = [b"%d-%d" % (2 * i, 2 * i) for i in range(PARTS_MAX + 1)]
    assert wanted(b"bytes=" + b",".join(parts), 1000) is None
    assert len(wanted(b"bytes=" + b",".join(parts[:-1]), 1000) or ()) == PARTS_MAX


def test_many_parts_that_are_not_there_are_ignored_too() -> None:
    """They count, or they would be a way to make us read long fields for nothing."""
    assert wanted(b"bytes=" + b",".join([b"500-"] * (PARTS_MAX + 1)), 100) is None


def test_parts_that_are_more_than_the_whole_are_ignored() -> None:
    """Overlapping ones could be made to cost far more than the file."""
    assert wanted(b"bytes=0-,0-", 100) is None
    assert wanted(b"bytes=0-59,50-99", 100) is None
    assert wanted(b"bytes=0-49,50-99", 100) == [Span(0, 50), Span(50, 100)]
    assert wanted(b"bytes=0-9,5-14", 100) == [Span(0, 10), Span(5, 15)]


def test_an_empty_file_has_no_parts() -> None:
    """Clients ask for all with 0-, and no Content-Range could describe what they get."""
    assert wanted(b"bytes=0-", 0) is None
    assert wanted(b"bytes=-5", 0) is None


# What is there, and what is not


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"bytes=0-", [(0, 100)]),
        (b"bytes=10-19", [(10, 20)]),
        (b"bytes=99-", [(99, 100)]),
        (b"bytes=90-200", [(90, 100)]),
        (b"bytes=-1", [(99, 100)]),
        (b"bytes=-100", [(0, 100)]),
        (b"bytes=-200", [(0, 100)]),
        (b"Bytes = 0-1 , 3-4", [(0, 2), (3, 5)]),
        (b"bytes=,0-1,,", [(0, 2)]),
        (b"bytes=50-59,0-9", [(50, 60), (0, 10)]),
        (b"bytes=0-9,500-", [(0, 10)]),
        (b"bytes=0-" + b"9" * 5000, [(0, 100)]),
        (b"bytes=" + b"0" * 5000 + b"5-6", [(5, 7)]),
        (b"bytes=100-", []),
        (b"bytes=100-200,300-", []),
        (b"bytes=-0", []),
        (b"bytes=" + b"9" * 5000 + b"-", []),
    ],
)
def test_parts(value: bytes, spans: list[tuple[int, int]]) -> None:
    """In the order of the field; what lies beyond the end is cut off or left out."""
    assert wanted(value, 100) == [Span(*each) for each in spans]


NUMBERS = st.integers(0, 40).map(str)
SPECS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map("-".join),
    NUMBERS.map("{}-".format),
    NUMBERS.map("-{}".format),
)
CONTENT = bytes(range(32))


def naive(specs: list[str], content: bytes) -> list[bytes] | None:
    """The same, by slicing: None is the whole, [] a 416."""
    if not content or len(specs) > PARTS_MAX:
        return None
    parts = []
    for spec in specs:
        first, last = spec.split("-")
        if not first:
            part = content[-int(last) :] if int(last) else b""
        elif not last:
            part = content[int(first) :]
        elif int(last) < int(first):
            return None
        else:
            part = content[int(first) : int(last) + 1]
        parts.append(part)
    parts = [part for part in parts if part]
    return None if sum(map(len, parts)) > len(content) else parts


@given(st.lists(SPECS, min_size=1, max_size=PARTS_MAX + 2), st.integers(0, len(CONTENT)))
@example(["0-0"], 1)
def test_parts_are_what_slicing_gives(specs: list[str], size: int) -> None:
    """For any list of them, and any size."""
    content = CONTENT[:size]
    spans = wanted(b"bytes=" + ",".join(specs).encode(), size)
    got = None if spans is None else [content[span.start : span.stop] for span in spans]
    assert got == naive(specs, content)


@given(st.binary(max_size=60), st.integers(0, 50))
def test_no_field_makes_it_fail(value: bytes, size: int) -> None:
    """Whatever a client sends, the parts lie within the file and are not more than it."""
    for prefix in (b"", b"bytes="):
        spans = wanted(prefix + value, size) or []
        assert all(0 <= span.start < span.stop <= size for span in spans)
        assert sum(span.length for span in spans) <= size


# Several parts in one body


def test_several_parts_in_one_body() -> None:
    """Each with its type and its place (section 14.6)."""
    body = b"".join(
        CONTENT[piece.start : piece.stop] if isinstance(piece, Span) else piece
        for piece in multipart([Span(0, 2), Span(30, 32)], 32, b"image/png", b"boundary")
    )
    head = b"\r\n--boundary\r\nContent-Type: image/png\r\nContent-Range: bytes "
    first = head + b"0-1/32\r\n\r\n\x00\x01"
    second = head + b"30-31/32\r\n\r\n\x1e\x1f"
    assert body == first + second + b"\r\n--boundary--\r\n"
