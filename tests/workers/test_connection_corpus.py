"""What clients send, good and bad: each request whole, byte by byte, and with something behind it.

The bad ones are the shapes of request smuggling (RFC 9112 section 11.2) and of plain mischief.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from fake_client import FakeClient
from msgspec.structs import replace

from skitaid.workers.settings import Limits

HOST = b"Host: example.com\r\n"
POST = b"POST /p HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
AFTER = b"GET /after HTTP/1.1\r\n" + HOST + b"\r\n"
SEEN_AFTER = ("GET", "/after", b"")

DEFAULT = Limits()
SMALL = Limits(request_line=64, header_size=256, headers=4, body_size=16)


@dataclass(frozen=True)
class Good:
    """Bytes that are requests, what the site sees of them, and whether more may follow."""

    name: str
    data: bytes
    seen: tuple[tuple[str, str, bytes], ...]
    stays: bool = True


GOOD = [
    Good("get", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", (("GET", "/", b""),)),
    Good("query", b"GET /a%20b?c=d HTTP/1.1\r\n" + HOST + b"\r\n", (("GET", "/a%20b?c=d", b""),)),
    Good("empty lines before", b"\r\n\r\n" + AFTER, (SEEN_AFTER,)),
    Good("empty line after a body", POST + b"Content-Length: 2\r\n\r\nhi\r\n" + AFTER,
         (("POST", "/p", b"hi"), SEEN_AFTER)),
    Good("content length", POST + b"Content-Length: 5\r\n\r\nhello", (("POST", "/p", b"hello"),)),
    Good("no content", POST + b"Content-Length: 0\r\n\r\n", (("POST", "/p", b""),)),
    Good("blanks around a length", POST + b"Content-Length:  2 \r\n\r\nhi",
         (("POST", "/p", b"hi"),)),
    Good("get with a body", b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nhi",
         (("GET", "/", b"hi"),)),
    Good("put", b"PUT /p HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\nx",
         (("PUT", "/p", b"x"),)),
    Good("chunked", CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", (("POST", "/p", b"hello"),)),
    Good("chunked, other case",
         POST + b"transfer-encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         (("POST", "/p", b"hi"),)),
    Good("chunk size in hex with zeros", CHUNKED + b"00A\r\n0123456789\r\n0\r\n\r\n",
         (("POST", "/p", b"0123456789"),)),
    Good("chunk extensions", CHUNKED + b'2;a=b;c="d e"\r\nhi\r\n0;last\r\n\r\n',
         (("POST", "/p", b"hi"),)),
    Good("trailers", CHUNKED + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n",
         (("POST", "/p", b"hi"),)),
    Good("no chunks", CHUNKED + b"0\r\n\r\n", (("POST", "/p", b""),)),
    Good("head", b"HEAD /h HTTP/1.1\r\n" + HOST + b"\r\n", (("HEAD", "/h", b""),)),
    Good("absolute form", b"GET http://example.com/a?b HTTP/1.1\r\n" + HOST + b"\r\n",
         (("GET", "http://example.com/a?b", b""),)),
    Good("asterisk form", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", (("OPTIONS", "*", b""),)),
    Good("empty host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", (("GET", "/", b""),)),
    Good("empty field", b"GET / HTTP/1.1\r\n" + HOST + b"X:\r\nY: \r\n\r\n", (("GET", "/", b""),)),
    Good("field of 8 bits", b"GET / HTTP/1.1\r\n" + HOST + b"X: \xe9\r\n\r\n",
         (("GET", "/", b""),)),
    Good("keep-alive of 1.0", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         (("GET", "/", b""),)),
    Good("1.0", b"GET / HTTP/1.0\r\n\r\n", (("GET", "/", b""),), stays=False),
    Good("close", b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
         (("GET", "/", b""),), stays=False),
    Good("close among others", b"GET / HTTP/1.1\r\n" + HOST + b"Connection: x, close\r\n\r\n",
         (("GET", "/", b""),), stays=False),
    Good("upgrade is not taken up",
         b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         (("GET", "/", b""),)),
    Good("upgrade with a body",
         POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
         (("POST", "/p", b"hi"),)),
    Good("upgrade with chunks",
         POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"2\r\nhi\r\n0\r\n\r\n",
         (("POST", "/p", b"hi"),)),
    Good("pipelined mix",
         AFTER + POST + b"Content-Length: 2\r\n\r\nhi" + CHUNKED + b"2\r\nyo\r\n0\r\n\r\n" + AFTER,
         (SEEN_AFTER, ("POST", "/p", b"hi"), ("POST", "/p", b"yo"), SEEN_AFTER)),
    Good("pipelined behind an upgrade",
         b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n" + AFTER * 2,
         (("GET", "/", b""), SEEN_AFTER, SEEN_AFTER)),
    Good("as long as it may be", b"GET /" + b"x" * 8189 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
         (("GET", "/" + "x" * 8189, b""),)),
]  # fmt: skip


@dataclass(frozen=True)
class Bad:
    """Bytes that are refused with `status`."""

    name: str
    data: bytes
    status: int = 400
    limits: Limits = DEFAULT


def header(line: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n"


BAD = [
    # Where does the body end?
    Bad("length and chunks", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n"),
    Bad("chunks and length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
        b"0\r\n\r\n"),
    Bad("two lengths", POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    Bad("the same length twice", POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    Bad("list of lengths", POST + b"Content-Length: 3, 3\r\n\r\nabc"),
    Bad("plus before the length", POST + b"Content-Length: +3\r\n\r\nabc"),
    Bad("minus before the length", POST + b"Content-Length: -3\r\n\r\nabc"),
    Bad("hex length", POST + b"Content-Length: 0x3\r\n\r\nabc"),
    Bad("underscore in the length", POST + b"Content-Length: 1_0\r\n\r\n0123456789"),
    Bad("no length in the length", POST + b"Content-Length:\r\n\r\nabc"),
    Bad("length of 2**64 and more", POST + b"Content-Length: 18446744073709551619\r\n\r\nabc"),
    Bad("chunked in 1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Bad("gzip", POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
    Bad("gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    Bad("chunked, gzip", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    Bad("chunked, chunked", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    Bad("chunked twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n"),
    Bad("xchunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    Bad("identity", POST + b"Transfer-Encoding: identity\r\n\r\n"),
    Bad("no coding", POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    Bad("plus before a chunk size", CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n"),
    Bad("minus before a chunk size", CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n"),
    Bad("0x before a chunk size", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n"),
    Bad("blank before a chunk size", CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n"),
    Bad("blank behind a chunk size", CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n"),
    Bad("underscore in a chunk size", CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
    Bad("no chunk size", CHUNKED + b"\r\nabc\r\n0\r\n\r\n"),
    Bad("chunk size of 2**64 and more", CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    Bad("chunk longer than its size", CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n"),
    Bad("bare LF behind a chunk size", CHUNKED + b"3\nabc\r\n0\r\n\r\n"),
    Bad("bare LF behind an extension", CHUNKED + b"3;a\nabc\r\n0\r\n\r\n"),
    Bad("bare LF behind a chunk", CHUNKED + b"3\r\nabc\n0\r\n\r\n"),
    Bad("length in the trailer", CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n"),
    Bad("coding in the trailer", CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    # Where does a field end?
    Bad("blank before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    Bad("folded field", header(b"X: a\r\n b")),
    Bad("folded first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    Bad("bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    Bad("bare LF behind a field", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    Bad("bare LF as the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    Bad("bare CR in a field", header(b"X: a\rY: b")),
    Bad("two CR", header(b"X: a\r")),
    Bad("NUL in a field", header(b"X: a\0b")),
    Bad("NUL in a name", header(b"X\0Y: b")),
    Bad("control character in a field", header(b"X: a\x01b")),
    Bad("no name", header(b": a")),
    Bad("no colon", header(b"X")),
    # Who is asked, and how?
    Bad("no host", b"GET / HTTP/1.1\r\n\r\n"),
    Bad("two hosts", b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    Bad("two hosts in 1.0", b"GET / HTTP/1.0\r\n" + HOST + HOST + b"\r\n"),
    Bad("2.0", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    Bad("0.9", b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505),
    Bad("0.9 as it was", b"GET /\r\n\r\n", 505),
    Bad("1.2", b"GET / HTTP/1.2\r\n" + HOST + b"\r\n"),
    Bad("http", b"GET / http/1.1\r\n" + HOST + b"\r\n"),
    Bad("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Bad("unknown method", b"FETCH / HTTP/1.1\r\n" + HOST + b"\r\n"),
    Bad("lower case method", b"get / HTTP/1.1\r\n" + HOST + b"\r\n"),
    Bad("a handshake of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    Bad("control character in the target", b"GET /a\x01 HTTP/1.1\r\n" + HOST + b"\r\n"),
    Bad("tab in the target", b"GET /a\tb HTTP/1.1\r\n" + HOST + b"\r\n"),
    Bad("blank in the target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
    Bad("8 bits in the target", b"GET /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n"),
    # What follows would be for the tunnel, so it is nothing for us.
    Bad("tunnel", b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    Bad("tunnel with a length",
        b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nhi", 501),
    Bad("tunnel in chunks", b"CONNECT a:80 HTTP/1.1\r\n" + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 501),
    # How much of it?
    Bad("line too long", b"GET /" + b"x" * 64 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, SMALL),
    Bad("too many fields", b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 4 + b"\r\n", 431, SMALL),
    Bad("fields too large", header(b"X: " + b"y" * 256), 431, SMALL),
    Bad("many fields too large", header(b"\r\n".join([b"X: " + b"y" * 80] * 3)), 431, SMALL),
    Bad("length too large", POST + b"Content-Length: 17\r\n\r\n", 413, SMALL),
    Bad("chunks too large",
        CHUNKED + b"9\r\n012345678\r\n8\r\n01234567\r\n0\r\n\r\n", 413, SMALL),
]  # fmt: skip


@dataclass(frozen=True)
class Endless:
    """A request that never comes to its end: `piece` again and again."""

    name: str
    start: bytes
    piece: bytes
    status: int


ENDLESS = [
    Endless("target", b"GET /", b"x" * 30, 414),
    Endless("field", b"GET / HTTP/1.1\r\nX: ", b"x" * 30, 431),
    Endless("name", b"GET / HTTP/1.1\r\n", b"x" * 30, 431),
    Endless("blanks before a value", b"GET / HTTP/1.1\r\nX: ", b" " * 30, 431),
    Endless("fields", b"GET / HTTP/1.1\r\n", b"X: y\r\n", 431),
    Endless("chunks", CHUNKED, b"1\r\nx\r\n", 413),
    Endless("chunk extension", CHUNKED + b"1;", b"x" * 30, 400),
    Endless("trailer", CHUNKED + b"0\r\nX: ", b"x" * 30, 400),
    Endless("trailers", CHUNKED + b"0\r\n", b"X: y\r\n", 400),
]

# Bytes behind a bad request that would be good ones: nobody may find them.
TAILS = [AFTER, b"\r\n\r\n" + AFTER, b"0\r\n\r\n" + AFTER, b"\r\n" + AFTER]


def names(cases: Sequence[Good | Bad]) -> list[str]:
    return [each.name for each in cases]


def send(case: Good | Bad, bytewise: bool, more: bytes = b"") -> FakeClient:
    client = FakeClient(case.limits if isinstance(case, Bad) else None)
    client.send(case.data + more, bytewise)
    return client


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("case", GOOD, ids=names(GOOD))
class TestGood:
    """Requests as they may come."""

    def test_alone(self, case: Good, bytewise: bool) -> None:
        """The site sees just what was sent; the answers are in order; it stays or closes."""
        client = send(case, bytewise)

        assert tuple(client.seen) == case.seen
        assert client.statuses == [200] * len(case.seen)
        assert client.is_closed is not case.stays
        assert client.connection.is_busy is False

    def test_with_another_behind(self, case: Good, bytewise: bool) -> None:
        """The next one is found where it begins, if the connection stays; otherwise it is not."""
        client = send(case, bytewise, AFTER)

        assert tuple(client.seen) == case.seen + ((SEEN_AFTER,) if case.stays else ())
        assert client.statuses == [200] * len(client.seen)

    def test_with_garbage_behind(self, case: Good, bytewise: bool) -> None:
        """What follows and is no request is refused; after a close it is not looked at."""
        client = send(case, bytewise, b"\0garbage")

        assert tuple(client.seen) == case.seen
        assert client.statuses == [200] * len(case.seen) + ([400] if case.stays else [])
        assert client.is_ended

    def test_while_the_site_is_slow(self, case: Good, bytewise: bool) -> None:
        """One request is in hand at a time, the others wait; each is answered all the same."""
        client = FakeClient()
        client.site.answers_at_once = False
        client.send(case.data, bytewise)
        for number in range(1, len(case.seen) + 1):
            assert len(client.seen) == number
            client.answer()

        assert tuple(client.seen) == case.seen
        assert client.statuses == [200] * len(case.seen)


@pytest.mark.parametrize("case", BAD, ids=names(BAD))
class TestBad:
    """Requests that are none, or too much."""

    @pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
    def test_alone(self, case: Bad, bytewise: bool) -> None:
        """It is answered with the status, reaches nobody, and the connection ends."""
        client = send(case, bytewise)

        assert client.seen == []
        assert client.statuses == [case.status]
        assert client.answers[0].fields["connection"] == "close"
        assert client.is_ended

    @pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
    def test_with_a_tail(self, case: Bad, bytewise: bool) -> None:
        """Nothing behind it is taken for a request, neither at once nor when it comes later."""
        for tail in TAILS:
            client = send(case, bytewise, tail)
            client.send(tail)

            assert client.seen == []
            assert client.statuses == [case.status]

    def test_behind_others(self, case: Bad, bytewise: bool = False) -> None:
        """The requests before it are answered first, then it is refused."""
        client = FakeClient(case.limits)
        client.site.answers_at_once = False
        client.send(AFTER + AFTER)
        client.send(case.data)
        client.answer()
        assert client.statuses == [200]
        client.answer()

        assert client.seen == [SEEN_AFTER, SEEN_AFTER]
        assert client.statuses == [200, 200, case.status]
        assert client.is_ended

    def test_behind_another_in_one_piece(self, case: Bad) -> None:
        """The same when all comes at once."""
        client = FakeClient(case.limits)
        client.send(AFTER + case.data)

        assert client.seen == [SEEN_AFTER]
        assert client.statuses == [200, case.status]

    def test_in_two_pieces_behind_another(self, case: Bad) -> None:
        """The same when it is cut in the middle of its header."""
        client = FakeClient(case.limits)
        data = AFTER + case.data
        cut = len(AFTER) + len(case.data) // 2
        client.send(data[:cut])
        client.send(data[cut:])

        assert client.seen == [SEEN_AFTER]
        assert client.statuses == [200, case.status]


@pytest.mark.parametrize("before", [b"", AFTER, AFTER * 20], ids=["alone", "behind", "far behind"])
@pytest.mark.parametrize("case", ENDLESS, ids=[each.name for each in ENDLESS])
def test_endless(case: Endless, before: bytes) -> None:
    """What does not end is refused when it is a small multiple of what the limits allow."""
    client = FakeClient(SMALL)
    client.send(before + case.start)
    for _ in range(100):
        client.send(case.piece)
    answered = [200] * before.count(b"/after")

    assert client.statuses == [*answered, case.status]
    assert client.is_ended


def test_trailers_never_appear_as_fields() -> None:
    """What comes behind the body cannot pass for what came before it."""
    client = FakeClient()
    client.send(CHUNKED + b"2\r\nhi\r\n0\r\nHost: evil\r\nCookie: a\r\n\r\n" + AFTER)
    first, second = client.site.seen

    assert first.get_raw_header() == ["Host: example.com", "Transfer-Encoding: chunked"]
    assert second.get_raw_header() == ["Host: example.com"]


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
def test_fields_arrive_in_order_and_as_they_came(bytewise: bool) -> None:
    """Names keep their case, the same name may come again, blanks around a value are not part."""
    client = FakeClient()
    client.send(b"GET / HTTP/1.1\r\nhOst: a\r\nX-One: 1\r\nx-one:2 \t\r\n\r\n", bytewise)
    request = client.site.seen[0]

    assert request.fields[:2] == [(b"hOst", b"a"), (b"X-One", b"1")]
    assert request.get_header("X-ONE") == "1"
    assert request.get_raw_header()[2].rstrip() == "x-one: 2"


def test_header_limits_hold_behind_a_large_piece() -> None:
    """A header that comes in one piece with other requests is measured all the same."""
    client = FakeClient(replace(SMALL, header_size=300))
    large = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 300 + b"\r\n\r\n"
    client.send(AFTER * 20 + large)

    assert client.statuses == [200] * 20 + [431]


def test_header_cut_behind_large_pieces_is_not_refused() -> None:
    """Bytes of earlier requests do not count for a header that began behind them."""
    client = FakeClient(replace(SMALL, headers=9))
    fair = b"GET / HTTP/1.1\r\n" + HOST + (b"X: " + b"y" * 50 + b"\r\n") * 4 + b"\r\n"
    client.send(AFTER * 20 + fair[:5])
    for at in range(5, len(fair), 50):
        client.send(fair[at : at + 50])

    assert client.statuses == [200] * 21
