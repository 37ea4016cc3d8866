"""A request, as a handler sees it."""

from __future__ import annotations

from typing import Any

import pytest

from skitai.caller import Caller
from skitai.errors import HttpError
from skitai.request import FORM, Request, decode_path

FIELDS = [
    (b"Host", b"a"),
    (b"X-One", b"1"),
    (b"x-one", b"2 \t"),
    (b"X-Latin", b"\xe9"),
]


def request(
    target: str = "/", body: bytes = b"", kind: bytes | None = None, method: str = "POST"
) -> Request:
    fields = list(FIELDS)
    if kind is not None:
        fields.append((b"Content-Type", kind))
    return Request(method, target.encode(), fields, body, "1.1", Caller("192.0.2.1"))


def test_what_it_is() -> None:
    """Method and target as they came, the command in lower case."""
    made = request("/a%20b?c", method="PUT")

    assert (made.method, made.command, made.uri) == ("PUT", "put", "/a%20b?c")
    assert (made.version, made.remote_addr) == ("1.1", "192.0.2.1")
    assert repr(made) == "<Request PUT /a%20b?c from 192.0.2.1>"


def test_header_fields() -> None:
    """Case does not matter, the first of a name counts, blanks at the end do not."""
    made = request()

    assert made.get_header("x-ONE") == "1"
    assert made.get_header("X-Latin") == "\xe9"
    assert made.get_header("none") is None
    assert made.get_header("none", "default") == "default"
    assert made.get_header("\u20ac") is None
    assert made.get_raw_header() == ["Host: a", "X-One: 1", "x-one: 2", "X-Latin: \xe9"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, b""),
        (b"", b""),
        (b"text/XML", b"text/xml"),
        (b"text/xml; charset=utf-8", b"text/xml"),
        (b" text/xml ;a", b"text/xml"),
    ],
)
def test_media_type(value: bytes | None, kind: bytes) -> None:
    """The media type alone, in lower case."""
    assert request(kind=value).media_type == kind


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/", ("/", None, None, None)),
        ("/a?b", ("/a", None, "?b", None)),
        ("/a;p?b#c", ("/a", ";p", "?b", "#c")),
        ("/a;x/b;p", ("/a;x/b", ";p", None, None)),
        ("/a?b=/;x", ("/a", None, "?b=/;x", None)),
        ("/a?", ("/a", None, "?", None)),
        ("/a#", ("/a", None, None, "#")),
        ("/a#b?c", ("/a", None, None, "#b?c")),
    ],
)
def test_split_uri(target: str, parts: tuple[str | None, ...]) -> None:
    """In four parts that make the target again."""
    assert request(target).split_uri() == parts
    assert "".join(part or "" for part in parts) == target


def test_body() -> None:
    """None when there is none."""
    assert request(body=b"x").get_body() == b"x"
    assert request().get_body() is None


@pytest.mark.parametrize(
    ("target", "body", "kind", "args"),
    [
        ("/", b"", None, {}),
        ("/?a=1&a=2", b"", None, {"a": ["1", "2"]}),
        ("/?a=1", b"a=2&b=%C3%A9", FORM, {"a": ["1", "2"], "b": "\xe9"}),
        ("/?a=1", "b=\xe9".encode(), FORM + b"; charset=utf-8", {"a": "1", "b": "\xe9"}),
        ("/?a=1", b"b=2", b"text/plain", {"a": "1"}),
        ("/?a=1", b"b=2", None, {"a": "1"}),
        ("/?a=?b", b"", None, {"a": "?b"}),
    ],
)
def test_args(target: str, body: bytes, kind: bytes | None, args: dict[str, Any]) -> None:
    """Query first, then the form."""
    made = request(target, body, kind)

    assert made.args == args
    assert made.args is made.args


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/?a=%ff", b""),
        ("/\u00e9?\u00e9", b""),
        ("/", b"a=%ff"),
        ("/", b"\xff"),
        ("/?" + "&" * 1001, b""),
        ("/", b"&" * 1001),
    ],
)
def test_args_that_cannot_be_read(target: str, body: bytes) -> None:
    """The client is told that it is its fault."""
    with pytest.raises(HttpError) as raised:
        _ = request(target, body, FORM).args

    assert raised.value.status == 400
    assert "query or the form cannot be read" in raised.value.detail


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        (b'{"a": 1}', b"application/json", {"a": 1}),
        (b'{"a": 1}', b"application/problem+json; charset=utf-8", {"a": 1}),
        (b"[1, 2]", b"Application/JSON", [1, 2]),
        (b"null", b"application/json", None),
        (b"", b"application/json", None),
        (b'{"a": 1}', b"text/plain", None),
        (b'{"a": 1}', None, None),
    ],
)
def test_json(body: bytes, kind: bytes | None, value: Any) -> None:
    """The body's value if its type says that it is JSON; read once."""
    made = request("/", body, kind)

    assert made.json == value
    assert made.json is made.json
    assert made.body == body


@pytest.mark.parametrize(
    ("target", "body", "args"),
    [
        ("/?a=1", b'{"a": 2, "b": [3]}', {"a": ["1", 2], "b": [3]}),
        ("/?a=1&a=2", b'{"a": [3]}', {"a": ["1", "2", [3]]}),
        ("/?a=1", b'[{"a": 2}]', {"a": "1"}),
        ("/?a=1", b"null", {"a": "1"}),
        ("/?a=1", b"", {"a": "1"}),
    ],
)
def test_args_of_json(target: str, body: bytes, args: dict[str, Any]) -> None:
    """Members of an object are arguments, behind those of the query; other values give none."""
    assert request(target, body, b"application/json").args == args


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b'"\xff"', b"NaN", b"[" * 100_000, b"1 2"])
def test_json_that_cannot_be_read(body: bytes) -> None:
    """The client is told that it is its fault, whoever asks."""
    made = request("/", body, b"application/json")
    for look in (lambda: made.json, lambda: made.args):
        with pytest.raises(HttpError, match="The body cannot be read as JSON") as raised:
            look()
        assert raised.value.status == 400


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a", "/a"),
        (b"/a?b%ff", "/a"),
        (b"/%41%2f%2e%2E", "/A/.."),
        (b"/%2541", "/%41"),
        (b"/a+b", "/a+b"),
        (b"/%e2%82%ac", "/\u20ac"),
        (b"/%", "/%"),
        (b"/%zz", "/%zz"),
        (b"/%00", "/\0"),
    ],
)
def test_path_is_decoded_once(target: bytes, path: str) -> None:
    """Once only: a second time would let an attacker hide what he means."""
    assert decode_path(target) == path


@pytest.mark.parametrize("target", [b"/%ff", b"/%c0%ae", b"/%ed%a0%80", b"/\xc3\xa9"])
def test_path_that_is_not_utf_8(target: bytes) -> None:
    """Overlong forms and surrogates neither."""
    with pytest.raises(ValueError, match="codec can't decode"):
        decode_path(target)
