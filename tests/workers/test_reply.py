"""Responses as bytes."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from skitai.pages import phrase
from skitaid.workers.web import reply


def lines(data: bytes) -> tuple[str, dict[str, str], bytes]:
    """(status line, fields without those that are always there, body)."""
    head, blank, body = data.partition(b"\r\n\r\n")
    assert blank
    start, *rest = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in rest)
    assert fields.pop("Server") == "Skitai"
    assert parsedate_to_datetime(fields.pop("Date"))
    return start, fields, body


@pytest.mark.parametrize(
    ("version", "keep_alive", "connection"),
    [
        ("1.1", True, {}),
        ("1.1", False, {"Connection": "close"}),
        ("1.0", True, {"Connection": "keep-alive"}),
        ("1.0", False, {"Connection": "close"}),
    ],
)
def test_connection_field(version: str, keep_alive: bool, connection: dict[str, str]) -> None:
    """Each version is told what it would not assume; a length lets also 1.0 stay."""
    data = reply.whole(200, [], b"body", keep_alive=keep_alive, version=version)

    assert lines(data) == ("HTTP/1.1 200 OK", {"Content-Length": "4"} | connection, b"body")


def test_head_has_the_header_alone() -> None:
    """With the length that a GET would have."""
    data = reply.whole(200, [("X", "1")], b"body", keep_alive=True, is_head=True)

    assert lines(data) == ("HTTP/1.1 200 OK", {"X": "1", "Content-Length": "4"}, b"")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    """Neither body nor length, whatever was given."""
    start, fields, body = lines(reply.whole(status, [], b"body", keep_alive=True))

    assert start == f"HTTP/1.1 {status} {phrase(status)}"
    assert (fields, body) == ({}, b"")


@pytest.mark.parametrize(
    ("status", "reason", "start"),
    [
        (404, "", "HTTP/1.1 404 Not Found"),
        (404, "Gone fishing", "HTTP/1.1 404 Gone fishing"),
        (418, "", "HTTP/1.1 418 I'm a Teapot"),
        (599, "", "HTTP/1.1 599 "),
        (200, "\u20ac", "HTTP/1.1 200 ?"),
    ],
)
def test_status_line(status: int, reason: str, start: str) -> None:
    """The standard phrase, unless there is another; a blank stays where there is none."""
    found = lines(reply.whole(status, [], b"", keep_alive=True, reason=reason))[0]

    assert found.casefold() == start.casefold()


def test_fields_keep_their_order_and_may_come_twice() -> None:
    """As cookies do."""
    data = reply.whole(200, [("A", "1"), ("B", "\xe9"), ("A", "2")], b"", keep_alive=True)

    assert b"\r\nA: 1\r\nB: \xe9\r\nA: 2\r\nContent-Length: 0\r\n\r\n" in data


def test_ok_is_the_same_in_short() -> None:
    """The common case differs in nothing but the order of its fields."""
    short = reply.ok(b"text/plain", b"body")
    long = reply.whole(200, [("Content-Type", "text/plain")], b"body", keep_alive=True)

    assert lines(short) == lines(long)


def test_continue() -> None:
    """An interim response has nothing but its line."""
    assert reply.CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"
