"""Multipart bodies: what is found in them, however they are cut, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from forms import BOUNDARY, Entries, File, encoded, part
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from skitaid.workers.settings import Limits
from skitaid.workers.web.framing import Refusal
from skitaid.workers.web.multipart import (
    OF_A_FILE,
    Field,
    FileBegins,
    FileEnds,
    PartReader,
    bare_name,
    boundary_of,
)

B = b"--" + BOUNDARY.encode()
END = B + b"--\r\n"
LIMITS = Limits()

Found = tuple[str, str] | tuple[str, File]


def read(pieces: Sequence[bytes], limits: Limits = LIMITS) -> list[Found]:
    """The parts, files put together again."""
    found: list[Found] = []
    reader = PartReader(BOUNDARY.encode(), limits)
    begun, content = FileBegins("", "", ""), b""
    for piece in pieces:
        for event in reader.feed(piece):
            if isinstance(event, bytes):
                content += event
            elif isinstance(event, Field):
                found.append((event.name, event.text))
            elif isinstance(event, FileBegins):
                begun, content = event, b""
            else:
                assert isinstance(event, FileEnds)
                assert event.size == len(content)
                found.append((begun.name, File(begun.remote, content, begun.mimetype)))
    reader.end()
    return found


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def ways(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, and with a tail that means nothing (RFC 2046 section 5.1.1)."""
    return [[data], bytewise(data), [data + b"\r\n--a tail"], [data, b"a tail"]]


def disposition(value: bytes, content: bytes = b"x") -> bytes:
    return B + b"\r\nContent-Disposition: " + value + b"\r\n\r\n" + content + b"\r\n" + END


# What is found


@dataclass(frozen=True)
class Good:
    name: str
    body: bytes
    found: list[Found]


NO_FILE = File("", b"")
GOOD = [
    Good("nothing", END, []),
    Good("field", encoded([("a", "1")]), [("a", "1")]),
    Good("empty field", encoded([("a", "")]), [("a", "")]),
    Good("twice the same name", encoded([("a", "1"), ("a", "2")]), [("a", "1"), ("a", "2")]),
    Good("file", encoded([("f", File("a.txt", b"hi", "text/plain"))]),
         [("f", File("a.txt", b"hi", "text/plain"))]),
    Good("empty file", encoded([("f", File("a.txt", b""))]), [("f", File("a.txt", b""))]),
    Good("input for a file left empty", encoded([("f", NO_FILE)]), [("f", "")]),
    Good("content without a name", encoded([("f", File("", b"x"))]), [("f", File("", b"x"))]),
    Good("content like a boundary", encoded([("f", File("a", b"\r\n" + B[:-1] + b"\r\n\r"))]),
         [("f", File("a", b"\r\n" + B[:-1] + b"\r\n\r"))]),
    Good("line breaks and quotes in names", encoded([('a"\r\nb', File('"c"\r\n', b""))]),
         [('a"\r\nb', File('"c"', b""))]),
    Good("UTF-8", encoded([("\u540d", "\xe9"), ("f", File("\u4e2d.txt", b""))]),
         [("\u540d", "\xe9"), ("f", File("\u4e2d.txt", b""))]),
    Good("a backslash before a quote", disposition(rb'form-data; name="a\"b"'), [('a"b', "x")]),
    Good("no quotes", disposition(b"form-data; name=a; filename=b"),
         [("a", File("b", b"x"))]),
    Good("another order", disposition(b'Form-Data; filename="b"; name="a"'),
         [("a", File("b", b"x"))]),
    Good("name by RFC 5987 is ignored (RFC 7578 section 4.2)",
         disposition(b"form-data; name=\"a\"; filename*=UTF-8''evil"), [("a", "x")]),
    Good("name by RFC 5987 beside the name",
         disposition(b"form-data; name=\"a\"; filename=\"b\"; filename*=UTF-8''evil"),
         [("a", File("b", b"x"))]),
    Good("path", disposition(rb'form-data; name="a"; filename="C:\dir\b.txt"'),
         [("a", File("b.txt", b"x"))]),
    Good("climbing path", disposition(b'form-data; name="a"; filename="../../etc/passwd"'),
         [("a", File("passwd", b"x"))]),
    Good("path without a file", disposition(b'form-data; name="a"; filename="../.."'),
         [("a", File("", b"x"))]),
    Good("other character set",
         B + b'\r\nContent-Disposition: form-data; name="a"\r\n'
         b"Content-Type: text/plain; charset=ISO-8859-1\r\n\r\n\xe9\r\n" + END, [("a", "\xe9")]),
    Good("other fields", B + b'\r\nX-Other: 1\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
         b"x\r\n" + END, [("a", "x")]),
    Good("line break before the first boundary", b"\r\n" + encoded([("a", "1")]), [("a", "1")]),
    Good("no line break behind the last boundary", encoded([("a", "1")])[:-2], [("a", "1")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (b"Text/HTML; charset=utf-8", "text/html"),
        (b"image/svg+xml", "image/svg+xml"),
        (b"", OF_A_FILE),
        (b"text", OF_A_FILE),
        (b"a/b/c", OF_A_FILE),
        (b"text/html\0", OF_A_FILE),
        (b"text/\x1b[31mhtml", OF_A_FILE),
        (b"text/html,text/plain", OF_A_FILE),
        ("text/\xe9".encode(), OF_A_FILE),
    ],
)
def test_a_type_that_is_none_is_not_passed_on(kind: bytes, told: str) -> None:
    """Apps write it to logs and headers (RFC 9110 section 8.3.1)."""
    head = b'\r\nContent-Disposition: form-data; name="a"; filename="b"\r\nContent-Type: '

    assert read([B + head + kind + b"\r\n\r\nx\r\n" + END]) == [("a", File("b", b"x", told))]


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_found(good: Good) -> None:
    """The same, however it is cut."""
    for pieces in ways(good.body):
        assert read(pieces) == good.found


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1)
contents = st.one_of(
    st.binary(max_size=200), st.sampled_from([B, b"\r\n" + B[:9], b"\r\n--", b"\r", b"\r\n\r\n"])
)
files = st.builds(File, names.map(bare_name).filter(bool), contents)
entries = st.lists(st.tuples(names, st.one_of(texts, files)), max_size=6)


@given(entries, st.lists(st.integers(1, 40)))
def test_whatever_a_browser_encodes_comes_back(entries: Entries, sizes: list[int]) -> None:
    """Fields and files, in pieces of any sizes."""
    body, pieces = encoded(entries), []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]

    assert read([piece for piece in [*pieces, body] if piece]) == entries


# What is refused


@dataclass(frozen=True)
class Bad:
    name: str
    body: bytes
    status: int = 400
    limits: Limits = LIMITS


BAD = [
    Bad("empty", b""),
    Bad("another boundary", b"--other\r\n" + encoded([("a", "1")], "other")),
    Bad("a boundary that goes on", encoded([("a", "1")], BOUNDARY + "x")),
    Bad("a text before the first boundary", b"hello\r\n" + encoded([("a", "1")])),
    Bad("cut off in the first boundary", B),
    Bad("cut off in a header", part("a", "1")[:50]),
    Bad("cut off in a field", part("a", "1")[:-2]),
    Bad("cut off in a file", part("f", File("a", b"x" * 100))[:-50]),
    Bad("no last boundary", part("a", "1")),
    Bad("last boundary cut off", encoded([("a", "1")])[:-3]),
    Bad("no disposition", B + b"\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END),
    Bad("no header", B + b"\r\n\r\nx\r\n" + END),
    Bad("another disposition", disposition(b'attachment; name="a"')),
    Bad("no name", disposition(b'form-data; filename="a"')),
    Bad("empty name", disposition(b'form-data; name=""')),
    Bad("name that is not UTF-8", disposition(b'form-data; name="\xe9"')),
    Bad("field that is not UTF-8", disposition(b'form-data; name="a"', b"\xe9")),
    Bad("no colon in a header", B + b"\r\nContent-Disposition\r\n\r\nx\r\n" + END),
    Bad("bare line feed in a header",
        B + b'\r\nContent-Disposition: form-data; name="a"\n\nx\r\n' + END),
    Bad("bytes behind a boundary", part("a", "1") + B + b"xx\r\n\r\n" + END),
    Bad("header too large", disposition(b'form-data; name="%b"' % (b"a" * 5000))),
    Bad("endless header", B + b"\r\nX: " + b"a" * 10_000),
    Bad("too many header fields", B + b"\r\n" + b"X: y\r\n" * 9 + b"\r\nx\r\n" + END),
    Bad("too many parts", encoded([("a", "")] * 10_000), 413),
    Bad("field too large", encoded([("a", "x" * 11)]), 413, replace(LIMITS, upload_field_size=10)),
    Bad("fields too large", encoded([("a", "x" * 6)] * 2), 413, replace(LIMITS, body_size=10)),
    Bad("file too large", encoded([("f", File("a", b"x" * 11))]), 413,
        replace(LIMITS, upload_file_size=10)),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_refused(bad: Bad) -> None:
    """The same, however it is cut."""
    for pieces in ([bad.body], bytewise(bad.body)):
        with pytest.raises(Refusal) as refused:
            read(pieces, bad.limits)
        assert refused.value.status == bad.status


@pytest.mark.parametrize(
    ("limits", "entry", "told"),
    [
        (replace(LIMITS, upload_parts=1), "x", "more than 1 parts (max_upload_parts)"),
        (replace(LIMITS, upload_field_size=1), "xx", "larger than 1 bytes (max_upload_field_size)"),
        (replace(LIMITS, upload_file_size=1), File("a", b"xx"), "1 bytes (max_upload_file_size)"),
        (replace(LIMITS, body_size=3), "xx", "larger than 3 bytes (max_body_size)"),
    ],
)
def test_limits_are_named(limits: Limits, entry: str | File, told: str) -> None:
    """With the key of the conf, for whoever may raise it."""
    with pytest.raises(Refusal) as refused:
        read([encoded([("a", entry)] * 2)], limits)
    assert told in refused.value.detail


def test_as_large_as_it_may_be() -> None:
    """Limits are what is still allowed."""
    limits = Limits(body_size=4, upload_field_size=2, upload_file_size=3, upload_parts=3)
    entries: Entries = [("a", "xx"), ("a", "yy"), ("f", File("f", b"xxx"))]
    assert read([encoded(entries)], limits) == entries


def test_another_boundary_is_refused_at_once() -> None:
    """Nobody sends gigabytes first."""
    reader = PartReader(BOUNDARY.encode(), LIMITS)
    with pytest.raises(Refusal, match="does not begin with the boundary"):
        list(reader.feed(b"--another" + b"x" * len(BOUNDARY)))


# The boundary


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b"multipart/form-data;BOUNDARY=abc ; charset=x", b"abc"),
        (b'multipart/form-data; charset=x; boundary="a b:c"', b"a b:c"),
        (b"multipart/form-data; boundary=" + b"a" * 70, b"a" * 70),
    ],
)
def test_boundary(kind: bytes, boundary: bytes) -> None:
    """With and without quotes."""
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize(
    "parameter",
    [
        b"",
        b"; boundary",
        b"; boundary=",
        b'; boundary=""',
        b"; boundary=a; boundary=b",
        b"; boundary=" + b"a" * 71,
        b"; boundary=a\xe9",
        b"; boundary=a\x01",
        b"; xboundary=a",
    ],
)
def test_no_boundary(parameter: bytes) -> None:
    """Then nobody can tell the parts."""
    with pytest.raises(Refusal) as refused:
        boundary_of(b"multipart/form-data" + parameter)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("a.txt", "a.txt"),
        ("dir/a.txt", "a.txt"),
        ("C:\\dir\\a.txt", "a.txt"),
        ("..", ""),
        ("dir/", ""),
        ("a\0b\x1f\x7f\x85.txt", "ab.txt"),
        (" a ", "a"),
        (".\x00.", ""),
        (".htaccess", ".htaccess"),
    ],
)
def test_bare_name(name: str, bare: str) -> None:
    """No directories, no control characters."""
    assert bare_name(name) == bare
