"""The PROXY protocol's header: what is eaten, what is refused, whom it names."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.web.proxy_protocol import V2_SIGNATURE, Header, NoHeader

TAIL = b"GET / HTTP/1.1\r\n\r\nPROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n"


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return V2_SIGNATURE + struct.pack("!BBH", command, family, size) + body


def tcp(source: str, target: str = "::", more: bytes = b"") -> bytes:
    """Version 2, for TCP."""
    packed = ip_address(source).packed
    end = ip_address(target).packed if len(packed) == 16 else b"\x7f\x00\x00\x01"
    family = 0x21 if len(packed) == 16 else 0x11
    return v2(0x21, family, packed + end + struct.pack("!HH", 4711, 443) + more)


GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", "192.0.2.1"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0"),
    (b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", ""),
    (b"PROXY UNKNOWN" + b" ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" * 2 + b" 65535 65535\r\n", ""),
    (tcp("192.0.2.1"), "192.0.2.1"),
    (tcp("2001:db8::1"), "2001:db8::1"),
    (tcp("::ffff:192.0.2.1"), "192.0.2.1"),
    (tcp("192.0.2.1", more=b"\x03\x00\x04\x00\x00\x00\x00"), "192.0.2.1"),
    (tcp("2001:db8::1", more=b"\x20" + b"\r\n" * 5000), "2001:db8::1"),
    (v2(0x20, 0x00, b""), ""),
    (v2(0x20, 0x11, tcp("192.0.2.1")[16:]), ""),  # LOCAL: whatever it says besides
    (v2(0x20, 0x77, b"any thing"), ""),
    (v2(0x21, 0x00, b""), ""),
    (v2(0x21, 0x00, b"x" * 65535), ""),
    (v2(0x21, 0x12, b"\x01" * 12), ""),  # datagrams
    (v2(0x21, 0x22, b"\x01" * 36), ""),
    (v2(0x21, 0x31, b"/run/client".ljust(216, b"\x00")), ""),
]

BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"proxy TCP4 192.0.2.1 192.0.2.2 4711 443\r\n",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXYTCP4 192.0.2.1 192.0.2.2 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443 \r\n",
    b"PROXY TCP4  192.0.2.1 192.0.2.2 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 04711 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 443\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.2 1 443\r\n",
    b"PROXY TCP4 192.0.02.1 192.0.2.2 1 443\r\n",
    b"PROXY TCP4 ::1 ::1 1 443\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.2 1 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
    b"PROXY TCP5 192.0.2.1 192.0.2.2 1 443\r\n",
    b"PROXY UDP4 192.0.2.1 192.0.2.2 1 443\r\n",
    b"PROXY UNKNOWN\rTCP4\r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",  # 108 bytes
    b"PROXY TCP4 " + b"1" * 200,
    b"\r\n\r\n\x00\r\nQUIX\n" + b"\x21\x11\x00\x0c" + b"\x01" * 12,
    b"\r\nGET / HTTP/1.1\r\n\r\n",
    v2(0x11, 0x11, b"\x01" * 12),  # version 1 of the binary form
    v2(0x31, 0x11, b"\x01" * 12),
    v2(0x22, 0x11, b"\x01" * 12),  # no such command
    v2(0x21, 0x11, b"\x01" * 11),  # addresses that are cut
    v2(0x21, 0x21, b"\x01" * 35),
    v2(0x21, 0x31, b"\x01" * 215),
    v2(0x21, 0x41, b"\x01" * 300),  # no such family
    v2(0x21, 0x13, b"\x01" * 300),  # no such transport
]


def eat(pieces: list[bytes]) -> tuple[Header, int]:
    """As the socket's reader does: what was not eaten is offered again, with what has come."""
    header, left, eaten = Header(), b"", 0
    for piece in pieces:
        left += piece
        size = header.feed(left) if not header.is_complete else 0
        eaten, left = eaten + size, left[size:]
    return header, eaten


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    """Whole, byte by byte, and with something behind it."""
    with pytest.raises(NoHeader):
        eat([data + TAIL if not data.startswith(b"PROXY TCP4 1111") else data])
    with pytest.raises(NoHeader):
        eat([data[i : i + 1] for i in range(len(data))])


@pytest.mark.parametrize(
    ("data", "enough"),
    [
        (b"GET / HTTP/1.1", 1),
        (b"PUT /", 2),
        (b"\x16\x03", 1),
        (b"\r\nGET", 3),
        (b"\r\n\r\n\x00\r\nquit", 8),
    ],
)
def test_it_is_refused_as_early_as_can_be(data: bytes, enough: int) -> None:
    """Nobody waits for the rest of what cannot become one."""
    eat([data[: enough - 1]])
    with pytest.raises(NoHeader):
        eat([data[:enough]])


@pytest.mark.parametrize(("data", "address"), GOOD)
def test_the_client_is_whom_it_names(data: bytes, address: str) -> None:
    """Whole, byte by byte, and with something behind it, of which not a byte is eaten."""
    for pieces in ([data], [data + TAIL], [data[i : i + 1] for i in range(len(data))]):
        header, eaten = eat(pieces)
        assert (header.is_complete, header.address, eaten) == (True, address, len(data))


@pytest.mark.parametrize("data", [data for data, _ in GOOD])
def test_it_is_complete_with_its_last_byte(data: bytes) -> None:
    """And not before."""
    header, eaten = eat([data[:-1]])
    assert (header.is_complete, eaten) == (False, len(data) - 1)


@given(st.sampled_from([data for data, _ in GOOD]), st.lists(st.integers(1, 90)))
def test_it_does_not_matter_how_it_is_cut(data: bytes, sizes: list[int]) -> None:
    """Nor what is behind it."""
    whole, pieces = data + TAIL, []
    for size in sizes:
        pieces.append(whole[:size])
        whole = whole[size:]
    header, eaten = eat([*pieces, whole])
    assert (header.is_complete, eaten) == (True, len(data))


@given(st.binary(max_size=300))
def test_anything_else_never_is_one(data: bytes) -> None:
    """It is refused, or more is wanted."""
    try:
        header, eaten = eat([data])
    except NoHeader:
        return
    assert not header.is_complete
    assert eaten == len(data)
