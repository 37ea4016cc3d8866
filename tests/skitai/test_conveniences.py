"""What a handler may ask of its request besides the bare facts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from small_worker import ask, request

from skitai.app import Application
from skitai.caller import Caller
from skitai.errors import HttpError
from skitai.headers import Headers
from skitai.request import Request

FIELDS = (
    (b"Host", b"a.example:8080"),
    (b"X-One", b"1"),
    (b"User-Agent", b"curl"),
    (b"x-one", b"2 \t"),
    (b"Content-Type", b"Text/HTML; charset=utf-8"),
)


CLIENT = Caller("192.0.2.7")


def made(caller: Caller = CLIENT, fields: tuple[tuple[bytes, bytes], ...] = FIELDS) -> Request:
    return Request("GET", b"/a%20b?c=d", list(fields), b"", "1.1", caller)


def test_headers_are_a_mapping() -> None:
    """Without regard to case, in their order; the first of a name counts."""
    headers = made().headers

    assert headers["x-ONE"] == "1"
    assert headers.get("X-Two") is None
    assert headers.get("X-Two", "none") == "none"
    assert "HOST" in headers
    assert "X-Two" not in headers
    assert list(headers) == ["Host", "X-One", "User-Agent", "Content-Type"]
    assert len(headers) == 4
    assert dict(headers)["User-Agent"] == "curl"
    assert headers.get_all("X-One") == ["1", "2"]
    assert headers.get_all("X-Two") == []
    with pytest.raises(KeyError, match="X-Two"):
        headers["X-Two"]


def test_headers_of_a_request_without_any() -> None:
    """They are an empty mapping."""
    assert made(fields=()).headers == {}
    assert repr(Headers([], lambda name: None)) == "<Headers {}>"


def test_content_type() -> None:
    """As it came, and taken apart."""
    given = made()

    assert given.content_type == "Text/HTML; charset=utf-8"
    assert (given.mimetype, given.get_content_type()) == ("text/html", "text/html")
    assert (given.get_main_type(), given.get_sub_type()) == ("text", "html")


def test_content_type_that_is_missing() -> None:
    """Nothing, which is what None says."""
    given = made(fields=())

    assert given.content_type is given.get_content_type() is None
    assert given.get_main_type() is given.get_sub_type() is None
    assert given.mimetype == ""


def test_who_asks() -> None:
    """The same by its older names."""
    given = made()

    assert given.get_remote_addr() == given.remote_addr == "192.0.2.7"
    assert given.get_user_agent() == "curl"
    assert given.get_headers() == given.get_raw_header()


def test_url() -> None:
    """As the client has it in its address bar, behind a proxy too."""
    assert made().url == "http://a.example:8080/a%20b?c=d"
    assert made(Caller("192.0.2.7", "https", "b.example")).url == "https://b.example/a%20b?c=d"
    assert made(fields=()).host == ""


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (b"http://b.example:80/c?d=/e", "http://b.example:80/c?d=/e"),
        (b"http://b.example", "http://b.example/"),
        (b"http://b.example?c", "http://b.example/?c"),
        (b"http://user@b.example/", "http://b.example/"),
        (b"http:///c", "http://a.example:8080/c"),
        (b"/c?http://b.example/", "http://a.example:8080/c?http://b.example/"),
    ],
)
def test_url_of_a_target_in_absolute_form(target: bytes, url: str) -> None:
    """The host that it names counts, not the Host field (RFC 9112 section 3.2.2)."""
    given = made()
    given.target = target

    assert given.url == url
    assert given.host == url.split("/")[2]


def test_timings() -> None:
    """From the first byte to the handler, and since then."""
    given = made()
    given.began = time.monotonic() - 2.0
    given.started = given.began + 1.5
    timings = given.timings

    assert timings.waited == pytest.approx(1.5)
    assert timings.running >= 0.5
    assert timings.total == pytest.approx(timings.waited + timings.running)


# XML


def xml(body: bytes, kind: str = "application/xml") -> Request:
    return request("/", "POST", body, content_type=kind)


@pytest.mark.parametrize("kind", ["application/xml", "text/xml; charset=utf-8", "image/svg+XML"])
def test_xml_body(kind: str) -> None:
    """A tree of dicts, lists and text, made once."""
    given = xml(b'<order id="5"><item>tea</item><item>milk</item><note/></order>', kind)

    assert given.xml == {"order": {"@id": "5", "item": ["tea", "milk"], "note": None}}
    assert given.xml is given.xml


@pytest.mark.parametrize(("body", "kind"), [(b"", "text/xml"), (b"<a/>", "text/plain")])
def test_body_that_is_no_xml(body: bytes, kind: str) -> None:
    """None, as for JSON."""
    assert xml(body, kind).xml is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<?xml version='1.0' encoding='iso-8859-1'?><a>\xe9</a>".encode("latin-1"), "text/xml"),
        ("<a>\xe9</a>".encode("latin-1"), 'text/xml; charset="iso-8859-1"'),
        ("<?xml version='1.0' encoding='utf-8'?><a>\xe9</a>".encode("latin-1"),
         "text/xml; Charset=iso-8859-1"),
        ("<a>\xe9</a>".encode("utf-16"), "text/xml"),
    ],
)  # fmt: skip
def test_encodings_of_xml(body: bytes, kind: str) -> None:
    """What Content-Type says goes before what the document says (RFC 7303 section 3)."""
    assert xml(body, kind).xml == {"a": "\xe9"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<a>\n<b>\n</a>", "not well-formed: mismatched tag: line 3, column 2"),
        (b"<a>", "no element found: line 1, column 3"),
        (b"<a/><b/>", "junk after document element: line 1"),
        (b"no xml", "line 1"),
        (b"<a>\xff</a>", "invalid token"),
        (b"<a>&b;</a>", "undefined entity"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "unknown encoding: klingon"),
        (b"<!DOCTYPE a><a/>", "document type declaration is refused"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type declaration is refused"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type declaration is refused"),
    ],
)
def test_xml_that_is_none(body: bytes, reason: str) -> None:
    """The client is told what is wrong, and where; nothing is expanded or fetched."""
    with pytest.raises(HttpError, match=reason) as raised:
        _ = xml(body).xml
    assert raised.value.status == 400


def test_unknown_charset() -> None:
    """It is the client's fault, too."""
    with pytest.raises(HttpError, match="unknown encoding: klingon"):
        _ = xml(b"<a/>", "text/xml; charset=klingon").xml


def test_deep_xml() -> None:
    """A hundred thousand elements in each other are read without a crash."""
    depth = 100_000
    tree = xml(b"<a>" * depth + b"</a>" * depth).xml
    for _ in range(depth - 1):
        assert tree is not None
        tree = tree["a"]
    assert tree == {"a": None}


# was.toxml


def was_of_an_app() -> Any:
    app = Application("webapp")
    app.add_route("/", lambda was: "")
    return ask(app, request())[0]


def test_dict_as_xml() -> None:
    """A document, which comes back as it was."""
    tree = {"order": {"@id": "5", "item": ["tea", "<milk>"], "note": None, "text": "a\r\nb"}}
    document = was_of_an_app().toxml(tree)

    assert document.startswith('<?xml version="1.0" encoding="utf-8"?>\n<order id="5">')
    assert xml(document.encode()).xml == tree


def test_tuple_as_xml() -> None:
    """The parameters of an XML-RPC call."""
    params = was_of_an_app().toxml(("a", 5))

    assert "".join(params.split()) == (
        "<params><param><value><string>a</string></value></param>"
        "<param><value><int>5</int></value></param></params>"
    )


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": 1, "b": 2},
        {"a": [1, 2]},
        {"a b": 1},
        {"a&b": 1},
        {"1": 1},
        {"": 1},
        {5: 1},
        {"a": "\0"},
        {"a": "\ud800"},
        {"a": {"@b&c": 1}},
        ("\0",),
        (1j,),
        (2**70,),
        5,
        "a",
        ["a"],
    ],
    ids=ascii,
)
def test_what_has_no_form_in_xml(value: object) -> None:
    """It is refused here, not by whoever reads it."""
    with pytest.raises(TypeError, match="XML"):
        was_of_an_app().toxml(value)
