"""XML-RPC, from values to bytes and back: what it carries, what it refuses."""

from __future__ import annotations

import datetime
import xml.dom.minidom
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.errors import BadWireData, RpcFault
from skitai.wire import xmlrpc

IN_XML = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
TEXT = st.text(IN_XML | st.sampled_from("\t\n\r<>&'\"]"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.datetimes(datetime.datetime(1000, 1, 1)).map(lambda at: at.replace(microsecond=0, fold=0))
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_values_come_back(value: Any) -> None:
    """With their types."""
    assert repr(xmlrpc.load_response(xmlrpc.dump_value(value))) == repr(value)


@given(st.text("abc._<&", min_size=1), st.lists(VALUES, max_size=4))
def test_calls_come_back(method: str, params: list[Any]) -> None:
    """Also a method's name that has to be escaped."""
    body = xmlrpc.dump_call(method, tuple(params))

    assert repr(xmlrpc.load_call(body)) == repr((method, tuple(params)))


@given(st.integers(-(2**31), 2**31), st.text())
def test_faults_come_back(code: int, message: str) -> None:
    """A message may be any text: what XML cannot carry is replaced."""
    if code == 2**31:
        return
    with pytest.raises(RpcFault) as raised:
        xmlrpc.load_response(xmlrpc.dump_fault(code, message))

    assert raised.value.code == code
    assert len(raised.value.message) == len(message)


@pytest.mark.parametrize("value", ["a\0b", "\x1b", "\ud800", "\ufffe", "\uffff", {"a\x01": 1}])
def test_text_that_xml_cannot_carry(value: Any) -> None:
    """It is refused where it is sent, not where it is read."""
    with pytest.raises(TypeError, match="XML has no form for the character"):
        xmlrpc.dump_value(value)


class Account:
    """One whose attributes are nobody's business."""

    def __init__(self) -> None:
        self.password = "hunt2"


@pytest.mark.parametrize("value", [object(), Account(), 1j, {1: 2}, {1, 2}])
def test_values_without_a_form(value: Any) -> None:
    """They are refused as well."""
    with pytest.raises(TypeError):
        xmlrpc.dump_value(value)


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, 10**5000], ids=["2**63", "-2**63 - 1", "10**5000"]
)
def test_integers_that_are_too_large(value: int) -> None:
    """Beyond 64 bits there is no form; the message says what to send instead."""
    with pytest.raises(OverflowError, match=r"bits; XML-RPC has 64 with the sign, send a str"):
        xmlrpc.dump_value(value)


@pytest.mark.parametrize(
    ("value", "tag"),
    [(2**31 - 1, "int"), (2**31, "i8"), (-(2**31), "int"), (-(2**31) - 1, "i8"), (2**63 - 1, "i8")],
)
def test_only_what_32_bits_do_not_hold_is_an_i8(value: int, tag: str) -> None:
    """Any server understands an int."""
    assert f"<{tag}>{value}</{tag}>".encode() in xmlrpc.dump_value(value)


def response(value: str) -> bytes:
    return f"<methodResponse><params><param>{value}</param></params></methodResponse>".encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<value><int>-5</int></value>", -5),
        ("<value><i8>9000000000</i8></value>", 9000000000),
        ("<value>plain</value>", "plain"),
        ("<value></value>", ""),
        ("<value><string/></value>", ""),
        ("<value><nil/></value>", None),
        ("<value><ex:nil xmlns:ex='x'/></value>", None),
        ("<value><base64>aGk=</base64></value>", b"hi"),
        ("<value><array><data></data></array></value>", []),
        ("<value><struct></struct></value>", {}),
        ("<value>&lt;&amp;&#233;<!-- no --></value>", "<&\xe9"),
        ("<value><![CDATA[<&]]></value>", "<&"),
    ],
)
def test_forms_others_send(text: str, value: Any) -> None:
    """As other libraries write them."""
    assert xmlrpc.load_response(response(text)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20260102T03:04:05", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (" 2026-01-02T03:04:05 ", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        ("20260102T03:04:05.5", datetime.datetime(2026, 1, 2, 3, 4, 5, 500_000)),
        ("20260102T03:04:05Z", datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)),
        ("20260102", datetime.datetime(2026, 1, 2)),
    ],
)
def test_dates_others_send(text: str, value: datetime.datetime) -> None:
    """With hyphens, fractions of a second, a zone, which the specification has not."""
    element = f"<value><dateTime.iso8601>{text}</dateTime.iso8601></value>"

    assert xmlrpc.load_response(response(element)) == value


def test_other_encodings() -> None:
    """The declaration is believed."""
    body = "<?xml version='1.0' encoding='iso-8859-1'?><methodCall><methodName>\xe9</methodName>"
    body += "</methodCall>"

    assert xmlrpc.load_call(body.encode("latin-1")) == ("\xe9", ())
    assert xmlrpc.load_call(body.replace("iso-8859-1", "utf-16").encode("utf-16")) == ("\xe9", ())


LAUGHS = """<!DOCTYPE a [<!ENTITY b "haha"><!ENTITY c "&b;&b;&b;&b;">]>"""
ENTITIES = [
    LAUGHS + "<methodCall><methodName>&c;</methodName></methodCall>",
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'
    "<methodCall><methodName>&b;</methodName></methodCall>",
    '<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><methodCall><methodName>a</methodName></methodCall>',
    "<!DOCTYPE a><methodCall><methodName>a</methodName></methodCall>",
    '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY % p "x"> %p;]><methodCall></methodCall>',
]


@pytest.mark.parametrize("body", ENTITIES)
def test_entities_are_refused(body: str) -> None:
    """With whatever declares them; nothing is expanded, fetched or read."""
    with pytest.raises(BadWireData, match="document type declaration is refused"):
        xmlrpc.load_call(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<methodCall>",
        b"<methodCall></methodCall><more/>",
        b"<methodCall><methodName>a</methodCall>",
        b"<methodCall><methodName>&unknown;</methodName></methodCall>",
        b"<methodCall><methodName>\xff</methodName></methodCall>",
        b"<?xml version='1.0' encoding='klingon'?><methodCall/>",
        b"<methodCall></methodCall>",
        b"<methodCall><params></params></methodCall>",
        response("<value><int>5</int></value>"),
    ],
)
def test_what_is_no_call(body: bytes) -> None:
    """Not XML, or XML without a method."""
    with pytest.raises(BadWireData, match=r"^XML-RPC: "):
        xmlrpc.load_call(body)


@pytest.mark.parametrize(
    "value",
    [
        "<value><int>x</int></value>",
        "<value><int></int></value>",
        "<value><int>" + "9" * 5000 + "</int></value>",
        "<value><double>x</double></value>",
        "<value><boolean>2</boolean></value>",
        "<value><base64>\u20ac</base64></value>",
        "<value><base64>a</base64></value>",
        "<value><dateTime.iso8601>yesterday</dateTime.iso8601></value>",
        "<value><bigdecimal>x</bigdecimal></value>",
        "<value><struct><member><name>a</name></member></struct></value>",
        "<value><strange>x</strange></value>",
        "<value></array></value>",
        "",
        "<value>1</value><value>2</value>",
    ],
)
def test_values_that_are_none(value: str) -> None:
    """The sender is told, whatever the library makes of it."""
    with pytest.raises(BadWireData, match=r"^XML-RPC: "):
        xmlrpc.load_response(response(value))


@pytest.mark.parametrize(
    "fault",
    [
        "<value>text</value>",
        "<value><struct></struct></value>",
        "",
        "<value><struct><member><name>x</name><value>1</value></member></struct></value>",
    ],
)
def test_fault_that_is_none(fault: str) -> None:
    """The same for a fault without code and message."""
    with pytest.raises(BadWireData):
        xmlrpc.load_response(f"<methodResponse><fault>{fault}</fault></methodResponse>".encode())


def test_fault_with_a_code_that_is_no_number() -> None:
    """It is a fault all the same."""
    members = "".join(
        f"<member><name>{name}</name><value>x</value></member>"
        for name in ("faultCode", "faultString")
    )
    body = (
        f"<methodResponse><fault><value><struct>{members}</struct></value></fault></methodResponse>"
    )
    with pytest.raises(RpcFault) as raised:
        xmlrpc.load_response(body.encode())

    assert (raised.value.code, raised.value.message) == (xmlrpc.INTERNAL_ERROR, "x")


TAGS = ["methodCall", "methodName", "params", "param", "value", "int", "string", "array", "data",
        "struct", "member", "name", "base64", "bigdecimal", "fault", "nil", "boolean", "x:int",
        "dateTime.iso8601", "double"]  # fmt: skip
SOUP = st.recursive(
    st.sampled_from(["", "1", "x", " ", "20260102T03:04:05", "&lt;"]),
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag}>",
        st.sampled_from(TAGS),
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


@given(SOUP)
def test_tag_soup(soup: str) -> None:
    """However the tags are put together, it is a call or it is refused."""
    body = f"<methodCall>{soup}</methodCall>".encode()
    for load in (xmlrpc.load_call, xmlrpc.load_response):
        try:
            load(body)
        except (BadWireData, RpcFault):
            pass


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    """The same for what is no XML at all."""
    with pytest.raises(BadWireData):
        xmlrpc.load_call(body)


def test_deep_nesting() -> None:
    """A document of thirty thousand arrays in each other is read without a crash."""
    depth = 30_000
    deep = "<value><array><data>" * depth + "</data></array></value>" * depth
    value = xmlrpc.load_response(response(deep))
    seen = 0
    while value:
        (value,) = value
        seen += 1

    assert seen == depth - 1


def test_it_is_xml() -> None:
    """What is sent is well-formed for any other parser."""
    for body in (
        xmlrpc.dump_call("a&b", ({"<": "\r&"},)),
        xmlrpc.dump_value(["\r\n\u20ac"]),
        xmlrpc.dump_fault(1, "\0<"),
    ):
        xml.dom.minidom.parseString(body)
