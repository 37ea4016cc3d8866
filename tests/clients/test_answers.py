"""What servers answer, and what becomes of their connections."""

from __future__ import annotations

import asyncio

import pytest
from asking import asking, exchange, in_thread, on_uvloop, result_of, until
from fault_server import Board, FaultServer, Seen, Talk, response

from skitai import asks
from skitai.engine import Ask
from skitai.results import Status
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.keeper import ConnectionKeeper

KEPT = [(1, 1)]  # (size, idle): one connection, and it can be used again
NONE_LEFT = [(0, 0)]


@on_uvloop
async def test_text_is_text_in_its_charset(faults: FaultServer) -> None:
    """And the result says who answered, with which status, and how long it took."""
    with asking(faults) as ground:
        result = await ground.get("/text")
        assert result.status == 3
        assert result.data == "Käse"
        assert (result.code, result.node) == (200, faults.node)
        assert 0 < result.elapsed < 30
        assert result.get_header("Content-Type") == "text/plain; charset=ISO-8859-1"


@on_uvloop
async def test_what_is_no_text_is_bytes(faults: FaultServer) -> None:
    """An image is not decoded."""
    with asking(faults) as ground:
        assert (await ground.get("/bytes")).data == b"\x89PNG\xff"


@on_uvloop
async def test_an_error_status_is_an_answer(faults: FaultServer) -> None:
    """The member lives and has said something: status 3, with its code."""
    with asking(faults) as ground:
        result = await ground.get("/broken")
        assert (result.status, result.code, result.data) == (3, 500, "<h1>no")
        assert await ground.at_rest() == KEPT


@on_uvloop
async def test_a_request_says_what_rfc_9112_wants(faults: FaultServer) -> None:
    """Host with the port, Content-Length with a body, no body with GET."""
    with asking(faults) as ground:
        await ground.post("/echo", b"hello")
        await ground.get("/echo?a=1")
    post, get = faults.seen
    assert (post.method, post.path, post.body) == ("POST", "/echo", b"hello")
    assert post.fields["host"] == faults.node
    assert post.fields["content-length"] == "5"
    assert (get.method, get.path, get.body) == ("GET", "/echo?a=1", b"")
    assert "content-length" not in get.fields


@pytest.mark.parametrize(
    ("path", "code", "data"),
    [
        ("/path", 200, "/path"),
        ("/chunked", 200, b"foobar"),
        ("/no-content", 204, b""),
        ("/not-modified", 304, b""),
        ("/interim", 200, "at last"),
        ("/head", 200, "a body"),
    ],
)
@on_uvloop
async def test_a_framed_answer_keeps_the_connection(
    faults: FaultServer, path: str, code: int, data: str | bytes
) -> None:
    """Two requests after each other use one connection, and get their own answers."""
    with asking(faults) as ground:
        for _ in range(2):
            result = await ground.get(path)
            assert (result.status, result.code, result.data) == (3, code, data)
        assert (await ground.get("/path")).data == "/path"
        assert await ground.at_rest() == KEPT
    assert faults.board.accepted == 1


@pytest.mark.parametrize(
    ("path", "code", "data"),
    [
        ("/until-close", 200, "to the end"),
        ("/old", 200, b"old"),
        ("/says-close", 200, "bye"),
        ("/no-content-close", 204, b""),
    ],
)
@on_uvloop
async def test_an_answer_that_ends_the_connection_leaves_the_book(
    faults: FaultServer, path: str, code: int, data: str | bytes
) -> None:
    """Whether the end is the framing, or the server only says that it will close."""
    with asking(faults) as ground:
        result = await ground.get(path)
        assert (result.status, result.code, result.data) == (3, code, data)
        assert await ground.at_rest() == NONE_LEFT
        await in_thread(faults.wait_talks, 0)


@on_uvloop
async def test_trailers_are_no_header_fields(faults: FaultServer) -> None:
    """RFC 9110 section 6.5.1: they are not to be mixed."""
    with asking(faults) as ground:
        result = await ground.get("/chunked")
        assert result.get_header("x-trailer") is None


@on_uvloop
async def test_interim_answers_leave_no_trace(faults: FaultServer) -> None:
    """Neither their code nor their fields are those of the answer."""
    with asking(faults) as ground:
        result = await ground.get("/interim")
        assert result.code == 200
        assert result.get_header("link") is None


@on_uvloop
async def test_head_has_a_length_and_no_body(faults: FaultServer) -> None:
    """The answer is complete with its header; the connection serves the next request."""
    head = Ask(b"HEAD /head HTTP/1.1\r\n", b"", b"", idempotent=True, expects_body=False)
    with asking(faults) as ground:
        for _ in range(2):
            result = await ground.ask(head)
            assert (result.code, result.data, result.get_header("content-length")) == (200, "", "6")
        assert (await ground.get("/head")).data == "a body"
        assert await ground.at_rest() == KEPT
    assert faults.board.accepted == 1


@on_uvloop
async def test_a_connection_is_not_used_when_the_server_is_about_to_close_it(
    faults: FaultServer,
) -> None:
    """`Keep-Alive: timeout=1` leaves no safe time: the next request takes another one."""
    with asking(faults) as ground:
        assert (await ground.get("/says-soon")).data == "quick"
        assert (await ground.get("/path")).data == "/path"
        assert [each.talk for each in faults.seen] == [1, 2]
        assert await ground.at_rest() == KEPT


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/two-answers", "asked for"),
        ("/empty-answer", "asked for"),
        ("/half-an-answer", "asked for"),
        ("/too-long", "four"),
        ("/answer-and-switch", "asked for"),
    ],
)
@on_uvloop
async def test_surplus_never_answers_the_next_request(
    faults: FaultServer, path: str, data: str
) -> None:
    """The answer counts; what came behind it ends the connection, whoever waits for it."""
    with asking(faults) as ground:
        ground.keeper.pool.cap = 1
        first = ground.send(asks.get(path.encode()))
        waiting = ground.send(asks.get(b"/path"))  # for the same connection
        result = await result_of(first)
        assert (result.status, result.data) == (3, data)
        assert str(await waiting) == "/path"
        assert [each.talk for each in faults.seen] == [1, 2]
        assert await ground.at_rest() == KEPT


@on_uvloop
async def test_a_body_after_head_never_answers_the_next_request(faults: FaultServer) -> None:
    """A server that sends one against the rules cannot smuggle an answer in."""
    head = Ask(b"HEAD /body-of-head HTTP/1.1\r\n", b"", b"", idempotent=True, expects_body=False)
    with asking(faults) as ground:
        ground.keeper.pool.cap = 1
        first, waiting = ground.send(head), ground.send(asks.get(b"/path"))
        assert (await result_of(first)).code == 200
        assert str(await waiting) == "/path"
        assert [each.talk for each in faults.seen] == [1, 2]


@on_uvloop
async def test_unasked_bytes_end_an_idle_connection(faults: FaultServer) -> None:
    """They leave the book at once and are nobody's answer."""
    with asking(faults) as ground:
        await ground.get("/path")
        assert await ground.at_rest() == KEPT
        faults.say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await in_thread(faults.wait_talks, 0)
        assert await ground.at_rest() == NONE_LEFT
        assert (await ground.get("/path")).code == 200


@on_uvloop
async def test_an_idle_connection_that_the_server_closes_leaves_the_book_at_once(
    faults: FaultServer,
) -> None:
    """The next request opens a new one, and nothing fails: not even a POST."""
    with asking(faults) as ground:
        await ground.get("/path")
        faults.hang_up()
        await until(lambda: ground.keeper.pool.size == 0)
        result = await ground.post("/echo", b"once")
        assert result.status is Status.NORMAL
    assert [(each.talk, each.method) for each in faults.seen] == [(1, "GET"), (2, "POST")]


@on_uvloop
async def test_a_member_may_have_an_ipv6_address() -> None:
    """It is in brackets where it is named."""
    with FaultServer(host="::1") as server:
        keeper = ConnectionKeeper(asyncio.get_running_loop(), Address("::1", server.port), 1)
        outcome = await exchange(keeper, asks.get(b"/text"))
        assert (outcome.status, outcome.code, keeper.node) == (Status.NORMAL, 200, server.node)
        assert server.seen[0].fields["host"] == f"[::1]:{server.port}"
        keeper.close()


def with_cookie(board: Board, talk: Talk, request: Seen) -> bool:
    talk.send(response(b"ok", more="Set-Cookie: session=secret; Path=/\r\n"))
    return True


@on_uvloop
async def test_cookies_are_the_apps_business() -> None:
    """What a member sets for one call is not sent with the next, unless an app says so."""
    with FaultServer({"*": with_cookie}) as server, asking(server) as ground:
        result = await ground.get("/")
        assert result.get_header("set-cookie") == "session=secret; Path=/"
        await ground.get("/")
        mine = asks.given({"Cookie": "session=mine"}, None)
        await ground.ask(asks.http(b"/", given=mine))
        assert [seen.fields.get("cookie") for seen in server.seen] == [None, None, "session=mine"]
        assert server.board.accepted == 1  # though it was the same connection
