"""Handlers that ask: a real server, its conf and app, and the members it asks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fault_server import (
    PATIENCE,
    Board,
    FaultServer,
    Seen,
    Talk,
    mute,
    refusing_port,
    response,
)
from operator_session import Home
from served import Server

APP = (Path(__file__).parent / "app_that_asks.py").read_text()
THREADS = 4
PARKED = 200
MOZART = ["Mozart 1", "Mozart 2"]

CLUSTERS = """
[@three]
members = {refusing}, {good}, {hanging}

[@half]
members = {refusing}, {good}

[@pair]
members = {good}, {other}

[@greeters]
members = {late}, {good_greeter}

[@one]
members = {good}
"""


def greet(board: Board, talk: Talk, request: Seen) -> bool:
    talk.send(response(b'{"jsonrpc": "2.0", "id": 1, "result": "hello"}', "application/json"))
    return True


def greet_late(board: Board, talk: Talk, request: Seen) -> bool:
    """When the gate is open."""
    board.wait_for(lambda: "greeting" in board.gates, "the gate's opening")
    talk.send(response(b'{"jsonrpc": "2.0", "id": 1, "result": "late hello"}', "application/json"))
    return True


@dataclass
class Town:
    """A server, and all whom its handlers ask."""

    server: Server
    good: FaultServer
    other: FaultServer
    hanging: FaultServer
    late: FaultServer
    refusing: str  # "host:port"

    def ask(self, path: str, **query: str) -> Any:
        """What a handler tells."""
        reply = self.server.get(f"{path}?{urlencode(query)}" if query else path)
        assert reply.status == 200, reply.text
        return reply.json()


@pytest.fixture(scope="module")
def town(shared_home: Home) -> Iterator[Town]:
    with ExitStack() as stack:
        good = stack.enter_context(FaultServer())
        other = stack.enter_context(FaultServer())
        greeter = stack.enter_context(FaultServer({"*": greet}))
        hanging = stack.enter_context(FaultServer({"*": mute}))
        late = stack.enter_context(FaultServer({"/rpc3": greet_late}))
        sock = stack.enter_context(refusing_port())
        refusing = f"127.0.0.1:{sock.getsockname()[1]}"
        sections = CLUSTERS.format(
            good=good.node,
            other=other.node,
            hanging=hanging.node,
            late=late.node,
            good_greeter=greeter.node,
            refusing=refusing,
        )
        server = shared_home.serve(
            "asking", apps={"webapp.py": APP}, sections=sections, threads=THREADS
        )
        yield Town(server, good, other, hanging, late, refusing)
        assert server.stop() == 0


# --- wget ---


def test_wget_gets(town: Town) -> None:
    """A page as text, when there are no params."""
    url = town.good.url("/text")
    assert town.ask("/wget", url=url) == [3, 200, "Käse", "", town.good.node]


def test_wget_posts_a_form(town: Town) -> None:
    """When there are params, in their encoding."""
    told = town.ask("/post", url=town.good.url("/echo"), name="Käse & Brot", cid="555")
    asked = json.loads(told[2])
    assert asked["method"] == "POST"
    assert asked["fields"]["content-type"] == "application/x-www-form-urlencoded"
    assert asked["body"] == "name=K%C3%A4se+%26+Brot&cid=555"


def test_wget_of_a_port_that_refuses(town: Town) -> None:
    """Status 0, with the reason in words, and nothing is raised."""
    told = town.ask("/wget", url=f"http://{town.refusing}/")
    msg = told.pop(3)
    assert re.fullmatch(
        rf"no connection to {town.refusing}: connection refused, after \d\.\d\d\d s", msg
    )
    assert told == [0, 0, "", town.refusing]


def test_calls_are_out_before_anybody_waits(town: Town) -> None:
    """Two that must meet at the server both come back, in whatever order they are taken."""
    told = town.ask("/later", url=town.good.url("/meet/2"))
    assert [each[:3] for each in told] == [[3, 200, "/meet/2"]] * 2


# --- rpc ---


@pytest.mark.parametrize("path", ["/rpc2", "/rpc3"])
def test_rpc_calls_methods_and_dotted_methods(town: Town, path: str) -> None:
    """By XML-RPC and JSON-RPC alike, several at once; a fault is status 2 with code and msg."""
    fault, found, total = town.ask("/rpc", url=town.good.url(path))
    assert fault == [2, 42, "", "the catalogue is closed", town.good.node]
    assert found[:3] == [3, 200, MOZART]
    assert total[:3] == [3, 200, 42]


def test_json_rpc_takes_named_arguments(town: Town) -> None:
    """As an object of params."""
    told = town.ask("/named", url=town.good.url("/rpc3"))
    assert told[:3] == [3, 200, ["Haydn 1", "Haydn 2"]]


# --- map ---


def test_map_over_three_members_of_which_one_answers(town: Town) -> None:
    """One refuses, one hangs until the deadline; the order is that of the conf."""
    refused, good, late = town.ask("/map", cluster="three/rpc2", timeout="1")
    assert (refused[0], refused[4]) == (0, town.refusing)
    assert good == [3, 200, MOZART, "", town.good.node]
    assert late == [1, 0, "", f"no answer from {town.hanging.node} within 1 s", town.hanging.node]


@pytest.mark.parametrize("cluster", ["pair/rpc2", "@pair/rpc3", "pair"])
def test_map_takes_its_format_from_the_path(town: Town, cluster: str) -> None:
    """XML-RPC for /rpc2, JSON-RPC for /rpc3 and for none."""
    told = town.ask("/map", cluster=cluster)
    assert [each[2] for each in told] == [MOZART, MOZART]
    assert [each[4] for each in told] == [town.good.node, town.other.node]


def test_a_filter_sees_every_result(town: Town) -> None:
    """Also of members that failed, and last of those that did not answer in time."""
    seen, data = town.ask("/filtered", cluster="three/rpc2", timeout="1")
    assert sorted(seen[:2]) == [0, 3]
    assert seen[2:] == [1]
    assert data == [[], ["Mozart 1"], []]


def test_a_filter_runs_while_others_are_still_out(town: Town) -> None:
    """The last member answers only when the filter has run on the first one's result."""
    told = town.ask("/opens", cluster="greeters", gate=town.late.url("/open/greeting"))
    assert [each[2] for each in told] == ["late hello", "hello"]


# --- lb ---


def test_lb_goes_on_to_another_member_when_one_refuses(town: Town) -> None:
    """Each time, whomever the balancer chose."""
    for _ in range(6):
        assert town.ask("/lb", cluster="half/rpc2") == [3, 200, 42, "", town.good.node]


# --- wrong use ---


def test_an_unknown_cluster_raises_with_the_known_ones(town: Town) -> None:
    """As soon as something is called."""
    names = "@three, @half, @pair, @greeters, @one"
    sentence = f"the conf has no HTTP cluster [@nowhere]; there are: {names}"
    assert town.ask("/wrong/unknown") == ["UnknownCluster", sentence]


def test_getwait_of_several_members_raises_without_waiting(town: Town) -> None:
    """What to write instead is in the sentence, and works. One member of the cluster hangs."""
    (kind, sentence), statuses = town.ask("/wrong/getwait-of-map", cluster="three/rpc2")
    assert kind == "WrongUse"
    assert sentence == "3 results are on their way: take them with getswait()"
    assert len(statuses) == 3


def test_getwait_before_any_call_raises(town: Town) -> None:
    """There is nothing to wait for."""
    kind, sentence = town.ask("/wrong/nothing-called", url=town.good.url("/rpc2"))
    assert kind == "WrongUse"
    assert sentence.startswith("nothing was called yet")


def test_what_a_filter_raises_is_raised_by_getwait(town: Town) -> None:
    """It is the app's own mistake: a 500, with the traceback in the log."""
    url = town.good.url("/text")
    assert town.server.get(f"/wrong/raising-filter?{urlencode({'url': url})}").status == 500
    assert "a mistake of the app's" in town.server.wait_log("in raising")


# --- async ---


def test_an_async_handler_awaits_a_handle(town: Town) -> None:
    """One server asked: one Result."""
    url = town.good.url("/text")
    assert town.ask("/async/await", url=url) == [3, 200, "Käse", "", town.good.node]


def test_an_async_handler_gives_up_at_its_deadline(town: Town) -> None:
    """`await s.wait(seconds)`, counted from sending as in getwait."""
    told = town.ask("/async/wait", url=town.hanging.url("/"), timeout="0.05")
    assert told[0] == 1


def test_an_async_handler_awaits_a_map(town: Town) -> None:
    """Results of all members, each seen by the filter."""
    told, seen = town.ask("/async/map", cluster="pair/rpc2")
    assert [each[2] for each in told] == [MOZART, MOZART]
    assert seen == [3, 3]


def test_await_of_a_map_gives_results_even_of_one_member(town: Town) -> None:
    """What it gives does not hang on how many members the conf has."""
    told, _ = town.ask("/async/map", cluster="one/rpc2")
    assert [each[2] for each in told] == [MOZART]


def test_getwait_in_an_async_handler_raises_and_does_not_stop_the_loop(town: Town) -> None:
    """The sentence says what to write; the call itself is still there to be awaited."""
    text, told = town.ask("/async/getwait", url=town.good.url("/text"))
    assert "await s" in text
    assert told[:3] == [3, 200, "Käse"]


# --- many ---


def test_waiting_handlers_give_their_slot_back(town: Town) -> None:
    """Two hundred wait at once with four threads: the server they ask answers when all are there.

    Would a waiting handler keep its run slot, the fifth would never be run.
    """
    query = urlencode({"url": town.good.url(f"/meet/{PARKED}")})
    answers = asyncio.run(ask_at_once(town.server.port, f"/parked?{query}", PARKED))
    assert set(answers) == {f"/meet/{PARKED}"}
    assert len(answers) == PARKED


async def ask_at_once(port: int, path: str, times: int) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*(ask_once(port, path) for _ in range(times)))


async def ask_once(port: int, path: str) -> str:
    """The body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 "), answer
    return body
