"""What a handler returns, as a body."""

from __future__ import annotations

import datetime
import decimal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from imagined_engine import ImaginedEngine

from skitai.calls import RpcHandle
from skitai.engine import Members, Reach
from skitai.errors import HttpError
from skitai.results import Result, Status
from skitai.serialize import HTML, JSON, Unsupported, to_body


def result(status: Status, data: Any) -> Result:
    return Result(status, data, 200, "because", "a:80", 0.1)


@pytest.mark.parametrize(
    ("value", "kind", "body"),
    [
        ("", HTML, b""),
        ("\u20ac", HTML, b"\xe2\x82\xac"),
        ("\ud800", HTML, b"\xed\xa0\x80"),
        (b"\xff", HTML, b"\xff"),
        (bytearray(b"a"), HTML, b"a"),
        (memoryview(b"ab")[1:], HTML, b"b"),
        ({}, JSON, b"{}"),
        ({"a": [1, None, True, 1.5, "\u20ac"]}, JSON, '{"a":[1,null,true,1.5,"\u20ac"]}'.encode()),
        ([], JSON, b"[]"),
        ((1, 2), JSON, b"[1,2]"),
        ({"at": datetime.date(2026, 1, 2)}, JSON, b'{"at":"2026-01-02"}'),
        ({"of": decimal.Decimal("1.10")}, JSON, b'{"of":"1.10"}'),
        (result(Status.NORMAL, "text"), HTML, b"text"),
        (result(Status.NORMAL, b"bytes"), HTML, b"bytes"),
        (result(Status.NORMAL, {"a": 1}), JSON, b'{"a":1}'),
        (result(Status.NORMAL, 5), JSON, b"5"),
        (result(Status.NORMAL, None), JSON, b"null"),
    ],
)
def test_body(value: Any, kind: str, body: bytes) -> None:
    """Text and bytes are HTML, dict, list and tuple JSON, a result is its data."""
    assert to_body(value) == (kind, body)


@pytest.mark.parametrize("value", [None, 5, 1.5, True, object(), {1, 2}, Exception])
def test_unsupported(value: Any) -> None:
    """The type is named, and what would be right."""
    with pytest.raises(Unsupported) as raised:
        to_body(value)

    assert f"returned {type(value).__name__}; a handler returns" in str(raised.value)


def test_a_call_that_nobody_has_waited_for() -> None:
    """It is not asked whether it can be read: one of RPC would send a call of that name."""
    engine = ImaginedEngine()
    handle = RpcHandle(engine, Members("all", Reach.ONE), b"/rpc2", True, None)
    with pytest.raises(Unsupported, match=r"return its result: s\.getwait\(timeout\)"):
        to_body(handle.search("Mozart"))

    assert len(engine.sent) == 1


@pytest.mark.parametrize("value", [{"a": object()}, [1j], {"a": "\ud800"}, {(1, 2): 3}])
def test_what_json_cannot_carry(value: Any) -> None:
    """The reason is told."""
    with pytest.raises(Unsupported, match="JSON cannot carry"):
        to_body(value)


@pytest.mark.parametrize("status", [Status.NOT_CONNECTED, Status.TIMEOUT, Status.FAILED])
def test_result_that_is_not_normal(status: Status) -> None:
    """Passed on as it is it becomes a bad gateway that says why."""
    with pytest.raises(HttpError) as raised:
        to_body(result(status, ""))

    assert raised.value.status == 502
    assert "a:80" in raised.value.detail
    assert "because" in raised.value.detail


def test_type_of_a_stream(tmp_path: Path) -> None:
    """A file's name says it; what has no name is no page. Pieces made by hand are HTML."""
    named = tmp_path / "report.pdf"
    named.write_bytes(b"%PDF")
    with named.open("rb") as file, tempfile.TemporaryFile() as nameless:
        kinds = [to_body(each)[0] for each in (file, nameless, iter(["page"]))]

    assert kinds == ["application/pdf", "application/octet-stream", HTML]
