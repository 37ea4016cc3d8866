"""What an app writes, as the bytes of a request."""

from __future__ import annotations

import base64
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai import asks
from skitai.engine import Ask
from skitai.errors import WrongUse
from skitai.live_body import LiveBody


def whole(ask: Ask) -> bytes:
    """The body."""
    return ask.body if isinstance(ask.body, bytes) else b"".join(ask.body.pieces())


def field(ask: Ask, name: str) -> str | None:
    """The only line of this name."""
    lines = [line.partition(": ") for line in ask.fields.decode().split("\r\n")]
    values = [value for key, _, value in lines if key.lower() == name.lower()]
    assert len(values) < 2
    return values[0] if values else None


# --- header fields ---


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("X-A", "1\r\nX-B: 2", "holds a line break"),
        ("X-A", "\x00", "holds a line break"),
        ("X A", "1", "is not a token"),
        ("X-A:", "1", "is not a token"),
        ("", "1", "is not a token"),
        ("Connection", "close", "belongs to the connection"),
        ("TRANSFER-ENCODING", "gzip, chunked", "belongs to the connection"),
        ("Content-Length", "0", "belongs to the connection"),
        ("te", "trailers", "belongs to the connection"),
        ("Upgrade", "h2c", "belongs to the connection"),
        ("Host", "other", "belongs to the connection"),
        ("X-A", "ä", "beyond ASCII"),
    ],
)
def test_a_field_that_is_not_the_apps_to_send_is_refused(name: str, value: str, wrong: str) -> None:
    """Also what would become two fields."""
    with pytest.raises(WrongUse, match=wrong):
        asks.given({name: value}, None)


def test_fields_of_an_app_take_the_place_of_ours() -> None:
    """Whatever their case."""
    fields = {"user-agent": "mine/1", "Accept-encoding": "identity", "CONTENT-TYPE": "text/csv"}
    ask = asks.http(b"/", "PUT", "a;b", given=asks.given(fields, None))
    for name, value in fields.items():
        assert field(ask, name) == value


def test_we_say_who_asks_and_what_can_be_decoded() -> None:
    """If the app says nothing else."""
    ask = asks.http(b"/")
    assert field(ask, "user-agent") == "Skitai"
    assert "gzip" in (field(ask, "accept-encoding") or "")
    assert field(ask, "content-length") is None


# --- login ---


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("user:pass:word", "user:pass:word"),
        ("user/pass/word", "user:pass/word"),
        ("us/er:pass/word", "us/er:pass/word"),
        (("us/er", "pass:word"), "us/er:pass:word"),
        (("Bjørn", "blåbær"), "Bjørn:blåbær"),
        ("user:", "user:"),
    ],
)
def test_a_login_is_basic_authentication_in_utf_8(login: Any, expected: str) -> None:
    """A pair, or one text with a colon, or else a slash."""
    sent = field(asks.http(b"/", given=asks.given(None, login)), "authorization")
    assert sent is not None
    assert sent.startswith("Basic ")
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == expected


@pytest.mark.parametrize("login", ["secret", "sec\nret:x", ("sec:ret", "x"), ("secret", "\ud800")])
def test_a_login_that_cannot_be_sent_is_refused(login: Any) -> None:
    """The sentence does not repeat it."""
    with pytest.raises(WrongUse, match="login") as raised:
        asks.given(None, login)
    assert "sec" not in str(raised.value)


def test_two_logins_are_refused() -> None:
    """It would be open which one counts."""
    with pytest.raises(WrongUse, match="Authorization"):
        asks.given({"authorization": "Bearer x"}, "user:password")


# --- methods, queries, bodies ---


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "CONNECT", "G\x00"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    """It would be a request line of its own."""
    with pytest.raises(WrongUse, match="method="):
        asks.http(b"/", method)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_method_with_a_body_says_that_there_is_none(method: str) -> None:
    """RFC 9110 section 8.6."""
    ask = asks.http(b"/", method)
    assert (field(ask, "content-length"), field(ask, "content-type")) == ("0", None)


@pytest.mark.parametrize(
    ("target", "params", "expected"),
    [
        (b"/", {"a": "1&2"}, b"/?a=1%262"),
        (b"/?b=1", {"a": ["x", "y"]}, b"/?b=1&a=x&a=y"),
        (b"/", {}, b"/"),
        (b"/", "a=%20&b=ä #", b"/?a=%20&b=%C3%A4%20%23"),
    ],
)
def test_params_without_a_body_are_the_query(target: bytes, params: Any, expected: bytes) -> None:
    """Beside one that is there."""
    assert asks.http(target, "GET", params).start == b"GET " + expected + b" HTTP/1.1\r\n"


@pytest.mark.parametrize("value", [{"a": "ä"}, [1], "text", 0, False, ""])
def test_json_carries_any_value(value: Any) -> None:
    """As a POST; params are the query then."""
    ask = asks.http(b"/", None, {"a": 1}, value)
    assert ask.start == b"POST /?a=1 HTTP/1.1\r\n"
    assert field(ask, "content-type") == "application/json"
    assert json.loads(whole(ask)) == value


def test_json_of_what_it_cannot_carry_raises() -> None:
    """Before anything is sent."""
    with pytest.raises(TypeError):
        asks.http(b"/", None, None, object())


@pytest.mark.parametrize("params", [5, ["a"], object()])
def test_params_of_another_type_are_refused(params: Any) -> None:
    """As a body, as a query, as a form."""
    with pytest.raises(WrongUse, match="params"):
        asks.http(b"/", "POST", params)
    with pytest.raises(WrongUse, match="params"):
        asks.http(b"/", "GET", params)
    with pytest.raises(WrongUse, match="params"):
        asks.http(b"/", "POST", params, multipart=True)


def test_a_file_in_a_form_wants_multipart() -> None:
    """It would be sent as the text "<_io.BytesIO object>"."""
    for method in ("GET", "POST"):
        with pytest.raises(WrongUse, match="multipart=True"):
            asks.http(b"/", method, {"a": "1", "file": io.BytesIO(b"x")})


@pytest.mark.parametrize(
    ("method", "is_idempotent"),
    [("GET", 1), ("HEAD", 1), ("OPTIONS", 1), ("PUT", 1), ("DELETE", 1), ("POST", 0), ("PATCH", 0)],
)
def test_what_may_be_repeated(method: str, is_idempotent: int) -> None:
    """RFC 9110 section 9.2.2; a method of one's own may not."""
    assert asks.http(b"/", method).idempotent == bool(is_idempotent)
    assert not asks.http(b"/", "LOCK").idempotent


@pytest.mark.parametrize(("follow", "times"), [(False, 0), (True, 10), (3, 3)])
def test_redirects_are_followed_as_often_as_is_said(follow: Any, times: int) -> None:
    """Not at all, if nothing is said."""
    assert asks.http(b"/", follow=follow).follow == times


# --- files and iterators as bodies ---


def test_a_file_is_sent_from_where_it_stands(tmp_path: Path) -> None:
    """Its length is known, it may be sent several times, and the app may close it at once."""
    path = tmp_path / "data"
    path.write_bytes(b"head" + b"x" * 200_000)
    with path.open("rb") as file:
        file.read(4)
        ask = asks.http(b"/", "PUT", file)
    assert field(ask, "content-length") == "200000"
    assert field(ask, "content-type") == "application/octet-stream"
    assert not isinstance(ask.body, bytes)
    one, other = ask.body.pieces(), ask.body.pieces()
    assert next(one) == next(other)
    assert b"".join(one) == b"".join(other)
    assert whole(ask) == b"x" * 200_000
    assert max(len(piece) for piece in ask.body.pieces()) <= 65536


def test_a_file_that_becomes_shorter_is_not_padded(tmp_path: Path) -> None:
    """The length was promised, so it is an error."""
    path = tmp_path / "data"
    path.write_bytes(b"x" * 100)
    with path.open("rb") as file:
        ask = asks.http(b"/", "POST", file)
    path.write_bytes(b"x" * 10)
    with pytest.raises(OSError, match="has become shorter"):
        whole(ask)


def test_of_a_file_in_text_mode_the_bytes_are_sent(tmp_path: Path) -> None:
    """They are what is in it, whatever text would be made of them."""
    path = tmp_path / "data"
    path.write_bytes(b"GIF89a\xff\x00\r\n")
    with path.open() as file:
        assert whole(asks.http(b"/", "POST", file)) == b"GIF89a\xff\x00\r\n"
    assert whole(asks.http(b"/", "POST", io.StringIO("ä"))) == "ä".encode()


def test_what_reads_from_a_file_is_read_as_it_reads(tmp_path: Path) -> None:
    """A compressed one, one in memory, one that says it is empty."""
    path = tmp_path / "data.gz"
    path.write_bytes(gzip.compress(b"unpacked"))
    with gzip.open(path) as packed:
        assert whole(asks.http(b"/", "POST", packed)) == b"unpacked"
    assert whole(asks.http(b"/", "POST", io.BytesIO(b"memory"))) == b"memory"
    with open("/proc/self/status", "rb") as status:
        assert whole(asks.http(b"/", "POST", status)).startswith(b"Name:")


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_an_iterator_is_read_when_the_call_is_made(size: int) -> None:
    """On the handler's own thread; a large one goes to a file."""
    pieces = iter([b"x" * (size // 2), "y" * (size - size // 2)])
    ask = asks.http(b"/", "POST", pieces)
    assert next(pieces, None) is None
    assert field(ask, "content-length") == str(size)
    assert whole(ask) == whole(ask) == b"x" * (size // 2) + b"y" * (size - size // 2)


CHUNKED = asks.given({"Transfer-Encoding": "chunked"}, None)


def test_an_iterator_is_sent_while_it_is_read_if_the_app_says_so() -> None:
    """Nothing is read before the call is out; afterwards it can be read again."""
    pieces = iter([b"x" * 700_000, "y" * 700_000])
    ask = asks.http(b"/", "PUT", pieces, given=CHUNKED)
    assert field(ask, "transfer-encoding") == "chunked"
    assert field(ask, "content-type") == "application/octet-stream"
    assert b"Content-Length" not in ask.fields
    assert isinstance(ask.body, LiveBody)
    assert ask.body.read(0) == b""
    assert whole(ask) == whole(ask) == b"x" * 700_000 + b"y" * 700_000


@pytest.mark.parametrize("params", [None, {"a": "1"}, b"data"])
def test_only_an_iterator_is_sent_in_chunks(params: Any) -> None:
    """All else has a length; nor does an RPC."""
    with pytest.raises(WrongUse, match="is for a body that an iterator makes"):
        asks.http(b"/", "POST", params, given=CHUNKED)
    with pytest.raises(WrongUse, match="is for a body that an iterator makes"):
        asks.post(b"/rpc2", b"text/xml", b"", CHUNKED)


def test_an_iterator_of_something_else_is_refused() -> None:
    """With the type."""
    with pytest.raises(WrongUse, match="gave a int"):
        asks.http(b"/", "POST", iter([b"a", 5]))


@given(
    st.text(max_size=10),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=2),
)
def test_no_request_has_more_lines_than_it_should(
    method: str, params: dict[str, str], headers: dict[str, str]
) -> None:
    """Whatever an app passes on from its own clients: refused, or one request."""
    try:
        ask = asks.http(b"/", method, params, given=asks.given(headers, None))
    except (WrongUse, UnicodeEncodeError):
        return
    assert ask.start.count(b"\n") == ask.start.count(b"\r") == 1
    assert ask.start.count(b" ") == 2
    assert ask.fields.count(b"\n") == ask.fields.count(b"\r") == ask.fields.count(b"\r\n")
    assert b"\r\n\r\n" not in ask.fields
