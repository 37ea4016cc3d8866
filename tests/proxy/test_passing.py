"""What becomes of a request on its way to a member, and of the answer on its way back."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator

import pytest
from fault_server import refusing_port
from operator_session import Home
from plain_member import WHOLE, Asked, Behaviour, PlainMember, Talk, header
from raw_client import RawClient, chunked, fields_of, raw_client, request
from served import Server

from skitaid.workers.web.proxy_fields import extended, location

CONF = """\
[@plain]
members = {plain}
[@whole]
keep_prefix = yes
keep_host = yes
members = {plain}
[@pair]
balance = roundrobin
members = 127.0.0.1:{refusing}, {plain}
[@mortal]
balance = roundrobin
members = {plain}, {other}
[@fragile]
balance = roundrobin
members = {plain}, {other}
[@short]
proxy_timeout = 0.2
members = {plain}
[@limited]
max_request_size = 1000
members = {plain}
[@sticky]
sticky = route
members = {plain}, {other}
[@hash]
balance = hash
members = {plain}, {other}
[@loop]
keep_prefix = yes
members = 127.0.0.1:{{port}}
"""
ROUTES = """\
/viewinfo = {app}/static
/viewinfo = @plain
/whole = @whole
/pair = @pair
/mortal = @mortal
/fragile = @fragile
/short = @short
/limited = @limited
/sticky = @sticky
/hash = @hash
/loop = @loop
"""
TRUSTED = "127.0.0.2"


def answers(data: bytes, closes: bool = False) -> Behaviour:
    """A behaviour: these bytes."""

    def behave(member: PlainMember, talk: Talk, asked: Asked) -> bool:
        talk.send(data)
        return not closes

    return behave


def mute(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    talk.wait_end()
    raise ConnectionError("nobody waited for the answer")  # so it counts as broken


def hints(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    talk.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
    talk.send(header() + WHOLE)
    return True


def expects(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """Says 100 before it reads the body, or 417 to who asks for /expects/no."""
    if asked.target.endswith("/no"):
        talk.send(header("417 Expectation Failed", 0))
        return False
    talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    size, _, _ = talk.body(asked.fields)
    body = b"%d" % size
    talk.send(header(length=len(body)) + body)
    return True


expects.reads_first = False  # type: ignore[attr-defined]


def mortal(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """Dies when it is asked first, by whoever."""
    if asked.target.endswith(f"/{member.port}"):
        return False
    talk.send(header() + WHOLE)
    return True


def bad_chunk(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
    member.wait_open()
    talk.send(b"nonsense\r\n")
    return False


def who(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    body = str(member.port).encode()
    talk.send(header(length=len(body)) + body)
    return True


FIELDS = "Content-Length: 2\r\n"
BEHAVIOURS = {
    "mute": mute,
    "hints": hints,
    "expects": expects,
    "mortal": mortal,
    "who": who,
    "fields": answers(
        b"HTTP/1.1 299 Quite Fine\r\nX-One: 1\r\nx-one: 2\r\nConnection: X-Drop, keep-alive\r\n"
        b"Keep-Alive: timeout=50\r\nX-Drop: 1\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n"
        b"Server: theirs\r\n\r\nok"
    ),
    "until-close": answers(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", closes=True),
    "trailers": answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-Sum: 42\r\nSet-Cookie: a=b\r\n\r\n"
    ),
    "redirect": answers(header("302 Found", 0, "Location: /login?next=1\r\n")),
    "part": answers(header("206 Partial Content", 4, "Content-Range: bytes 0-3/10\r\n") + b"0123"),
    "not-modified": answers(header("304 Not Modified", 1000, 'ETag: "a"\r\n')),
    "sick": answers(header("503 Service Unavailable", 4, "Retry-After: 7\r\n") + b"sick"),
    "refuses-upgrade": answers(header(length=2) + b"no"),
    "unasked-upgrade": answers(
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ),
    "garbage": answers(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "two-lengths": answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
    "both": answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n"
    ),
    "coded": answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "folded": answers(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
    "bare-lf": answers(b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 2\r\n\r\nok"),
    "no-number": answers(b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"),
    "bad-name": answers(b"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 2\r\n\r\nok"),
    "nul": answers(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok"),
    "flood": answers(b"HTTP/1.1 200 OK\r\n" + b"X-Flood: 1234567890\r\n" * 20000),
    "closes-header": answers(b"HTTP/1.1 200 OK\r\nContent-Le", closes=True),
    "bad-chunk": bad_chunk,
}


@pytest.fixture(scope="module")
def shared_member() -> Iterator[PlainMember]:
    with PlainMember(**BEHAVIOURS) as member:
        yield member


@pytest.fixture(scope="module")
def shared_other() -> Iterator[PlainMember]:
    with PlainMember(**BEHAVIOURS) as member:
        yield member


@pytest.fixture
def other(shared_other: PlainMember) -> PlainMember:
    shared_other.forget()
    return shared_other


@pytest.fixture(scope="module")
def server(
    shared_home: Home, shared_member: PlainMember, shared_other: PlainMember
) -> Iterator[Server]:
    static = shared_home.app / "static"
    static.mkdir()
    (static / "page.txt").write_text("a file")
    with refusing_port() as refusing:
        conf = CONF.format(
            plain=shared_member.node,
            other=shared_other.node,
            refusing=refusing.getsockname()[1],
        )
        more = f"trusted_proxies = {TRUSTED}\nbody_timeout = 1\nrequest_timeout = 1"
        yield shared_home.serve(routes=ROUTES, sections=conf, more=more)


@pytest.fixture
def client(server: Server, member: PlainMember) -> Iterator[RawClient]:
    with raw_client(server.port) as client:
        yield client


# The request


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("/viewinfo/view?id=555", "/view?id=555"),
        ("/viewinfo", "/"),
        ("/viewinfo/", "/"),
        ("/viewinfo?a=1", "/?a=1"),
        (
            "/viewinfo/a%20b;c=%2F/%e2%82%ac?q=%00+&&x=../..",
            "/a%20b;c=%2F/%e2%82%ac?q=%00+&&x=../..",
        ),
        ("/viewinfo/a//b/...", "/a//b/..."),
        ("/vie%77info/x", "/x"),
        ("/whole/fine/view?id=555", "/whole/fine/view?id=555"),
        ("http://else.example/viewinfo/x?y", "/x?y"),
    ],
)
def test_target_as_it_came(client: RawClient, member: PlainMember, sent: str, passed: str) -> None:
    """Path and query reach the member undecoded; the prefix is taken off, or kept by the conf."""
    with member.answering_all():
        client.send(request("GET", sent))
        status, _ = client.whole_answer()

    assert status == 200
    assert [each.target for each in member.seen] == [passed]


@pytest.mark.parametrize("target", ["/viewinfox/a", "/VIEWINFO/a", "//viewinfo/a", "/a/viewinfo"])
def test_prefix_ends_at_a_segment(client: RawClient, member: PlainMember, target: str) -> None:
    """What only looks like the prefix is not passed on."""
    client.send(request("GET", target))

    assert client.whole_answer()[0] == 404
    assert member.seen == []


@pytest.mark.parametrize(
    "target",
    [
        "/viewinfo/../fine",
        "/viewinfo/a/..",
        "/viewinfo/..%2ffine",
        "/viewinfo/..%2Ffine",
        "/viewinfo/%2e%2e/fine",
        "/viewinfo/.%2e/fine",
        "/viewinfo/./fine",
        "/viewinfo/..;a=1/fine",
        "/viewinfo/..%5cfine",
        "/viewinfo/..\\fine",
        "/viewinfo//fine",
        "/viewinfo/%2ffine",
        "/viewinfo%2ffine",
        "/viewinfo/%00fine",
        "/viewinfo/fine%0d%0aX:%201",
        "/viewinfo/fine#/x",
        "/whole/../fine",
        "/whole%2ffine",
        'http://a",for="10.0.0.1/viewinfo/fine',
        "http://a b/viewinfo/fine",
        "/viewinfo/%ff",
    ],
)
def test_path_of_two_meanings_is_refused(
    client: RawClient, member: PlainMember, target: str
) -> None:
    """Dots, double and encoded slashes, NUL: whatever a member could read otherwise than we do."""
    client.send(request("GET", target))

    assert client.whole_answer()[0] == 400
    assert member.seen == []


def test_fields_as_they_came(client: RawClient, member: PlainMember) -> None:
    """Order, case, repetitions and values stay; what is for this connection does not pass."""
    client.send(
        request(
            "GET",
            "/viewinfo/fine",
            "X-Two: a",
            "Connection: X-Mine, keep-alive",
            "x-two:  b ",
            "X-Mine: 1",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic eDp5",
            "TE: gzip",
            "Accept-Encoding: br",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
    )
    client.whole_answer()
    (asked,) = member.seen

    names = [name for name, _ in asked.fields]
    assert names[:2] == ["Host", "X-Request-ID"] or "X-Two" in names
    assert [(n, v) for n, v in asked.fields if n.lower() == "x-two"] == [
        ("X-Two", "a"),
        ("x-two", "b"),
    ]
    assert asked.get("accept-encoding") == "br"
    assert asked.get("traceparent") == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for name in (
        "connection",
        "x-mine",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
    ):
        assert asked.all(name) == []


def test_who_asks_is_told(client: RawClient, member: PlainMember) -> None:
    """X-Forwarded fields, Forwarded, Via and the request's id; Host is the member's own."""
    client.send(request("GET", "/viewinfo/fine", "X-Request-ID: my-id"))
    client.whole_answer()
    (asked,) = member.seen

    assert asked.get("host") == member.node
    assert asked.get("x-forwarded-for") == "127.0.0.1"
    assert asked.get("x-forwarded-proto") == "http"
    assert asked.get("x-forwarded-host") == "site.example"
    assert asked.get("x-forwarded-prefix") == "/viewinfo"
    assert asked.get("forwarded") == 'for=127.0.0.1;proto=http;host="site.example"'
    assert asked.get("x-request-id") == "my-id"
    assert re.fullmatch(r"1\.1 web-[0-9a-f]{8}", asked.get("via") or "")


def test_host_is_kept_if_the_conf_says_so(client: RawClient, member: PlainMember) -> None:
    """keep_host and keep_prefix: the member sees what the client has called."""
    with member.answering_all():
        client.send(request("GET", "/whole/x"))
        client.whole_answer()
    (asked,) = member.seen

    assert (asked.get("host"), asked.target) == ("site.example", "/whole/x")
    assert asked.get("x-forwarded-prefix") is None


SPOOFED = (
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: bank.example",
    "X-Forwarded-Prefix: /evil",
    "Forwarded: for=10.0.0.1",
    # As CGI and WSGI spell the names of fields, these are the same.
    "X_Forwarded-For: 10.0.0.1",
    "X_Forwarded_Proto: https",
    "x_forwarded_host: bank.example",
    "Content_Length: 7",
)


def test_spoofed_fields_are_dropped(client: RawClient, member: PlainMember) -> None:
    """What a client says of those before it does not reach the member."""
    client.send(request("GET", "/viewinfo/fine", *SPOOFED))
    client.whole_answer()
    (asked,) = member.seen

    assert [name for name, _ in asked.fields if "_" in name] == []
    assert asked.get("x-forwarded-for") == "127.0.0.1"
    assert asked.get("x-forwarded-proto") == "http"
    assert asked.get("x-forwarded-host") == "site.example"
    assert asked.get("x-forwarded-prefix") == "/viewinfo"
    assert asked.get("forwarded") == 'for=127.0.0.1;proto=http;host="site.example"'


def test_trusted_proxy_is_believed(server: Server, member: PlainMember) -> None:
    """Its lists are added to; what it says of scheme and host counts."""
    client = RawClient(server.port, source=TRUSTED)
    client.send(request("GET", "/viewinfo/fine", *SPOOFED))
    client.whole_answer()
    client.close()
    (asked,) = member.seen

    assert asked.get("x-forwarded-for") == f"10.0.0.1, {TRUSTED}"
    assert asked.get("x-forwarded-proto") == "https"
    assert asked.get("x-forwarded-host") == "bank.example"
    assert asked.get("forwarded") == (
        f'for=10.0.0.1, for={TRUSTED};proto=https;host="bank.example"'
    )


def test_address_that_needs_quotes() -> None:
    """IPv6 stands in brackets and quotes in Forwarded (RFC 7239 section 6), bare elsewhere."""
    lines = extended("2001:db8::1", "https", b"", {})

    assert b"X-Forwarded-For: 2001:db8::1\r\n" in lines
    assert b'Forwarded: for="[2001:db8::1]";proto=https\r\n' in lines
    assert b"X-Forwarded-For: unknown\r\n" in extended("", "http", b"", {})


def test_same_header_again_is_the_same_but_for_its_id(
    client: RawClient, member: PlainMember
) -> None:
    """Requests of one connection do not inherit each other's id, target or body."""
    client.send(request("GET", "/viewinfo/fine/1"))
    client.whole_answer()
    client.send(request("GET", "/viewinfo/fine/2"))
    client.whole_answer()
    client.send(request("POST", "/viewinfo/fine/3", "Content-Length: 2") + b"ab")
    client.whole_answer()
    first, second, third = member.seen

    assert [each.target for each in member.seen] == ["/fine/1", "/fine/2", "/fine/3"]
    assert len({each.get("x-request-id") for each in member.seen}) == 3
    assert [(name) for name, _ in first.fields] == [name for name, _ in second.fields]
    assert (third.method, third.size) == ("POST", 2)


def test_empty_body_keeps_its_length(client: RawClient, member: PlainMember) -> None:
    """A POST of nothing says so to the member."""
    client.send(request("POST", "/viewinfo/fine", "Content-Length: 0"))
    client.whole_answer()

    assert member.seen[0].get("content-length") == "0"


def test_trailers_of_the_request(client: RawClient, member: PlainMember) -> None:
    """They follow the body, except for those that must not be there (RFC 9110 section 6.5.1)."""
    start = request("POST", "/viewinfo/fine", "Transfer-Encoding: chunked", "Trailer: X-Sum")
    trailer = b"X-Sum: 42\r\nAuthorization: Basic eDp5\r\nX-Forwarded-For: 10.0.0.1\r\n"
    client.send(start, *chunked([b"ab"], trailer))
    client.whole_answer()

    assert member.seen[0].trailers == [("X-Sum", "42")]


# The answer


def test_fields_of_the_answer(client: RawClient) -> None:
    """Status, reason and fields as the member has them, without what is for its connection."""
    client.send(request("GET", "/viewinfo/fields"))
    response = client.answer()
    names = [name for name, _ in response.getheaders()]

    assert (response.status, response.reason, response.read()) == (299, "Quite Fine", b"ok")
    assert response.getheader("server") == "theirs"
    assert response.getheader("x-one") == "1, 2"
    assert "Date" in names
    assert not {"X-Drop", "Connection", "Keep-Alive", "Proxy-Authenticate"} & set(names)


def test_error_of_the_member_is_passed_on(client: RawClient) -> None:
    """A 503 of the member's own is an answer: its page, its fields, no other member is asked."""
    client.send(request("GET", "/viewinfo/sick"))
    response = client.answer()

    assert (response.status, response.read()) == (503, b"sick")
    assert response.getheader("retry-after") == "7"


@pytest.mark.parametrize("path", ["part", "not-modified"])
def test_conditional_and_partial_answers(client: RawClient, member: PlainMember, path: str) -> None:
    """Range and validators reach the member; 206 and 304 come back, and the connection goes on."""
    client.send(request("GET", f"/viewinfo/{path}", "Range: bytes=0-3", 'If-None-Match: "a"'))
    response = client.answer()
    body = response.read()
    client.send(request("GET", "/viewinfo/fine"))
    again = client.whole_answer()

    assert (response.status, body) == ((206, b"0123") if path == "part" else (304, b""))
    assert response.getheader("content-length") == ("4" if path == "part" else "1000")
    assert member.seen[0].get("range") == "bytes=0-3"
    assert again == (200, WHOLE)


def test_answer_that_ends_with_the_connection(client: RawClient) -> None:
    """Its end is told by chunks, and the client's connection stays."""
    client.send(request("GET", "/viewinfo/until-close"))
    first = client.whole_answer()
    client.send(request("GET", "/viewinfo/fine"))

    assert first == (200, b"until the end")
    assert client.whole_answer() == (200, WHOLE)


def test_client_of_http_1_0(client: RawClient) -> None:
    """It gets no chunks: the connection ends behind the answer."""
    client.send(b"GET /viewinfo/until-close HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    response = client.answer()

    assert response.getheader("transfer-encoding") is None
    assert response.read() == b"until the end"
    assert client.is_closed()


@pytest.mark.parametrize("wants", [True, False])
def test_trailers_of_the_answer(client: RawClient, member: PlainMember, wants: bool) -> None:
    """They are for clients that say so, without what must not be there; else they are dropped."""
    fields = ["TE: trailers", "Connection: TE"] if wants else []
    client.send(request("GET", "/viewinfo/trailers", *fields), request("GET", "/viewinfo/fine"))
    data = b""
    while WHOLE not in data:
        data += client.some()
    first = data.partition(b"HTTP/1.1 200 OK\r\nContent-Length: 24")[0]

    assert (b"X-Sum: 42\r\n" in first) is wants
    assert b"Set-Cookie" not in first
    assert member.seen[0].get("te") == ("trailers" if wants else None)


def test_interim_answers(client: RawClient) -> None:
    """103 reaches the client before the answer does."""
    client.send(request("GET", "/viewinfo/hints"))
    data = b""
    while WHOLE not in data:
        data += client.some()

    assert data.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200"
    )


def test_expectation_is_the_members(client: RawClient, member: PlainMember) -> None:
    """It is the member that says 100, and then gets the body."""
    client.send(request("PUT", "/viewinfo/expects", "Content-Length: 5", "Expect: 100-continue"))
    member.wait_seen(1)
    interim = client.some()
    client.send(b"hello")

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.whole_answer() == (200, b"5")
    assert member.seen[0].get("expect") == "100-continue"


def test_expectation_that_fails(client: RawClient) -> None:
    """A refusal before the body is passed on; the connection ends, as the body may follow."""
    client.send(request("PUT", "/viewinfo/expects/no", "Content-Length: 5", "Expect: 100-continue"))
    response = client.answer()

    assert (response.status, response.getheader("connection")) == (417, "close")
    assert client.is_closed()


def test_redirects_lead_through_the_prefix(client: RawClient) -> None:
    """A member does not know what was taken off its paths."""
    client.send(request("GET", "/viewinfo/redirect"))

    assert client.answer().getheader("location") == "/viewinfo/login?next=1"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("/login", "/app/login"),
        ("/app/login", "/app/login"),
        ("/application", "/app/application"),
        ("http://m:80/x?y", "/app/x?y"),
        ("http://m:80", "/app/"),
        ("http://m:8080/x", "http://m:8080/x"),
        ("//m:80/x", "//m:80/x"),
        ("https://else/x", "https://else/x"),
        ("x/y", "x/y"),
        ("", ""),
    ],
)
def test_where_a_redirect_leads(said: str, meant: str) -> None:
    """The member's own name and its paths are turned into ours, others stay."""
    assert location(said.encode(), b"m:80", b"/app") == meant.encode()


def test_pipelined_requests_are_answered_in_order(client: RawClient, member: PlainMember) -> None:
    """One after the other, whoever answers them."""
    client.send(
        request("GET", "/viewinfo/fine")
        + request("GET", "/viewinfo/page.txt")
        + request("POST", "/viewinfo/who", "Content-Length: 3")
        + b"abc"
        + request("GET", "/nothing")
    )
    answers = [client.whole_answer() for _ in range(4)]

    assert [status for status, _ in answers] == [200, 200, 200, 404]
    assert [body for _, body in answers[:3]] == [WHOLE, b"a file", str(member.port).encode()]


def test_file_comes_before_the_cluster(client: RawClient, member: PlainMember) -> None:
    """A physical file of the same prefix is served; for other methods the member is asked."""
    client.send(request("GET", "/viewinfo/page.txt"))

    assert client.whole_answer() == (200, b"a file")
    assert member.seen == []


# Members


def test_member_that_refuses_is_passed_over(server: Server, member: PlainMember) -> None:
    """As nothing was sent to it, even a POST goes to the next one."""
    for _ in range(6):
        assert server.post("/pair/fine", b"abc").body == WHOLE

    assert [each.size for each in member.seen] == [3] * 6


def test_member_that_dies_is_passed_over(
    server: Server, member: PlainMember, other: PlainMember
) -> None:
    """What is idempotent goes to the other one."""
    statuses = {server.get(f"/mortal/mortal/{member.port}").status for _ in range(6)}

    assert statuses == {200}


def test_post_is_not_repeated(server: Server, member: PlainMember, other: PlainMember) -> None:
    """Once it was sent it may have been done: the client is told instead."""
    statuses = [server.post(f"/fragile/mortal/{member.port}", b"a").status for _ in range(2)]
    targets = [each.target for each in member.seen + other.seen]

    assert sorted(statuses) == [200, 502]
    assert len(targets) == 2


def test_silent_member_is_a_504(server: Server, member: PlainMember) -> None:
    """After proxy_timeout; a slow client's body does not count."""
    assert server.get("/short/mute").status == 504
    assert member.seen[0].target == "/mute"


def test_request_timeout_is_for_handlers(client: RawClient, member: PlainMember) -> None:
    """A member has its own timeout, and a request that waits for it is not cut before."""
    client.send(request("GET", "/viewinfo/slow"))
    member.wait_seen(1)
    response = client.answer()
    member.open()

    assert response.read() == WHOLE


def test_cookie_brings_a_client_to_the_same_member(
    server: Server, member: PlainMember, other: PlainMember
) -> None:
    """The first answer sets it; with it all requests go to one member, and it is not set again."""
    first = server.get("/sticky/who")
    cookie = first.headers["set-cookie"]
    found = re.fullmatch(r"route=([0-9a-f]{16}); Path=/sticky; HttpOnly; SameSite=Lax", cookie)
    assert found is not None
    sent = {"Cookie": f"a=b; route={found[1]}"}
    later = [server.get("/sticky/who", sent) for _ in range(8)]

    assert {each.body for each in later} == {first.body}
    assert {each.headers["set-cookie"] for each in later} == {None}
    assert server.get("/sticky/who", {"Cookie": "route=0123"}).headers["set-cookie"]


def test_hash_goes_by_the_clients_address(server: Server) -> None:
    """Without cookies a client comes to the same member."""
    assert len({server.get("/hash/who").body for _ in range(8)}) == 1


# Bad input


@pytest.mark.parametrize(
    "path",
    [
        *("garbage", "two-lengths", "both", "no-number", "bad-name", "nul", "flood"),
        *("closes-header", "unasked-upgrade", "coded", "folded", "bare-lf"),
    ],
)
def test_malformed_answer_is_a_502(client: RawClient, path: str) -> None:
    """What a member sends must be HTTP; none of it reaches the client."""
    client.send(request("POST", f"/viewinfo/{path}", "Content-Length: 0"))
    response = client.answer()

    assert response.status == 502
    assert response.getheader("server") == "Skitai"


def test_answer_that_becomes_malformed_is_cut(client: RawClient, member: PlainMember) -> None:
    """It is too late for a page of ours; the client must not take it for whole."""
    client.send(request("POST", "/viewinfo/bad-chunk", "Content-Length: 0"))
    response = client.answer()
    first = response.read(2)
    member.open()

    assert (response.status, first) == (200, b"ok")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        b"Content-Length: +2\r\n\r\nab",
        b"Content-Length : 2\r\n\r\nab",
        b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nabXX0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"X: a\nY: b\r\nContent-Length: 0\r\n\r\n",
        b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"X Y: a\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_ambiguous_request_reaches_no_member(
    client: RawClient, member: PlainMember, sent: bytes
) -> None:
    """Smuggling shapes are 400, or 501, and the connection ends."""
    client.send(b"POST /viewinfo/fine HTTP/1.1\r\nHost: a\r\n" + sent)
    status, _ = client.whole_answer()

    assert status in (400, 501)
    assert client.is_closed()
    assert member.seen == [] and member.broken == 0


def test_body_that_becomes_malformed(client: RawClient, member: PlainMember) -> None:
    """The member sees a request that breaks off, never an end that is none."""
    client.send(request("POST", "/viewinfo/fine", "Transfer-Encoding: chunked"))
    client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    member.wait_begun()
    client.send(b"nonsense\r\n")
    status, _ = client.whole_answer()
    member.wait_broken()

    assert status == 400
    assert member.seen == []


def test_flood_of_header_fields_is_refused(client: RawClient, member: PlainMember) -> None:
    """As for any request: 431."""
    client.send(request("GET", "/viewinfo/fine", *["X-Flood: 1"] * 200))

    assert client.whole_answer()[0] == 431
    assert member.seen == []


def test_slow_body_is_cut(client: RawClient, member: PlainMember) -> None:
    """A client that stops in the middle gets 408, and the member sees it break off."""
    client.send(request("POST", "/viewinfo/fine", "Content-Length: 100000"), b"x" * 1000)
    status, _ = client.whole_answer()
    member.wait_broken()

    assert status == 408
    assert client.is_closed()


@pytest.mark.parametrize("is_chunked", [True, False])
def test_body_that_is_too_large(client: RawClient, member: PlainMember, is_chunked: bool) -> None:
    """More than max_request_size is 413, announced or not."""
    framing = "Transfer-Encoding: chunked" if is_chunked else "Content-Length: 1001"
    client.send(request("POST", "/limited/fine", framing))
    if is_chunked:
        client.send(*chunked([b"x" * 1001]))

    assert client.whole_answer()[0] == 413
    assert member.seen == []


def test_request_that_comes_round_is_stopped(server: Server) -> None:
    """A cluster that leads to ourselves is noticed by Via."""
    assert server.get("/loop/x").status == 508


def test_max_forwards(client: RawClient, member: PlainMember) -> None:
    """OPTIONS is counted down, and answered here at zero (RFC 9110 section 7.6.2)."""
    client.send(request("OPTIONS", "/viewinfo/fine", "Max-Forwards: 5"))
    first = client.whole_answer("OPTIONS")
    client.send(request("OPTIONS", "/viewinfo/fine", "Max-Forwards: 0"))
    second = client.whole_answer("OPTIONS")

    assert (first[0], second[0]) == (200, 204)
    assert [each.get("max-forwards") for each in member.seen] == ["4"]


def test_trace_is_not_passed_on(client: RawClient, member: PlainMember) -> None:
    """It would show what is added on the way."""
    client.send(request("TRACE", "/viewinfo/fine"))

    assert client.whole_answer()[0] == 405
    assert member.seen == []


# Ends


def test_client_that_leaves(server: Server, member: PlainMember) -> None:
    """The member's connection is closed, so that it can stop too; the log says 499."""
    with raw_client(server.port) as client:
        client.send(request("GET", "/viewinfo/mute"))
        member.wait_seen(1)
    member.wait_broken()

    server.wait_log("GET /viewinfo/mute HTTP/1.1 499")


def test_client_that_leaves_within_its_body(server: Server, member: PlainMember) -> None:
    """The member sees that it breaks off."""
    with raw_client(server.port) as client:
        client.send(request("PUT", "/viewinfo/fine", "Content-Length: 200000"), b"x" * 100000)
        member.wait_begun()
    member.wait_broken()

    assert member.seen == []


def test_log_names_the_member(server: Server, member: PlainMember) -> None:
    """Behind the line of any request: who was asked, and how long it took."""
    server.get("/viewinfo/fine/logged")
    log = server.wait_log("/viewinfo/fine/logged")
    (line,) = [each for each in log.splitlines() if "/viewinfo/fine/logged" in each]

    pattern = rf"GET \S+ HTTP/1.1 200 \d+ \S+ \d+\.\d \d+\.\d {member.node} \d+\.\d"
    assert re.search(pattern, line)


# Another protocol


def test_upgrade_that_is_refused(client: RawClient, member: PlainMember) -> None:
    """The member answers in HTTP, and what came behind the request is the next one."""
    wish = ("Connection: Upgrade", "Upgrade: echo")
    client.send(
        request("GET", "/viewinfo/refuses-upgrade", *wish) + request("GET", "/viewinfo/fine/next")
    )

    assert client.whole_answer() == (200, b"no")
    assert client.whole_answer() == (200, WHOLE)
    assert member.seen[0].get("upgrade") == "echo"
    assert member.seen[1].get("upgrade") is None


def test_bytes_right_behind_the_wish_go_into_the_tunnel(
    client: RawClient, member: PlainMember
) -> None:
    """A client need not wait for the 101."""
    wish = ("Connection: Upgrade", "Upgrade: echo")
    client.send(request("GET", "/viewinfo/fine", *wish) + b"early ")
    response = client.answer()
    client.send(b"late")

    assert response.status == 101
    assert response.getheader("upgrade") == "echo"
    assert client.receive(10) == b"early late"


def test_wish_with_a_body_is_passed_on_without_the_wish(
    client: RawClient, member: PlainMember
) -> None:
    """As Java's client asks for h2c with any request."""
    fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAM")
    client.send(request("POST", "/viewinfo/fine", *fields, "Content-Length: 3") + b"abc")
    client.send(request("GET", "/viewinfo/who"))

    assert client.whole_answer() == (200, WHOLE)
    assert client.whole_answer() == (200, str(member.port).encode())
    assert member.seen[0].size == 3
    assert member.seen[0].get("upgrade") is None
    assert member.seen[0].get("http2-settings") is None


@pytest.mark.parametrize("wish", ["h2c", "H2C", "echo, h2c"])
def test_wish_for_http_2_is_not_passed_on(
    client: RawClient, member: PlainMember, wish: str
) -> None:
    """By a connection that speaks it a client could ask the member for paths that are none of the
    cluster's.
    """
    fields = ("Connection: Upgrade", f"Upgrade: {wish}", "HTTP2-Settings: AAM")
    client.send(request("GET", "/viewinfo/fine", *fields) + request("GET", "/viewinfo/who"))

    assert client.whole_answer() == (200, WHOLE)
    assert client.whole_answer() == (200, str(member.port).encode())
    assert member.seen[0].get("upgrade") is None


def test_half_close_goes_through_the_tunnel(client: RawClient) -> None:
    """A client that sends no more still gets the rest, and then the end."""
    client.send(request("GET", "/viewinfo/fine", "Connection: Upgrade", "Upgrade: echo"))
    response = client.answer()
    client.send(b"last words")
    client.sock.shutdown(socket.SHUT_WR)

    assert fields_of(response)["upgrade"] == "echo"
    assert client.receive() == b"last words"
