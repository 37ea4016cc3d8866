"""Handlers that wait for several calls, for some of them, or until their client leaves."""

from __future__ import annotations

import json
import socket
import xmlrpc.client
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fault_server import Board, FaultServer, Seen, Talk, mute, refusing_port, response
from operator_session import Home
from served import Server

APP = (Path(__file__).parent / "app_that_waits.py").read_text()
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

CLUSTERS = """
[@one]
members = {good}

[@pair]
members = {good}, {other}

[@three]
members = {good}, {hanging}, {other}

[@failing]
members = {refusing}, {hanging}
"""


@dataclass
class Town:
    """A server, and all whom its handlers ask."""

    server: Server
    good: FaultServer
    other: FaultServer
    hanging: FaultServer
    refusing: str  # "host:port"

    def ask(self, path: str, headers: dict[str, str] | None = None, **query: str) -> Any:
        """What a handler tells."""
        reply = self.server.get(f"{path}?{urlencode(query)}", headers)
        assert reply.status == 200, reply.text
        return reply.json()


def serve(home: Home, stack: ExitStack, **values: Any) -> Town:
    good, other = (stack.enter_context(FaultServer()) for _ in range(2))
    hanging = stack.enter_context(FaultServer({"*": mute}))
    sock = stack.enter_context(refusing_port())
    refusing = f"127.0.0.1:{sock.getsockname()[1]}"
    sections = CLUSTERS.format(
        good=good.node, other=other.node, hanging=hanging.node, refusing=refusing
    )
    server = home.serve("waiting", apps={"webapp.py": APP}, sections=sections, **values)
    return Town(server, good, other, hanging, refusing)


@pytest.fixture
def town(home: Home) -> Iterator[Town]:
    with ExitStack() as stack:
        town = serve(home, stack, threads=2)
        yield town
        assert town.server.stop() == 0
        assert "Traceback" not in town.server.log()


# --- several calls ---


def test_several_calls_on_a_handle_are_out_together(town: Town) -> None:
    """They meet at the server; the path and query of the cluster's address are sent as they are."""
    told = town.ask("/several", cluster="one/echo?a=b?c")
    assert [json.loads(each[2])["path"] for each in told] == [
        "/echo?a=b?c&call=1",
        "/echo?a=b?c&call=2",
    ]


@pytest.mark.parametrize("path", ["/gather", "/gather-async"])
def test_gathered_handles_are_waited_for_at_once(town: Town, path: str) -> None:
    """One page and two members."""
    told = town.ask(path, url=town.good.url("/path/a"), cluster="pair/path/b")
    assert [each[:3] for each in told] == [
        [3, 200, "/path/a"],
        [3, 200, "/path/b"],
        [3, 200, "/path/b"],
    ]


def test_the_first_answers_are_enough(town: Town) -> None:
    """The member that hangs is not waited for, and its connection is closed."""
    told = town.ask("/first", cluster="three/path", count="2")
    assert [each[0] for each in told] == [3, 1, 3]
    assert told[1][3].startswith(f"{town.hanging.node} was not waited for after ")
    assert told[1][3].endswith(" s: 2 normal results were enough")
    town.hanging.wait_seen(1)
    town.hanging.wait_talks(0)


def test_a_quorum_that_cannot_be_had_ends_the_wait(town: Town) -> None:
    """One of two members refuses, so there is no majority; the other one hangs."""
    told = town.ask("/quorum", cluster="failing/path")
    assert [each[0] for each in told] == [0, 1]
    assert told[1][3].endswith("which cannot be had any more")


@pytest.mark.parametrize("path", ["/as-completed", "/as-completed-async"])
def test_results_are_seen_as_they_land(home: Home, path: str) -> None:
    """The late member answers when the first one's result has been seen."""

    def late(board: Board, talk: Talk, request: Seen) -> bool:
        board.wait_for(lambda: "now" in board.gates, "the gate's opening")
        return quick(board, talk, request)

    def quick(board: Board, talk: Talk, request: Seen) -> bool:
        body = str(len(board.seen)).encode()
        talk.send(response(body))
        return True

    with FaultServer({"/page": late}) as slow, FaultServer({"/page": quick}) as fast:
        sections = f"[@both]\nmembers = {slow.node}, {fast.node}\n"
        server = home.serve("waiting", apps={"webapp.py": APP}, sections=sections)
        query = urlencode({"cluster": "both/page", "gate": slow.url("/open/now")})
        told = server.get(f"{path}?{query}").json()
        assert [each[4] for each in told] == [fast.node, slow.node]
        assert server.stop() == 0


# --- what is sent ---


def test_json_and_a_login_are_sent(town: Town) -> None:
    """As a POST."""
    asked = town.ask("/login", url=town.good.url("/echo"))
    assert asked["method"] == "POST"
    assert asked["fields"]["authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
    assert asked["fields"]["content-type"] == "application/json"
    assert json.loads(asked["body"]) == {"a": [1]}


def test_an_upload_goes_to_all_members(town: Town) -> None:
    """Each gets all of it."""
    told = town.ask("/upload", cluster="pair/echo")
    for each in told:
        asked = json.loads(each[2])
        assert asked["fields"]["content-type"].startswith("multipart/form-data; boundary=")
        assert int(asked["fields"]["content-length"]) == len(asked["body"])
        assert "x" * 200_000 in asked["body"]


def test_a_multicall_at_a_server_of_ours(town: Town, home: Home) -> None:
    """As XML-RPC and as a JSON-RPC batch, with a fault among the values."""
    app = """\
from skitai.errors import RpcFault
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/add")
def add(was, a, b):
    return a + b


@app.route("/catalog/fail")
def fail(was):
    raise RpcFault(42, "the catalogue is closed")


@app.route("/catalog/search")
def search(was, keyword):
    return [keyword]
"""
    member = home.serve("member", apps={"memberapp.py": app}, routes="/ = {app}/memberapp")
    for path in ("rpc2", "rpc3"):
        told = town.ask("/multicall", url=f"http://127.0.0.1:{member.port}/{path}")
        assert told == [3, 42, "the catalogue is closed", ["Mozart"]]
    assert member.stop() == 0


def test_the_id_and_the_trace_of_a_request_go_along(town: Town) -> None:
    """So that the logs of all servers can be put together."""
    headers = {"X-Request-ID": "abc-1", "traceparent": TRACE}
    told = town.ask("/patient", headers, url=town.good.url("/echo"))
    fields = json.loads(told[2])["fields"]
    assert fields["x-request-id"] == "abc-1"
    assert fields["traceparent"].startswith(TRACE[:36])
    assert fields["traceparent"] != TRACE
    assert "x-request-deadline" not in fields


# --- deadlines ---


def test_a_request_answers_before_its_own_deadline(home: Home) -> None:
    """With request_timeout no wait lasts longer, so the handler can say who was late."""
    with ExitStack() as stack:
        town = serve(home, stack, more="request_timeout = 1")
        told = town.ask("/patient", url=town.hanging.url("/"))
        assert told[0] == 1
        assert "which was all the time that the request had left" in told[3]
        fields = json.loads(town.ask("/patient", url=town.good.url("/echo"))[2])["fields"]
        assert 0 < int(fields["x-request-deadline"]) <= 950
        assert town.server.stop() == 0


@pytest.mark.parametrize("way", ["short", "short-async", "RPC2"])
def test_a_route_has_a_deadline_of_its_own(town: Town, way: str) -> None:
    """Without one in the conf; for both kinds of handlers, and those that are called by RPC."""

    def ask(url: str) -> Any:
        if way == "RPC2":
            with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{town.server.port}/RPC2") as rpc:
                return json.loads(str(rpc.short(url)))
        return town.ask(f"/{way}", url=url)

    told = ask(town.hanging.url("/"))
    assert told[0] == 1
    assert "which was all the time that the request had left" in told[3]
    fields = json.loads(ask(town.good.url("/echo"))[2])["fields"]
    assert 0 < int(fields["x-request-deadline"]) <= 1900


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_deadline_is_taken_over_from_a_trusted_server(home: Home, is_trusted: bool) -> None:
    """And passed on, shorter; that of anybody else means nothing."""
    with ExitStack() as stack:
        trusted = "127.0.0.1" if is_trusted else "192.0.2.1"
        town = serve(home, stack, more=f"trusted_proxies = {trusted}")
        asked = {"X-Request-Deadline": "20000"}
        told = town.ask("/patient", asked, url=town.good.url("/echo"))
        fields = json.loads(told[2])["fields"]
        if is_trusted:
            assert 0 < int(fields["x-request-deadline"]) <= 19000
        else:
            assert "x-request-deadline" not in fields
        forwarded = {**asked, "X-Forwarded-For": "192.0.2.7"}
        told = town.ask("/patient", forwarded, url=town.good.url("/echo"))
        assert "x-request-deadline" not in json.loads(told[2])["fields"]
        assert town.server.stop() == 0


# --- clients that leave ---


@pytest.mark.parametrize("path", ["/left", "/left-async", "/left-stream"])
def test_a_client_that_leaves_ends_the_wait(town: Town, path: str) -> None:
    """The call is given up, the handler is told, and may ask again to clean up."""
    query = urlencode({"url": town.hanging.url("/"), "cleanup": town.good.url("/path")})
    with town.server.raw() as client:
        client.sendall(f"GET {path}?{query} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        town.hanging.wait_seen(1)
    town.hanging.wait_talks(0)
    town.good.wait_seen(1)
    assert town.server.get("/page").text == "page"
    assert "ERROR" not in town.server.log()


def test_a_client_that_leaves_ends_the_wait_for_several_calls(town: Town) -> None:
    """With a filter, when two of three members of each have answered."""
    query = urlencode({"cluster": "three/path", "cleanup": town.other.url("/path/cleanup")})
    with town.server.raw() as client:
        client.sendall(f"GET /left-map?{query} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        town.hanging.wait_seen(2)
        town.good.wait_seen(2)
        town.other.wait_seen(2)
    town.hanging.wait_talks(0)
    town.other.wait_seen(3)
    assert town.other.paths_seen[-1] == "/path/cleanup"


def test_a_client_that_sends_no_more_counts_as_one_that_has_left(town: Town) -> None:
    """They cannot be told apart. Should it be there after all, it is told so."""
    query = urlencode({"url": town.hanging.url("/")})
    with town.server.raw() as client:
        client.sendall(f"GET /patient?{query} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        town.hanging.wait_seen(1)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 499 ")
    town.server.wait_log(" HTTP/1.1 499 ")
