"""What a Valkey server sends, read whole, byte by byte and with a tail; and where it is."""

from __future__ import annotations

import pytest

from skitaid.workers.clients.resp import PORT, Answer, Place, Refused, Replies, parse_url

CASES: list[tuple[bytes, list[Answer]]] = [
    (b"+OK\r\n", [b"OK"]),
    (b":12\r\n", [12]),
    (b"$-1\r\n", [None]),
    (b"$0\r\n\r\n", [b""]),
    (b"$7\r\na\r\nb\x00\xff.\r\n", [b"a\r\nb\x00\xff."]),
    (b"+OK\r\n$-1\r\n:0\r\n", [b"OK", None, 0]),
]


@pytest.mark.parametrize(("data", "replies"), CASES)
def test_replies_are_read_however_they_come(data: bytes, replies: list[Answer]) -> None:
    """Each when it is whole, and not sooner."""
    assert Replies().feed(data) == replies
    reader = Replies()
    found = [reply for byte in data for reply in reader.feed(bytes([byte]))]
    assert found == replies
    reader = Replies()
    assert reader.feed(data + b"$3\r\nab") == replies
    assert reader.feed(b"c\r\n") == [b"abc"]


def test_an_error_is_a_reply() -> None:
    """The next one is read after it."""
    refused, ok = Replies().feed(b"-NOAUTH Authentication required.\r\n+OK\r\n")
    assert isinstance(refused, Refused)
    assert str(refused) == "NOAUTH Authentication required."
    assert ok == b"OK"


@pytest.mark.parametrize("data", [b"HTTP/1.1 400\r\n", b"$x\r\n", b"\r\n", b":1.5\r\n"])
def test_what_is_no_resp_is_refused(data: bytes) -> None:
    """Somebody else listens there."""
    with pytest.raises(Refused, match="it has sent"):
        Replies().feed(data)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("valkey://a", Place("a", PORT, "", False, ())),
        ("redis://a:7000/2", Place("a", 7000, "", False, ((b"SELECT", b"2"),))),
        ("valkeys://:p%40ss@[::1]", Place("::1", PORT, "", True, ((b"AUTH", b"p@ss"),))),
        ("rediss://u:p@a/", Place("a", PORT, "", True, ((b"AUTH", b"u", b"p"),))),
        ("unix:///run/v.sock?db=3", Place("", PORT, "/run/v.sock", False, ((b"SELECT", b"3"),))),
    ],
)
def test_a_url_says_where_it_is(url: str, place: Place) -> None:
    """And what is said first."""
    assert parse_url(url) == place


@pytest.mark.parametrize("url", ["a:6379", "http://a", "valkey://", "valkey://a/x", "valkey://a:x"])
def test_other_urls_are_refused(url: str) -> None:
    """When the conf is read."""
    with pytest.raises(ValueError):
        parse_url(url)
