"""Forms with files, read back by the parser that serves uploads, and by Python's own."""

from __future__ import annotations

import io
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skitai.multipart_form import encoded
from skitai.upload import UploadedFile


def sent(fields: dict[str, Any]) -> list[tuple[str, bytes]]:
    """(Content-Disposition and what follows it, content) of each part, by a parser not ours."""
    kind, body = encoded(fields)
    data = b"".join(body.pieces())
    assert len(data) == body.length
    message = BytesParser().parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + data)
    assert message.get_content_type() == "multipart/form-data"
    parts = message.get_payload() if message.is_multipart() else []
    heads = ["; ".join(str(value) for value in part.values()) for part in parts]  # type: ignore[union-attr]
    return [(head, part.get_payload(decode=True)) for head, part in zip(heads, parts, strict=True)]  # type: ignore[union-attr]


def test_text_and_files(tmp_path: Path) -> None:
    """A file with its own name and the type of that."""
    path = tmp_path / "song.ogg"
    path.write_bytes(b"\x00\xff" * 100_000)
    with path.open("rb") as file:
        parts = sent({"a": "1", "b": 5, "file": file})
    assert parts == [
        ('form-data; name="a"', b"1"),
        ('form-data; name="b"', b"5"),
        ('form-data; name="file"; filename="song.ogg"; audio/ogg', b"\x00\xff" * 100_000),
    ]


def test_a_file_without_a_name_is_called_as_its_field() -> None:
    """Bytes in memory; and their type is any."""
    ((head, content),) = sent({"doc": io.BytesIO(b"x")})
    assert head == 'form-data; name="doc"; filename="doc"; application/octet-stream'
    assert content == b"x"


def test_a_list_gives_its_name_several_times() -> None:
    """In order."""
    parts = sent({"a": ["1", io.BytesIO(b"2"), b"3"]})
    assert [content for _, content in parts] == [b"1", b"2", b"3"]


def test_an_uploaded_file_is_passed_on(tmp_path: Path) -> None:
    """With the name and type that its client gave."""
    local = tmp_path / "tmp123"
    local.write_bytes(b"content")
    file = UploadedFile("image/png", str(local), "me.png", 7)
    assert sent({"file": file}) == [
        ('form-data; name="file"; filename="me.png"; image/png', b"content")
    ]


def test_names_are_quoted_as_browsers_do() -> None:
    """WHATWG HTML, section 4.10.22.8."""
    file = io.BytesIO(b"x")
    file.name = 'a"b\r\nc\\d'
    _, body = encoded({'n"\r\n': file})
    data = b"".join(body.pieces())
    assert b'name="n%22%0D%0A"; filename="a%22b%0D%0Ac\\d"' in data


def test_a_form_without_fields_is_a_form() -> None:
    """With its last boundary."""
    kind, body = encoded({})
    boundary = kind.partition(b"boundary=")[2]
    assert b"".join(body.pieces()) == b"--" + boundary + b"--\r\n"


@given(st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=40)), max_size=5))
def test_any_fields_come_back(pairs: list[tuple[str, bytes]]) -> None:
    """Whatever is in them, also what looks like a boundary."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    try:
        kind, body = encoded(fields)
    except UnicodeEncodeError:
        return
    boundary = kind.partition(b"boundary=")[2]
    data = b"".join(body.pieces())
    contents = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"--" + boundary)[1:-1]]
    flat = [value for values in fields.values() for value in values]
    assert contents == [value + b"\r\n" for value in flat]
