"""URLs and cluster addresses as app code writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.address import login, parse_cluster, parse_url, request_target
from skitai.engine import Origin
from skitai.errors import WrongUse


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "target"),
    [
        ("http://example.com", "example.com", 80, False, b"/"),
        ("https://example.com", "example.com", 443, True, b"/"),
        ("HTTP://Example.COM/Path", "example.com", 80, False, b"/Path"),
        ("http://example.com:8080/a/b?c=d&e", "example.com", 8080, False, b"/a/b?c=d&e"),
        ("https://example.com:80", "example.com", 80, True, b"/"),
        ("http://example.com:/", "example.com", 80, False, b"/"),
        ("http://example.com?a=1", "example.com", 80, False, b"/?a=1"),
        ("http://example.com/a#fragment", "example.com", 80, False, b"/a"),
        ("http://example.com/?", "example.com", 80, False, b"/"),
        ("http://127.0.0.1:5000/x", "127.0.0.1", 5000, False, b"/x"),
        ("http://[::1]/x", "::1", 80, False, b"/x"),
        ("https://[2001:DB8::1]:8443/", "2001:db8::1", 8443, True, b"/"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, False, b"/"),
        ("http://한국.example:81/", "xn--3e0b707e.example", 81, False, b"/"),
        ("http://example.com/Käse?q=Brot&ä", "example.com", 80, False, b"/K%C3%A4se?q=Brot&%C3%A4"),
        ("http://example.com/a%20b%2Fc", "example.com", 80, False, b"/a%20b%2Fc"),
        ("http://example.com/a;b=c,d@e", "example.com", 80, False, b"/a;b=c,d@e"),
        ('http://example.com/<"{|}">', "example.com", 80, False, b"/%3C%22%7B%7C%7D%22%3E"),
        ("http://example.com//double", "example.com", 80, False, b"//double"),
    ],
)
def test_a_url_is_a_server_and_a_target(
    url: str, host: str, port: int, tls: bool, target: bytes
) -> None:
    """Percent-encoded where needed, and left alone where that was done already."""
    assert parse_url(url) == (Origin(host, port, tls), target)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "does not start with http:// or https://"),
        ("example.com", "does not start with http:// or https://"),
        ("ftp://example.com/", "does not start with http:// or https://"),
        ("//example.com/", "does not start with http:// or https://"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http://:80/", "names no host"),
        ("http://example.com:http/", "names no server"),
        ("http://example.com:65536/", "names no server"),
        ("http://example.com:-1/", "names no server"),
        ("http://example.com:0/", "port 0"),
        ("http://[::1/", "names no server"),
        ("http://exam℀ple.com/", "names no server"),
        ("http://a..b/", "cannot be looked up"),
        ("http://.example.com/", "cannot be looked up"),
        (f"http://{'x' * 64}.example/", "cannot be looked up"),
        ("http://example.com/a b", "a blank or a control character"),
        ("http://example.com/\r\nX-Evil: 1", "a blank or a control character"),
        ("http://exa\tmple.com/", "a blank or a control character"),
        ("http://example.com/\x00", "a blank or a control character"),
        ("http://example.com/\ud800", "a blank or a control character"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(url: str, said: str) -> None:
    """It quotes the URL, and says what is wrong with it."""
    with pytest.raises(WrongUse) as caught:
        parse_url(url)
    assert str(caught.value).startswith(f"the {'host of the ' if 'looked up' in said else ''}URL")
    assert said in str(caught.value)
    assert repr(url) in str(caught.value)


@given(url=st.text(max_size=30) | st.text(max_size=30).map(lambda text: f"http://{text}"))
def test_no_text_does_anything_else(url: str) -> None:
    """A server and a target without blanks, or WrongUse: no line break gets through."""
    try:
        origin, target = parse_url(url)
    except WrongUse:
        return
    assert target.startswith(b"/")
    assert not set(target) - set(range(0x21, 0x7F))
    assert origin.host.isascii()
    assert 0 < origin.port < 65536


@given(path=st.text(max_size=20), query=st.text(max_size=20))
def test_no_target_holds_a_line_break(path: str, query: str) -> None:
    """Cluster addresses come this way without being looked at before."""
    try:
        target = request_target(path, query)
    except UnicodeEncodeError:  # half a surrogate pair is no text that could be sent
        return
    assert not set(target) - set(range(0x21, 0x7F))


@pytest.mark.parametrize(
    ("address", "name", "target", "kind"),
    [
        ("mysearch/rpc2", "mysearch", b"/rpc2", "xml"),
        ("@mysearch/RPC2/", "mysearch", b"/RPC2/", "xml"),
        ("mysearch", "mysearch", b"/rpc3", "json"),
        ("@mysearch", "mysearch", b"/rpc3", "json"),
        ("mysearch/", "mysearch", b"/", ""),
        ("mysearch/a/b/rpc3", "mysearch", b"/a/b/rpc3", "json"),
        ("mysearch/page?id=5&q=a?b", "mysearch", b"/page?id=5&q=a?b", ""),
        ("mysearch?id=5", "mysearch", b"/rpc3?id=5", "json"),
    ],
)
def test_a_cluster_address_is_a_name_and_what_is_asked_for(
    address: str, name: str, target: bytes, kind: str
) -> None:
    """With or without the @ of the conf; without a path it is JSON-RPC."""
    assert parse_cluster(address) == (name, target, kind == "xml", kind == "json")


@pytest.mark.parametrize("address", ["", "@", "/rpc2", "@/rpc2"])
def test_an_address_without_a_name_is_refused(address: str) -> None:
    """With an example of one."""
    with pytest.raises(WrongUse, match='names no cluster; write it as "mysearch/rpc2"'):
        parse_cluster(address)


@pytest.mark.parametrize(("host", "node"), [("example.com", "example.com:80"), ("::1", "[::1]:80")])
def test_an_origin_is_named_as_in_results(host: str, node: str) -> None:
    """With IPv6 in brackets."""
    assert Origin(host, 80, tls=False).node == node


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://user:secret@example.com/", ("user", "secret")),
        ("http://us%40er:se%3Acret@example.com:81/a@b", ("us@er", "se:cret")),
        ("http://user@example.com/", ("user", "")),
        ("http://example.com/a@b", None),
        ("http://example.com/?next=//a@b", None),
        ("http://example.com", None),
    ],
)
def test_credentials_in_a_url_are_its_login(url: str, expected: tuple[str, str] | None) -> None:
    """Percent-decoded; an @ elsewhere means nothing."""
    assert login(url) == expected
    assert parse_url(url)[0].host == "example.com"


@pytest.mark.parametrize(
    "url", ["ftp://user:secret@h/", "http://user:secret@/", "http://u:secret@h /"]
)
def test_no_message_repeats_a_password(url: str) -> None:
    """They end in logs."""
    with pytest.raises(WrongUse) as raised:
        parse_url(url)
    assert "secret" not in str(raised.value)
