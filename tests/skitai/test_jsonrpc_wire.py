"""JSON-RPC 2.0, from values to bytes and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.errors import BadWireData, RpcFault
from skitai.wire import jsonrpc
from skitai.wire.jsonrpc import Document, Invalid, Request

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
IDS = st.none() | st.integers(0, 2**53) | TEXT


@given(VALUES, IDS)
def test_values_come_back(value: Any, ident: Any) -> None:
    """With their types, and in a response object as the specification has it."""
    body = jsonrpc.dump_value(value, ident)

    assert repr(jsonrpc.load_response(body)) == repr(value)
    assert json.loads(body) == {"jsonrpc": "2.0", "result": value, "id": ident}


@given(TEXT, st.lists(VALUES, max_size=3), st.dictionaries(TEXT, VALUES, max_size=3))
def test_calls_come_back(method: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """With arguments by position or by name."""
    by_position = jsonrpc.load(jsonrpc.dump_call(method, tuple(args), 7))
    by_name = jsonrpc.load(jsonrpc.dump_call(method, kwargs, 7))

    assert repr(by_position.entries) == repr((Request(method, tuple(args), {}, 7, False),))
    assert repr(by_name.entries) == repr((Request(method, (), kwargs, 7, False),))
    assert not by_position.is_batch


@given(st.integers(-(2**31), 2**31), TEXT)
def test_faults_come_back(code: int, message: str) -> None:
    """Code and message."""
    with pytest.raises(RpcFault) as raised:
        jsonrpc.load_response(jsonrpc.dump_error(code, message))

    assert (raised.value.code, raised.value.message) == (code, message)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"method":"a"}', Document((Request("a", (), {}, None, True),), False)),
        (b'{"method":"a","id":null}', Document((Request("a", (), {}, None, False),), False)),
        (b'{"method":"a","id":"x"}', Document((Request("a", (), {}, "x", False),), False)),
        (b'{"method":"a","params":[1]}', Document((Request("a", (1,), {}, None, True),), False)),
        (
            b'[{"method":"a"},{"method":"b","id":1},5]',
            Document(
                (
                    Request("a", (), {}, None, True),
                    Request("b", (), {}, 1, False),
                    Invalid("Invalid Request: not an object"),
                ),
                True,
            ),
        ),
        (b"5", Document((Invalid("Invalid Request: not an object"),), False)),
        (b"{}", Document((Invalid("Invalid Request: method is not a string"),), False)),
        (
            b'{"method":1,"id":2}',
            Document((Invalid("Invalid Request: method is not a string", 2),), False),
        ),
        (
            b'{"method":"a","params":5,"id":2}',
            Document((Invalid("Invalid Request: params is neither array nor object", 2),), False),
        ),
    ],
)
def test_documents(body: bytes, document: Document) -> None:
    """Calls, notifications, batches, and entries that are none of these."""
    assert jsonrpc.load(body) == document


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", jsonrpc.PARSE_ERROR),
        (b"{", jsonrpc.PARSE_ERROR),
        (b"{'method': 'a'}", jsonrpc.PARSE_ERROR),
        (b'{"method":"a"} more', jsonrpc.PARSE_ERROR),
        (b'{"method":"\xff"}', jsonrpc.PARSE_ERROR),
        (b'{"method":"\\ud800"}', jsonrpc.PARSE_ERROR),
        (b'{"method":NaN}', jsonrpc.PARSE_ERROR),
        (b"[" * 100_000, jsonrpc.PARSE_ERROR),
        (b"[" * 100_000 + b"]" * 100_000, jsonrpc.PARSE_ERROR),
        (b"[]", jsonrpc.INVALID_REQUEST),
    ],
)
def test_what_is_no_document(body: bytes, code: int) -> None:
    """It has one answer as a whole."""
    with pytest.raises(RpcFault) as raised:
        jsonrpc.load(body)

    assert raised.value.code == code


@given(st.binary() | st.text('[]{}",:01eE-.ntfu\\ ').map(str.encode))
def test_any_bytes(body: bytes) -> None:
    """A document or a fault, and nothing else."""
    try:
        jsonrpc.load(body)
    except RpcFault as fault:
        assert fault.code in (jsonrpc.PARSE_ERROR, jsonrpc.INVALID_REQUEST)
    try:
        jsonrpc.load_response(body)
    except (RpcFault, BadWireData):
        pass


@pytest.mark.parametrize(
    ("responses", "is_batch", "body"),
    [([], False, b""), ([], True, b""), ([b"1"], False, b"1"), ([b"1", b"2"], True, b"[1,2]")],
)
def test_join(responses: list[bytes], is_batch: bool, body: bytes) -> None:
    """A batch has an array, even of one; where nobody wants an answer there is none."""
    assert jsonrpc.join(responses, is_batch) == body


@pytest.mark.parametrize("value", [object(), 1j, "\ud800"])
def test_values_without_a_form(value: Any) -> None:
    """They are refused where they are sent."""
    with pytest.raises((TypeError, ValueError)):
        jsonrpc.dump_value(value, 1)


@pytest.mark.parametrize("body", [b"", b"5", b"[]", b"{}", b'{"id":1}', b'{"error":null}'])
def test_what_is_no_response(body: bytes) -> None:
    """Neither result nor error."""
    with pytest.raises(BadWireData, match=r"^JSON-RPC: "):
        jsonrpc.load_response(body)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": 5, "message": "m"}, 5, "m"),
        ({"code": "five", "message": "m"}, jsonrpc.INTERNAL_ERROR, "m"),
        ({}, jsonrpc.INTERNAL_ERROR, "None"),
        ("text", jsonrpc.INTERNAL_ERROR, "text"),
    ],
)
def test_errors_others_send(error: Any, code: int, message: str) -> None:
    """As JSON-RPC 1.0 and careless servers write them."""
    with pytest.raises(RpcFault) as raised:
        jsonrpc.load_response(json.dumps({"error": error}).encode())

    assert (raised.value.code, raised.value.message) == (code, message)
