"""What a forward proxy may be asked for."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.web import forward_names
from skitaid.workers.web.forward_names import Forbidden
from skitaid.workers.web.forward_rules import (
    Odd,
    Target,
    absolute_target,
    connect_target,
    is_public,
    may_ask,
    may_connect,
)

PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "192.0.2.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1"),
    *("2001:db8::1", "100::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::1"),
    *("2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
]
PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"),
    *("64:ff9b::808:808", "2002:808:808::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_everybody_s_is_not_public(address: str) -> None:
    """However it is written."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_everybody_s_is_public(address: str) -> None:
    """Also as the IPv6 address that stands for it."""
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_all_its_forms(address: object) -> None:
    """Or one form would be the way around the other."""
    low = int(address)  # type: ignore[call-overload]
    forms = (f"::ffff:{address}", f"64:ff9b::{low >> 16:x}:{low & 0xFFFF:x}")
    assert {is_public(form) for form in forms} == {is_public(str(address))}


@pytest.mark.parametrize(
    "target",
    [
        *(b"", b"a.example", b"a.example:", b":443", b"a.example:0", b"a.example:65536"),
        *(b"a.example:443:443", b"user@a.example:443", b"http://a.example:443", b"a.example:44 3"),
        *(b"[::1:443", b"::1:443", b"[zz]:443", b"[]:443", b"a..b:443", b".a:443", b"a_b c:443"),
        *(b"a.example:443/", b"a%2eexample:443", b"\xff.example:443", b"*:443", b"a" * 300 + b":1"),
        *(b"a.example:+443", b"a.example:\xc2\xb2"),
    ],
)
def test_tunnels_that_cannot_be(target: bytes) -> None:
    """A host and a port, and nothing that somebody might read in another way."""
    with pytest.raises(Odd):
        connect_target(target)


@pytest.mark.parametrize(
    "target",
    [
        *(b"ftp://a.example/", b"file:///etc/passwd", b"gopher://a.example/", b"http:/a.example/"),
        *(b"http://", b"http:///x", b"http://user:pw@a.example/", b"http://a.example:0/"),
        *(
            b"http://a.example/#x",
            b"http://a.example\\@b.example/",
            b"http://a b/",
            b"//a.example/",
        ),
        *(b"http://a.example/\x7f", b"http://[::1/", b"http://a.example:x/"),
    ],
)
def test_urls_that_cannot_be(target: bytes) -> None:
    """Others than http and https, and hosts that two might read in two ways."""
    with pytest.raises(Odd):
        absolute_target(target)


def test_what_is_asked_for() -> None:
    """Host, port, and the rest as it came."""
    assert connect_target(b"[2001:DB8::1]:443") == Target(
        "2001:db8::1", 443, False, b"[2001:DB8::1]:443", b""
    )
    assert absolute_target(b"HTTP://A.example?x=//y") == Target(
        "a.example", 80, False, b"A.example", b"/?x=//y"
    )
    assert absolute_target(b"https://a.example/%2e%2e//b") == Target(
        "a.example", 443, True, b"a.example", b"/%2e%2e//b"
    )
    assert absolute_target(b"http://1.2.3.4:8080/").port == 8080


@given(st.binary(max_size=40))
def test_anything_is_a_target_or_odd(target: bytes) -> None:
    """Nothing else happens; and what is one can be a line of a request."""
    for read in (connect_target, absolute_target, lambda rest: absolute_target(b"http://" + rest)):
        try:
            found = read(target)
        except Odd:
            continue
        assert not set(b"\r\n \0") & set(found.authority + found.origin_form)
        assert 1 <= found.port <= 65535


def test_ports() -> None:
    """Tunnels lead to those of the conf; other requests not to those of other old services."""
    assert [port for port in (22, 25, 80, 443, 8443) if may_connect(port, (443,))] == [443]
    assert [port for port in (22, 25, 80, 443, 853, 8080) if may_ask(port, (443, 853))] == [
        *(80, 443, 853, 8080)
    ]


def places(host: str, *allowed: str) -> list[str]:
    async def look_up() -> list[str]:
        found = await forward_names.names(allowed).places(host, 80)
        return [place.address[0] for place in found]

    return asyncio.run(look_up())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "::1", "10.1.2.3", "0"]
)
def test_a_name_is_looked_up_before_it_is_judged(host: str) -> None:
    """So all ways to write an address are one."""
    with pytest.raises(Forbidden):
        places(host)


def test_what_is_allowed_can_be_reached() -> None:
    """And of the addresses of a name no others."""
    assert places("127.0.0.1", "127.0.0.0/8") == ["127.0.0.1"]
    assert places("::ffff:127.0.0.1", "127.0.0.0/8") == ["::ffff:127.0.0.1"]
    assert set(places("localhost", "127.0.0.0/8")) <= {"127.0.0.1"}
    with pytest.raises(Forbidden):
        places("127.0.0.1", "10.0.0.0/8")


def test_the_machine_itself_is_not_reached_by_its_public_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is bound to it may be for the machine alone."""
    monkeypatch.setattr(forward_names, "is_public", lambda text: True)
    with pytest.raises(Forbidden):
        places("127.0.0.1")
    assert places("192.0.2.1") == ["192.0.2.1"]  # nobody's here
