"""Redirects on the way of a call: who is asked in the end, and what is told of those that fail."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from asking import in_thread, on_uvloop
from fault_server import Behaviour, Board, FaultServer, Seen, Talk, refusing_port, response
from fetching import Ground, fetching, get, one, post

from skitai.engine import Call, Members, Reach
from skitai.results import Status
from skitaid.workers.settings import HttpCluster, Member

CREDENTIALS = b"Authorization: Basic eDp5\r\nCookie: a=1\r\nX-Mine: 1\r\n"


def to(location: str, status: str = "302 Found") -> Behaviour:
    """Redirects there, whatever was asked."""

    def behave(board: Board, talk: Talk, request: Seen) -> bool:
        talk.send(response(b"gone", status=status, more=f"Location: {location}\r\n"))
        return True

    return behave


def named(board: Board, talk: Talk, request: Seen) -> bool:
    """/to/CODE/LOCATION, percent-encoded, redirects there."""
    _, _, code, location = request.path.split("/", 3)
    return to(unquote(location), f"{code} Moved")(board, talk, request)


# --- not followed ---


@on_uvloop
async def test_a_redirect_is_an_answer_if_nobody_wants_it_followed(faults: FaultServer) -> None:
    """As any other answer, with its Location."""
    with FaultServer({"*": to("/elsewhere")}) as server, fetching() as ground:
        reply = await ground.fetch(server, "/")
        assert (reply.status, reply.code, reply.body) == (3, 302, b"gone")
        assert (b"Location", b"/elsewhere") in reply.fields
        assert server.paths_seen == ["/"]


@on_uvloop
async def test_a_loop_is_status_2() -> None:
    """After as many redirects as were allowed; the sentence says whose and where to."""
    with FaultServer({"*": to("/round")}) as server, fetching() as ground:
        reply = await ground.fetch(server, get("/", follow=3))
        assert (reply.status, reply.code) == (Status.FAILED, 302)
        said = f"redirects to http://{server.node}/round, after 3 redirects already"
        assert reply.msg == f"{server.node} {said}"
        assert server.paths_seen == ["/", "/round", "/round", "/round"]
        assert await ground.at_rest(server) == [(1, 1)]


@on_uvloop
async def test_a_location_that_cannot_be_asked_is_status_2() -> None:
    """The connection is as good as after any other answer."""
    with FaultServer({"*": to("ftp://files/")}) as server, fetching() as ground:
        reply = await ground.fetch(server, get("/", follow=3))
        assert reply.status is Status.FAILED
        assert reply.msg.startswith(f"{server.node} redirects to what cannot be asked: ")
        assert await ground.at_rest(server) == [(1, 1)]


@on_uvloop
async def test_a_redirect_to_a_server_that_refuses_is_status_0() -> None:
    """The sentence names that server, and so does the result."""
    with refusing_port() as sock:
        there = f"127.0.0.1:{sock.getsockname()[1]}"
        with FaultServer({"*": to(f"http://{there}/")}) as server, fetching() as ground:
            reply = await ground.fetch(server, get("/", follow=1))
            assert (reply.status, reply.node) == (Status.NOT_CONNECTED, there)
            assert reply.msg.startswith(f"no connection to {there}: connection refused")


@on_uvloop
async def test_a_call_that_is_cancelled_on_its_way_asks_nobody_any_more(
    faults: FaultServer,
) -> None:
    """Nothing lands, and the connection to where it led is closed."""
    with FaultServer({"*": to(faults.url("/mute"))}) as server, fetching() as ground:
        call = ground.start(server, get("/", follow=1))
        await in_thread(faults.wait_seen, 1)
        assert call.nodes == (faults.node,)
        ground.fanout.cancel(call)
        assert await ground.at_rest(server, faults) == [(1, 1), (0, 0)]
        await in_thread(faults.wait_talks, 0)
        assert call.replies == []


@on_uvloop
async def test_a_call_that_nobody_waits_for_is_swept_up_on_its_way(faults: FaultServer) -> None:
    """The sentence names who it led to."""
    with FaultServer({"*": to(faults.url("/mute"))}) as server, fetching() as ground:
        call = ground.start(server, get("/", follow=1))
        await in_thread(faults.wait_seen, 1)
        call.expires = 0.0
        await ground.landed(call)
        (reply,) = call.replies
        assert (reply.status, reply.node) == (Status.TIMEOUT, faults.node)
        assert reply.msg.startswith(f"{faults.node} was given up after ")
        assert await ground.at_rest(server, faults) == [(1, 1), (0, 0)]


# --- followed ---


async def led(ground: Ground, call: Call) -> dict[str, str]:
    """The header fields that a server saw at the end, from its /echo."""
    await ground.landed(call)
    (reply,) = call.replies
    assert (reply.status, reply.code) == (3, 200)
    fields: dict[str, str] = json.loads(reply.body)["fields"]
    return fields


@on_uvloop
async def test_the_answer_is_that_of_whom_it_led_to(faults: FaultServer) -> None:
    """Over several servers; each is left with a connection for the next call."""
    with (
        FaultServer({"*": to(faults.url("/path?at=last"))}) as second,
        FaultServer({"*": to(second.url("/"))}) as first,
        fetching() as ground,
    ):
        reply = await ground.fetch(first, get("/", follow=2))
        assert (reply.status, reply.code, reply.body) == (3, 200, b"/path?at=last")
        assert (reply.node, reply.msg) == (faults.node, "")
        assert await ground.at_rest(first, second, faults) == [(1, 1)] * 3


@on_uvloop
async def test_the_same_server_is_asked_on_the_same_connection() -> None:
    """A relative Location, or its own name."""
    with FaultServer({"/to": named}) as server, fetching() as ground:
        for location in ("%2Fecho", f"http:%2F%2F{server.node}%2Fecho"):
            call = ground.start(server, get(f"/to/301/{location}", CREDENTIALS, follow=1))
            fields = await led(ground, call)
            assert (fields["authorization"], fields["cookie"]) == ("Basic eDp5", "a=1")
        assert server.board.accepted == 1


@on_uvloop
async def test_credentials_are_not_carried_to_another_server(faults: FaultServer) -> None:
    """Not even when it sends back to the first."""
    with FaultServer({"/a": to(faults.url("/b"))}) as server, fetching() as ground:
        faults._paths["/b"] = to(server.url("/echo"))
        fields = await led(ground, ground.start(server, get("/a", CREDENTIALS, follow=2)))
        assert fields == {"host": server.node, "x-mine": "1"}


@pytest.mark.parametrize(
    ("code", "method", "body"), [(302, "GET", ""), (303, "GET", ""), (307, "POST", "a=1")]
)
@on_uvloop
async def test_a_form_is_sent_again_or_not_as_the_code_says(
    code: int, method: str, body: str
) -> None:
    """RFC 9110 section 15.4."""
    with FaultServer({"/to": named}) as server, fetching() as ground:
        ask = post(f"/to/{code}/%2Fecho", b"a=1", b"Content-Type: text/plain\r\n", follow=1)
        reply = await ground.fetch(server, ask)
        seen = json.loads(reply.body)
        assert (seen["method"], seen["body"]) == (method, body)
        assert ("content-type" in seen["fields"]) == bool(body)


@on_uvloop
async def test_each_member_of_a_map_is_followed_for_itself(faults: FaultServer) -> None:
    """One leads elsewhere, one to itself, one not at all."""
    with (
        FaultServer({"/path": to(faults.url("/path?away"))}) as away,
        FaultServer({"/path": to("/text")}) as home,
    ):
        members = tuple(Member("127.0.0.1", each.port) for each in (away, faults, home))
        cluster = HttpCluster("all", members, tls=False, balance="p2c", where="test.conf:1")
        with fetching(cluster) as ground:
            ask = get("/path", follow=1)
            replies = await ground.fetch_all(Members("all", Reach.ALL), ask)
            assert [reply.status for reply in replies] == [3, 3, 3]
            assert [reply.node for reply in replies] == [faults.node, faults.node, home.node]
            assert [reply.body[:6] for reply in replies] == [b"/path?", b"/path", b"K\xe4se"]
            reply = await ground.fetch(one("all"), ask)
            assert reply.code == 200
