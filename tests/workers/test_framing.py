"""What the header of a request says about its message."""

from __future__ import annotations

import pytest

from skitaid.workers.web.framing import Framing, Refusal, read

HOST = (b"Host", b"example.com")


@pytest.mark.parametrize(
    "host",
    [
        b"a b",
        b"a<>",
        b"a/b",
        b"user@example.com",
        b"example.com:80:80",
        b"example.com:http",
        b"[::1",
        b"[example.com]",
        b"a\xff",
    ],
)
def test_host_that_is_no_host_is_refused(host: bytes) -> None:
    """RFC 9112 section 3.2: an invalid Host is 400."""
    with pytest.raises(Refusal) as raised:
        read([(b"Host", host)], "1.1")
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "host", [b"", b"example.com", b"EXAMPLE.com:8080", b"127.0.0.1", b"[::1]:5000", b"a_b", b" a "]
)
def test_host_that_may_be(host: bytes) -> None:
    """A name, an address, or nothing, with a port or without."""
    assert read([(b"Host", host)], "1.1") == Framing(0, False, False, b"")


def test_all_that_a_header_says() -> None:
    """In whatever case the names are."""
    fields = [
        HOST,
        (b"content-LENGTH", b"7"),
        (b"Expect", b"100-Continue"),
        (b"X-Request-ID", b"a "),
    ]
    assert read(fields, "1.1") == Framing(7, False, True, b"a")
    assert read(fields, "1.0") == Framing(7, False, False, b"a")
    assert read([HOST, (b"Transfer-Encoding", b"Chunked")], "1.1").is_chunked
