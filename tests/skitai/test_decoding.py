"""From bytes to results: whatever a member sends, decoding it never raises."""

from __future__ import annotations

import json
import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagined_engine import reply

from skitai import decoding
from skitai.results import Status

RPC = [decoding.xml_rpc, decoding.json_rpc]
ALL = [decoding.http, *RPC]


# --- pages ---


@pytest.mark.parametrize(
    ("kind", "body", "data"),
    [
        ("text/plain", "Käse".encode(), "Käse"),
        ("text/html; charset=utf-8", "Käse".encode(), "Käse"),
        ("TEXT/HTML;Charset=ISO-8859-1", "Käse".encode("latin-1"), "Käse"),
        ('text/html; a=b; charset="euc-kr"', "한국".encode("euc-kr"), "한국"),
        ("application/json", '{"ä": 1}'.encode(), '{"ä": 1}'),
        ("application/problem+json", b"{}", "{}"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/xml; charset=utf-16", "<a/>".encode("utf-16"), "<a/>"),
        ("text/plain", b"", ""),
    ],
)
def test_text_types_are_text_in_their_charset(kind: str, body: bytes, data: str) -> None:
    """UTF-8 if none is said."""
    assert decoding.http(reply(body, kind)).data == data


@pytest.mark.parametrize(
    "kind", ["image/png", "application/octet-stream", "application/zip; charset=utf-8", "text", ""]
)
def test_other_types_are_bytes(kind: str) -> None:
    """Also when there is no Content-Type, or none that says anything."""
    assert decoding.http(reply(b"\xff\x00", kind)).data == b"\xff\x00"


@pytest.mark.parametrize(
    "charset",
    ["klingon", "", '"', "hex", "rot13", "idna", "undefined", "é", "utf-8, utf-8", "a" * 9999],
)
def test_a_charset_of_no_use_is_taken_for_utf_8(charset: str) -> None:
    """Unknown to Python, no charset at all, or one that cannot decode any bytes."""
    result = decoding.http(reply("Käse".encode(), f"text/plain; charset={charset}"))
    assert (result.status, result.data) == (3, "Käse")


def test_bytes_that_are_not_of_the_charset_are_replaced() -> None:
    """A page with one bad byte is still worth reading."""
    assert decoding.http(reply(b"a\xffb", "text/plain")).data == "a\ufffdb"


@pytest.mark.parametrize("code", [200, 204, 301, 404, 500, 599])
def test_any_http_answer_is_normal(code: int) -> None:
    """The code says what it means."""
    result = decoding.http(reply(b"page", code=code))
    assert (result.status, result.code, result.data) == (3, code, "page")


def test_header_names_are_in_lower_case() -> None:
    """And found in any."""
    result = decoding.http(reply(b"", "text/plain"))
    assert result.headers == (("content-type", "text/plain"),)
    assert result.get_header("CONTENT-TYPE") == "text/plain"


# --- remote procedures ---


@pytest.mark.parametrize("value", [1, 2.5, "Käse", True, None, [1, [2]], {"a": {"b": []}}, ""])
def test_rpc_answers_are_python_values(value: Any) -> None:
    """The same ones in both formats."""
    xml = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True).encode()
    json_ = json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode()
    for result in (decoding.xml_rpc(reply(xml)), decoding.json_rpc(reply(json_))):
        assert (result.status, result.code, result.data) == (3, 200, value)


def test_faults_are_status_2_with_code_and_msg() -> None:
    """In both formats; the data is empty."""
    xml = xmlrpc.client.dumps(xmlrpc.client.Fault(42, "closed")).encode()
    json_ = b'{"jsonrpc": "2.0", "id": 1, "error": {"code": 42, "message": "closed"}}'
    for result in (decoding.xml_rpc(reply(xml)), decoding.json_rpc(reply(json_))):
        assert (result.status, result.code, result.msg, result.data) == (2, 42, "closed", "")


@pytest.mark.parametrize("decode", RPC)
@pytest.mark.parametrize("code", [204, 302, 404, 500])
def test_another_status_than_200_is_no_rpc_answer(decode: decoding.Decode, code: int) -> None:
    """Status 2 with the HTTP code."""
    result = decode(reply(b"<h1>Not here</h1>", "text/html", code=code))
    assert (result.status, result.code, result.data) == (2, code, "")
    assert result.msg == f"HTTP status {code} instead of an RPC response"


@pytest.mark.parametrize(
    ("decode", "body", "said"),
    [
        (decoding.xml_rpc, b"", "not well-formed XML"),
        (decoding.xml_rpc, b"<h1>It works!</h1>", "XML-RPC: "),
        (decoding.xml_rpc, b"<methodResponse><params>", "not well-formed XML"),
        (decoding.xml_rpc, b"<methodResponse><params></params></methodResponse>", "0 values"),
        (
            decoding.xml_rpc,
            b'<!DOCTYPE a [<!ENTITY b "c">]><methodResponse>&b;</methodResponse>',
            "a document type declaration is refused",
        ),
        (decoding.json_rpc, b"", "not JSON"),
        (decoding.json_rpc, b"<h1>It works!</h1>", "not JSON"),
        (decoding.json_rpc, b"[]", "not an object"),
        (decoding.json_rpc, b"{}", "neither result nor error"),
        (decoding.json_rpc, b'{"result": "\xff"}', "not JSON"),
        (decoding.json_rpc, b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_rpc_answer_is_status_2(decode: decoding.Decode, body: bytes, said: str) -> None:
    """With a sentence on what is wrong with it."""
    result = decode(reply(body, "text/xml"))
    assert (result.status, result.code, result.data) == (2, 200, "")
    assert said in result.msg


@pytest.mark.parametrize("error", [b'"closed"', b"7", b'{"code": "x"}', b"[]", b"true"])
def test_errors_of_other_shapes_are_faults_as_well(error: bytes) -> None:
    """JSON-RPC 1.0 allowed any value."""
    assert decoding.json_rpc(reply(b'{"error": %b}' % error)).status is Status.FAILED


@pytest.mark.parametrize("decode", ALL)
@pytest.mark.parametrize("status", [Status.NOT_CONNECTED, Status.TIMEOUT, Status.FAILED])
def test_a_call_that_failed_keeps_its_status_and_sentence(
    decode: decoding.Decode, status: Status
) -> None:
    """There is nothing to decode."""
    result = decode(reply(b"", "", status=status, code=0, msg="broke off"))
    assert (result.status, result.code, result.msg, result.data) == (status, 0, "broke off", "")
    assert (result.node, result.elapsed) == ("s0:80", 0.25)


@pytest.mark.parametrize("decode", ALL)
@given(body=st.binary(max_size=200), kind=st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_bytes_make_it_raise(decode: Callable[[Any], Any], body: bytes, kind: str) -> None:
    """Nor any Content-Type."""
    assert decode(reply(body, kind)).status in (Status.NORMAL, Status.FAILED)
    assert decode(reply(body, f"text/plain; charset={kind}")).status in (2, 3)


TAGS = [
    *("methodResponse", "params", "param", "value", "fault", "array", "data", "struct", "member"),
    *("name", "int", "i4", "i8", "double", "boolean", "string", "base64", "dateTime.iso8601"),
    *("nil", "biginteger", "bigdecimal", "ex:nil", "unknown"),
]
TEXTS = st.sampled_from(
    ["", "1", "-1", "x", "1.5", "1e999", "20200101T00:00:00", "faultCode", "AAA"]
)
ELEMENTS = st.recursive(
    TEXTS,
    lambda inner: st.builds(
        lambda tag, content: f"<{tag}>{''.join(content)}</{tag}>",
        st.sampled_from(TAGS),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@given(params=ELEMENTS, is_fault=st.booleans())
def test_no_xml_makes_it_raise(params: str, is_fault: bool) -> None:
    """However the elements of XML-RPC are put together."""
    inner = f"<fault>{params}</fault>" if is_fault else f"<params>{params}</params>"
    body = f"<methodResponse>{inner}</methodResponse>".encode()
    assert decoding.xml_rpc(reply(body)).status in (Status.NORMAL, Status.FAILED)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["result", "error", "code", "message", "id"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(value=VALUES)
def test_no_json_makes_it_raise(value: Any) -> None:
    """However the members of JSON-RPC are put together."""
    body = json.dumps(value).encode()
    assert decoding.json_rpc(reply(body)).status in (Status.NORMAL, Status.FAILED)
