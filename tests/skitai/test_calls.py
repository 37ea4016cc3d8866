"""Call handles: what they send, when they wait, and what they make of replies."""

from __future__ import annotations

import asyncio
import json
import xmlrpc.client
from types import SimpleNamespace
from typing import Any, cast

import pytest
from imagined_engine import ImaginedEngine, reply
from small_worker import request

from skitai.calls import HttpHandle, PathHandle, RpcHandle
from skitai.engine import Members, Origin, Reach
from skitai.errors import RpcFault, UnknownCluster, WrongUse
from skitai.handle import DEFAULT_TIMEOUT
from skitai.results import Result, Results, Status
from skitai.was import WAS


def was(engine: ImaginedEngine) -> WAS:
    """`was` as handlers have it, as far as it asks others."""
    shared = SimpleNamespace(engine=engine, request_timeout=0.0, starts_traces=False)
    found = SimpleNamespace(app=None)
    return WAS(cast(Any, shared), cast(Any, found), request())


def xml(value: Any, member: int = 0) -> Any:
    body = xmlrpc.client.dumps((value,), methodresponse=True).encode()
    return reply(body, "text/xml", member=member)


# --- what is sent ---


def test_wget_sends_at_once() -> None:
    """A GET, without a body; the server and the target are those of the URL."""
    engine = ImaginedEngine()
    assert isinstance(was(engine).wget("http://example.com:8080/a?b=1#c"), HttpHandle)
    (call,) = engine.sent
    assert call.target == Origin("example.com", 8080, tls=False)
    assert call.ask.start == b"GET /a?b=1 HTTP/1.1\r\n"
    assert call.ask.body == b""
    assert call.ask.idempotent


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"a": "1 2", "b": ["x", "y"], "c": 3}, b"a=1+2&b=x&b=y&c=3"),
        ({}, b""),
        ("a=%20&ä", "a=%20&ä".encode()),
        (b"\x00\xff", b"\x00\xff"),
    ],
)
def test_wget_with_params_posts_them(params: Any, body: bytes) -> None:
    """A mapping as a form, text and bytes as they are; a POST must not be repeated."""
    engine = ImaginedEngine()
    was(engine).wget("http://example.com", params)
    ask = engine.sent[0].ask
    assert ask.start == b"POST / HTTP/1.1\r\n"
    assert b"Content-Type: application/x-www-form-urlencoded\r\n" in ask.fields
    assert b"Content-Length: %d\r\n" % len(body) in ask.fields
    assert ask.body == body
    assert not ask.idempotent


def test_params_of_another_type_are_refused() -> None:
    """The sentence says which types there are."""
    with pytest.raises(WrongUse, match="params is a list; give a mapping for a form, or as the"):
        was(ImaginedEngine()).wget("http://example.com", cast(Any, [1]))


def test_rpc_sends_when_a_method_is_called() -> None:
    """XML-RPC to the very path of the URL; a dotted name is one name."""
    engine = ImaginedEngine()
    s = was(engine).rpc("https://example.com/rpc2")
    assert engine.sent == []
    assert s.catalog.search("Mozart", 3) is s
    (call,) = engine.sent
    assert call.target == Origin("example.com", 443, tls=True)
    assert call.ask.start == b"POST /rpc2 HTTP/1.1\r\n"
    assert b"Content-Type: text/xml\r\n" in call.ask.fields
    assert xmlrpc.client.loads(call.ask.body) == (("Mozart", 3), "catalog.search")


@pytest.mark.parametrize(
    ("args", "kwargs", "params"), [((1, "a"), {}, [1, "a"]), ((), {"a": 1}, {"a": 1}), ((), {}, [])]
)
def test_a_path_that_ends_in_rpc3_is_json_rpc(
    args: tuple[Any, ...], kwargs: dict[str, Any], params: Any
) -> None:
    """With positional or named arguments."""
    engine = ImaginedEngine()
    was(engine).rpc("http://example.com/api/rpc3").sum(*args, **kwargs)
    ask = engine.sent[0].ask
    assert b"Content-Type: application/json-rpc\r\n" in ask.fields
    sent = json.loads(ask.body)
    assert (sent["jsonrpc"], sent["method"], sent["params"]) == ("2.0", "sum", params)


@pytest.mark.parametrize(
    ("address", "path", "is_json"),
    [
        ("all", b"/rpc3", True),
        ("@all", b"/rpc3", True),
        ("all/rpc2", b"/rpc2", False),
        ("@all/RPC3", b"/RPC3", True),
        ("all/some where/rpc2?a=1", b"/some%20where/rpc2?a=1", False),
        ("all?a=1", b"/rpc3?a=1", True),
    ],
)
def test_a_cluster_address_says_path_and_format(address: str, path: bytes, is_json: bool) -> None:
    """Of map and of lb; map asks all, lb one."""
    engine = ImaginedEngine()
    was(engine).map(address).hello()
    was(engine).lb(address).hello()
    assert [call.target for call in engine.sent] == [
        Members("all", Reach.ALL),
        Members("all", Reach.ONE),
    ]
    for call in engine.sent:
        assert call.ask.start == b"POST " + path + b" HTTP/1.1\r\n"
        assert call.ask.body.startswith(b"{") == is_json


def test_arguments_that_a_format_does_not_have_are_refused() -> None:
    """Before anything is sent."""
    engine = ImaginedEngine()
    with pytest.raises(WrongUse, match="XML-RPC has no named arguments, but search was given some"):
        was(engine).rpc("http://example.com/rpc2").search(keyword="x")
    with pytest.raises(WrongUse, match="search was given both"):
        was(engine).rpc("http://example.com/rpc3").search("x", limit=1)
    with pytest.raises(TypeError):
        was(engine).rpc("http://example.com/rpc2").search(object())
    with pytest.raises(TypeError):
        was(engine).rpc("http://example.com/rpc3").search(object())
    assert engine.sent == []


def test_a_call_that_was_refused_can_be_made_again() -> None:
    """The handle was not used by it."""
    engine = ImaginedEngine()
    s = was(engine).rpc("http://example.com/rpc2")
    with pytest.raises(WrongUse):
        s.search(keyword="x")
    s.search("x")
    assert len(engine.sent) == 1


def test_private_names_are_no_methods() -> None:
    """So that copying or debugging a handle sends nothing."""
    s = was(ImaginedEngine()).rpc("http://example.com/rpc2")
    with pytest.raises(AttributeError):
        s.__deepcopy__  # noqa: B018
    assert isinstance(s, RpcHandle)


def test_an_unknown_cluster_raises_when_it_is_called() -> None:
    """As the engine says it."""
    with pytest.raises(UnknownCluster):
        was(ImaginedEngine()).lb("nobody/rpc2").search(1)


# --- pages of clusters ---


@pytest.mark.parametrize("method", ["get", "head", "delete", "options"])
def test_a_path_that_is_no_rpc_is_asked_by_http(method: str) -> None:
    """Nothing is sent before a method is called; params are the query then."""
    engine = ImaginedEngine()
    s = was(engine).lb("all/page?a=1")
    assert isinstance(s, PathHandle)
    assert engine.sent == []
    getattr(s, method)({"b": "2 3"})
    (call,) = engine.sent
    assert call.target == Members("all", Reach.ONE)
    assert call.ask.start == b"%b /page?a=1&b=2+3 HTTP/1.1\r\n" % method.upper().encode()
    assert (call.ask.body, call.ask.idempotent) == (b"", True)
    assert call.ask.expects_body == (method != "head")


@pytest.mark.parametrize(("method", "is_idempotent"), [("post", 0), ("put", 1), ("patch", 0)])
def test_params_of_a_method_with_a_body_are_a_form(method: str, is_idempotent: int) -> None:
    """A PUT may be repeated."""
    engine = ImaginedEngine()
    getattr(was(engine).map("all/page"), method)({"b": "2"})
    ask = engine.sent[0].ask
    assert (ask.body, ask.idempotent) == (b"b=2", bool(is_idempotent))
    assert b"Content-Type: application/x-www-form-urlencoded\r\n" in ask.fields


@pytest.mark.parametrize(
    ("given", "start"),
    [
        ({"params": {"a": "1"}}, b"POST /page HTTP/1.1\r\n"),
        ({"json": [1]}, b"POST /page HTTP/1.1\r\n"),
        ({"method": "GET"}, b"GET /page HTTP/1.1\r\n"),
        ({"method": "get", "params": {"a": "1"}}, b"GET /page?a=1 HTTP/1.1\r\n"),
    ],
)
def test_what_says_all_of_a_request_sends_it(given: dict[str, Any], start: bytes) -> None:
    """As wget does."""
    engine = ImaginedEngine()
    was(engine).map("all/page", **given)
    assert [call.ask.start for call in engine.sent] == [start]


def test_a_remote_procedure_takes_no_params() -> None:
    """They are arguments of its methods."""
    with pytest.raises(WrongUse, match='"all/rpc2" is called: '):
        was(ImaginedEngine()).lb("all/rpc2", {"a": 1})


def test_a_hedge_and_a_key_are_the_engines() -> None:
    """A key is text or bytes."""
    engine = ImaginedEngine()
    was(engine).lb("all", hedge=0.05, key="ä").hello()
    assert engine.sent[0].target == Members("all", Reach.ONE, 0.05, "ä".encode())


# --- multicall ---


def test_a_multicall_is_one_xml_rpc_request() -> None:
    """Its result is a list with a value or a fault for each call."""
    answers = [[3], {"faultCode": 42, "faultString": "closed"}, [["a"]]]
    engine = ImaginedEngine(lands=[[xml(answers)]])
    s = was(engine).rpc("http://example.com/rpc2")
    s.multicall(("add", 1, 2), ("fail",), ("search", "x"))
    params, method = xmlrpc.client.loads(engine.sent[0].ask.body)
    assert method == "system.multicall"
    assert params[0][0] == {"methodName": "add", "params": [1, 2]}
    three, fault, found = s.getwait().data
    assert (three, found) == (3, ["a"])
    assert isinstance(fault, RpcFault)
    assert (fault.code, fault.message) == (42, "closed")


def test_a_multicall_is_a_json_rpc_batch() -> None:
    """Its answers may come in any order."""
    body = json.dumps(
        [
            {"jsonrpc": "2.0", "id": 2, "error": {"code": 42, "message": "closed"}},
            {"jsonrpc": "2.0", "id": 1, "result": 3},
        ]
    )
    engine = ImaginedEngine(lands=[[reply(body.encode(), "application/json")]])
    s = was(engine).rpc("http://example.com/rpc3")
    s.multicall(("add", 1, 2), ("fail",))
    sent = json.loads(engine.sent[0].ask.body)
    assert [(each["id"], each["method"], each["params"]) for each in sent] == [
        (1, "add", [1, 2]),
        (2, "fail", []),
    ]
    three, fault = s.getwait().data
    assert (three, fault.code) == (3, 42)


@pytest.mark.parametrize(
    ("body", "status", "msg"),
    [
        (b'[{"id": 1, "result": 3}]', 2, "JSON-RPC: the batch of 2 has no answer to call 2"),
        (b'{"id": null, "error": {"code": -32600, "message": "no batches"}}', 2, "no batches"),
        (b'{"id": 1, "result": 3}', 2, "JSON-RPC: one response to a batch"),
        (b"nonsense", 2, "JSON-RPC: not JSON"),
    ],
)
def test_a_batch_that_is_not_answered_has_failed(body: bytes, status: int, msg: str) -> None:
    """With what is wrong."""
    engine = ImaginedEngine(lands=[[reply(body, "application/json")]])
    s = was(engine).rpc("http://example.com/rpc3")
    s.multicall(("a",), ("b",))
    result = s.getwait()
    assert result.status == status
    assert result.msg.startswith(msg)


@pytest.mark.parametrize("value", [3, [3], [[1, 2]], [{"faultCode": 1}]])
def test_a_multicall_answered_by_something_else_has_failed(value: Any) -> None:
    """No array, or an array of what it cannot hold."""
    engine = ImaginedEngine(lands=[[xml(value)]])
    s = was(engine).rpc("http://example.com/rpc2")
    s.multicall(("a",))
    assert s.getwait().msg.startswith("XML-RPC: ")


def test_a_multicall_of_nothing_is_refused() -> None:
    """Before anything is sent."""
    with pytest.raises(WrongUse, match="multicall without calls"):
        was(ImaginedEngine()).rpc("http://example.com/rpc2").multicall()


# --- several calls ---


def test_several_calls_on_a_handle_have_their_results_in_order() -> None:
    """Of a map, of the first call all members, then of the second; waited for at once."""
    lands = [[xml("b1", 3), xml("a0", 0), xml("b0", 2), xml("a1", 1)]]
    engine = ImaginedEngine(2, lands)
    s = was(engine).map("all/rpc2")
    s.a(1)
    s.b(2)
    assert [result.data for result in s.getswait()] == ["a0", "a1", "b0", "b1"]
    assert engine.wanted == [4]
    assert [call.bundle for call in engine.sent] == [None, None]


def test_several_calls_count_their_timeout_from_the_last() -> None:
    """So that each has its whole time."""
    engine = ImaginedEngine()
    s = was(engine).rpc("http://example.com/rpc2")
    s.a()
    s.b()
    s.getswait(2)
    assert engine.deadlines == [engine.sent[1].sent_at + 2]
    assert engine.cancelled == engine.sent


def test_getwait_of_several_calls_raises() -> None:
    """There would be results that nobody sees."""
    s = was(ImaginedEngine()).rpc("http://example.com/rpc2")
    s.a()
    s.b()
    with pytest.raises(WrongUse, match="2 results are on their way"):
        s.getwait()


def test_a_call_after_the_results_were_taken_begins_anew() -> None:
    """A handle is used again as a remote object is."""
    engine = ImaginedEngine(lands=[[xml("a")], [xml("b")]])
    s = was(engine).rpc("http://example.com/rpc2")
    s.a()
    assert s.getwait().data == "a"
    s.b()
    assert s.getwait().data == "b"


def test_handles_are_gathered_with_one_deadline() -> None:
    """Their results are one after the other, and each handle has its own."""
    engine = ImaginedEngine(1, [[xml("b", 1)]])
    w = was(engine)
    a, b = w.rpc("http://example.com/rpc2"), w.map("all/rpc2")
    a.one()
    b.two()
    gathered = w.gather(a, b)
    results = gathered.getswait(2)
    assert results.status == [1, 3]
    assert gathered.getswait() is results
    assert (a.getwait(), b.getwait()) == tuple(results)
    assert len(engine.wanted) == 1
    assert engine.cancelled == engine.sent[:1]


def test_gathering_waits_only_for_those_that_are_not_complete() -> None:
    """One was taken before."""
    engine = ImaginedEngine(1, [[xml("a")], [xml("b")]])
    w = was(engine)
    a, b = w.map("all/rpc2"), w.map("all/rpc2")
    a.one()
    b.two()
    first = a.getwait()
    results = w.gather(a, b).getswait()
    assert results[0] is first
    assert results[1].data == "b"


class ImpatientEngine(ImaginedEngine):
    """Not to be waited for without end."""

    def wait(self, call: Any, wanted: int, deadline: float) -> bool:
        assert len(self.wanted) < 10
        return super().wait(call, wanted, deadline)


def test_a_handle_may_be_gathered_twice() -> None:
    """It is waited for once, and its result is there twice."""
    engine = ImpatientEngine(1, [[xml("a")]])
    w = was(engine)
    a = w.rpc("http://example.com/rpc2")
    a.one()
    assert [result.data for result in w.gather(a, a).getswait()] == ["a", "a"]
    assert engine.wanted == [1]


def test_gathering_nothing_is_refused() -> None:
    """Handles of which one has called nothing as well."""
    w = was(ImaginedEngine())
    with pytest.raises(WrongUse, match="gather"):
        w.gather()
    with pytest.raises(WrongUse, match="nothing was called yet"):
        w.gather(w.wget("http://example.com"), w.lb("all")).getswait()


# --- enough ---


def five(*lands: list[Any]) -> tuple[ImaginedEngine, RpcHandle]:
    engine = ImaginedEngine(5, list(lands))
    s = was(engine).map("all/rpc2")
    s.search()
    return engine, cast(RpcHandle, s)


def failed(member: int) -> Any:
    return reply(member=member, status=Status.FAILED, msg="broke off", code=0)


def test_first_waits_for_so_many_normal_results() -> None:
    """One that failed does not count, so one more is waited for; then the rest is cancelled."""
    engine, s = five([xml("d", 3), failed(1)], [xml("a", 0)])
    results = s.getswait(2, first=2)
    assert results.status == [3, 2, 1, 3, 1]
    assert engine.wanted == [2, 3]
    assert engine.cancelled == engine.sent
    assert [result.data for result in results.normal] == ["a", "d"]
    assert results[2].msg.startswith("s2:80 was not waited for after 0.0")
    assert results[2].msg.endswith("2 normal results were enough")


def test_more_than_enough_are_all_taken() -> None:
    """What is there is there."""
    _, s = five([xml("a", 0), xml("b", 1), xml("c", 2)])
    assert s.getswait(first=1).status == [3, 3, 3, 1, 1]


def test_first_of_more_than_there_are_waits_for_all() -> None:
    """A conf may have fewer members than the app thought."""
    engine, s = five([xml("a", member) for member in range(5)])
    assert s.getswait(first=9).ok
    assert engine.wanted == [5]
    assert engine.cancelled == []


def test_a_quorum_is_a_majority() -> None:
    """Three of five."""
    engine, s = five([xml("a", member) for member in range(3)])
    assert s.getswait(quorum="majority").status == [3, 3, 3, 1, 1]
    assert engine.wanted == [3]


def test_a_quorum_that_cannot_be_had_is_not_waited_for() -> None:
    """Three have failed: the other two are no majority."""
    engine, s = five([failed(0), failed(1), failed(2)])
    results = s.getswait(quorum="majority")
    assert results.status == [2, 2, 2, 1, 1]
    assert results[4].msg.endswith("3 normal results were wanted, which cannot be had any more")
    assert engine.cancelled == engine.sent


@pytest.mark.parametrize("first", [0, -1, 1.5, "many"])
def test_a_number_that_is_none_is_refused(first: Any) -> None:
    """Before anything is waited for."""
    engine, s = five()
    with pytest.raises(WrongUse, match="no number of results"):
        s.getswait(first=first)
    with pytest.raises(WrongUse, match="no number of results"):
        s.getswait(quorum=first)
    with pytest.raises(WrongUse, match="give one"):
        s.getswait(first=1, quorum=2)
    assert engine.wanted == []


def test_an_async_handler_has_enough_too() -> None:
    """By the same rules."""
    _, s = five([xml("a", 0)])
    results = cast(Results, asyncio.run(taken(s.wait(2, first=1))))
    assert results.status == [3, 1, 1, 1, 1]


# --- as they land ---


def test_results_are_given_as_they_land() -> None:
    """One wait for each batch; those that are missing come last."""
    engine = ImaginedEngine(4, [[xml("c", 2), xml("a", 0)], [xml("b", 1)]])
    s = was(engine).map("all/rpc2")
    s.hello()
    seen = [(result.data, len(engine.wanted)) for result in s.as_completed(2)]
    assert seen == [("c", 1), ("a", 1), ("b", 2), ("", 3)]
    assert engine.wanted == [1, 3, 4]
    assert s.getswait().status == [3, 3, 3, 1]


def test_results_are_given_to_async_loops() -> None:
    """`async for result in s`, and with a timeout."""

    async def seen(results: Any) -> list[Any]:
        return [result.data async for result in results]

    for timeout in (None, 2):
        engine = ImaginedEngine(2, [[xml("b", 1)], [xml("a", 0)]])
        s = was(engine).map("all/rpc2")
        s.hello()
        assert asyncio.run(seen(s if timeout is None else s.as_completed(timeout))) == ["b", "a"]


def test_a_loop_that_is_left_gives_nothing_up() -> None:
    """The rest can be waited for; nothing is decoded or filtered twice."""
    filtered: list[Any] = []
    engine = ImaginedEngine(3, [[xml("c", 2), xml("a", 0)], [xml("b", 1)]])
    s = was(engine).map("all/rpc2", filter=lambda rs: filtered.append(rs.data))
    s.hello()
    for result in s.as_completed():
        assert result.data == "c"
        break
    assert engine.cancelled == []
    assert [result.data for result in s.as_completed()] == ["a", "c", "b"]
    assert [result.data for result in s.getswait()] == ["a", "b", "c"]
    assert filtered == ["c", "a", "b"]


def test_a_wait_within_a_loop_takes_what_the_loop_waits_for() -> None:
    """All of it; then the loop ends, as nothing is left to land."""
    engine = ImpatientEngine(3, [[xml("c", 2)], [xml("a", 0), xml("b", 1)]])
    s = was(engine).map("all/rpc2")
    s.hello()
    seen = []
    for result in s.as_completed():
        seen.append(result.data)
        assert [each.data for each in s.getswait()] == ["a", "b", "c"]
    assert seen == ["c"]
    assert engine.wanted == [1, 3, 2]  # the last one is there already


# --- waiting ---


def test_nothing_called_means_nothing_to_wait_for() -> None:
    """For all four ways to wait."""
    s = was(ImaginedEngine()).rpc("http://example.com/rpc2")
    with pytest.raises(WrongUse, match="nothing was called yet"):
        s.getwait()
    with pytest.raises(WrongUse, match="nothing was called yet"):
        s.getswait()
    with pytest.raises(WrongUse, match="nothing was called yet"):
        asyncio.run(taken(s.wait(1)))
    with pytest.raises(WrongUse, match="nothing was called yet"):
        asyncio.run(taken(s))


async def taken(awaitable: Any) -> Any:
    return await awaitable


def test_the_timeout_counts_from_sending() -> None:
    """Three seconds if it is not given; whenever getwait is called."""
    engine = ImaginedEngine()
    was(engine).wget("http://example.com").getwait()
    was(engine).wget("http://example.com").getwait(0.5)
    default, given = engine.sent
    assert engine.deadlines == [default.sent_at + DEFAULT_TIMEOUT, given.sent_at + 0.5]


def test_a_long_timeout_keeps_the_call_alive() -> None:
    """The loop gives up calls that nobody waits for; this one has somebody."""
    engine = ImaginedEngine()
    was(engine).wget("http://example.com").getwait(1000)
    (call,) = engine.sent
    assert call.expires == call.sent_at + 1000


def test_a_result_is_taken_twice_without_waiting_twice() -> None:
    """It is the same object, as a filter or an app has left it."""
    engine = ImaginedEngine(lands=[[reply(b"hello")]])
    s = was(engine).wget("http://example.com")
    first = s.getwait()
    first.data = "changed"
    assert s.getwait() is first
    assert s.getswait()[0] is first
    assert asyncio.run(taken(s)) is first
    assert len(engine.wanted) == 1


def test_results_come_in_the_order_of_the_conf() -> None:
    """Whatever the order in which they land; without a filter they are waited for at once."""
    engine = ImaginedEngine(3, [[xml("c", 2), xml("a", 0), xml("b", 1)]])
    s = was(engine).map("all/rpc2")
    s.hello()
    results = s.getswait()
    assert [result.data for result in results] == ["a", "b", "c"]
    assert [result.node for result in results] == ["s0:80", "s1:80", "s2:80"]
    assert engine.wanted == [3]
    assert engine.cancelled == []


def test_who_has_not_answered_at_the_deadline_is_status_1() -> None:
    """The call is cancelled once, the others keep what they have said."""
    engine = ImaginedEngine(3, [[xml("b", 1)]])
    s = was(engine).map("all/rpc2")
    s.hello()
    results = s.getswait(2)
    assert results.status == [1, 3, 1]
    assert results[0].msg == "no answer from s0:80 within 2 s"
    assert (results[0].code, results[0].data, results[0].elapsed) == (0, "", 2)
    assert results[1].data == "b"
    assert engine.cancelled == engine.sent


def test_what_lands_after_the_deadline_changes_nothing() -> None:
    """The results were told already."""
    engine = ImaginedEngine(2, [[xml("a", 0)]])
    s = was(engine).map("all/rpc2")
    s.hello()
    results = s.getswait()
    engine.sent[0].replies.append(xml("b", 1))
    assert s.getswait() is results
    assert results.status == [3, 1]


def test_getwait_of_several_members_raises_before_it_waits() -> None:
    """Their results are still there to be taken with getswait()."""
    engine = ImaginedEngine(2, [[xml("a", 0), xml("b", 1)]])
    s = was(engine).map("all/rpc2")
    s.hello()
    with pytest.raises(WrongUse, match=r"2 results are on their way: take them with getswait\(\)"):
        s.getwait()
    assert engine.wanted == []
    assert len(s.getswait()) == 2


def test_getwait_of_a_cluster_with_one_member_is_its_result() -> None:
    """A map over one is a call to one."""
    engine = ImaginedEngine(1, [[xml("a")]])
    s = was(engine).map("all/rpc2")
    s.hello()
    assert s.getwait().data == "a"


def test_await_gives_a_result_for_one_server_and_results_for_a_map() -> None:
    """Also for a map over one member."""
    engine = ImaginedEngine(1, [[reply(b"x")], [xml("a")]])
    one = was(engine).wget("http://example.com")
    all_of_them = was(engine).map("all/rpc2")
    all_of_them.hello()
    assert isinstance(asyncio.run(taken(one.wait(1))), Result)
    assert isinstance(asyncio.run(taken(all_of_them.wait(1))), Results)


# --- filters ---


def test_a_filter_is_called_as_results_land() -> None:
    """After each wait with what has come: two in the first, one in the second."""
    seen: list[tuple[int, str]] = []
    engine = ImaginedEngine(3, [[xml("c", 2), xml("a", 0)], [xml("b", 1)]])
    s = was(engine).map("all/rpc2", filter=lambda rs: seen.append((len(engine.wanted), rs.data)))
    s.hello()
    s.getswait()
    assert seen == [(1, "c"), (1, "a"), (2, "b")]
    assert engine.wanted == [1, 3]


def test_a_filter_changes_results_in_place() -> None:
    """Its own return value is ignored."""

    def halve(rs: Result) -> str:
        rs.data = rs.data[:1] if rs.ok else []
        return "ignored"

    engine = ImaginedEngine(2, [[xml([1, 2], 0)]])
    s = was(engine).map("all/rpc2", filter=halve)
    s.hello()
    assert [result.data for result in s.getswait()] == [[1], []]


def test_a_filter_sees_each_result_once_and_the_late_ones_last() -> None:
    """Those that failed and those that did not come included."""
    seen: list[Status] = []
    failed = reply(member=1, status=Status.FAILED, msg="broke off", code=0)
    engine = ImaginedEngine(3, [[failed], [xml("a", 2)]])
    s = was(engine).map("all/rpc2", filter=lambda rs: seen.append(rs.status))
    s.hello()
    s.getswait()
    s.getswait()
    assert seen == [2, 3, 1]


def test_what_a_filter_raises_is_raised() -> None:
    """The app's mistake is not taken for a member's, and what is still out is given up."""

    def raising(rs: Result) -> None:
        raise KeyError("name")

    engine = ImaginedEngine(2, [[xml("a", 0)]])
    s = was(engine).map("all/rpc2", filter=raising)
    s.hello()
    with pytest.raises(KeyError):
        s.getswait()
    assert engine.cancelled == engine.sent


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    """The sentence shows what was given; the call is still there."""
    s = was(ImaginedEngine(1, [[reply(b"x")]])).wget("http://example.com")
    with pytest.raises(WrongUse, match="is not a number of seconds"):
        s.getwait(timeout)
    assert s.getwait(1).status == 3


def test_after_a_filter_raised_there_is_nothing_to_wait_for() -> None:
    """The second getwait says so at once instead of waiting for what was given up."""

    def raising(rs: Result) -> None:
        raise KeyError("name")

    s = was(ImaginedEngine(1, [[reply(b"x")]])).wget("http://example.com", filter=raising)
    with pytest.raises(KeyError):
        s.getwait()
    with pytest.raises(WrongUse, match="the filter of this call raised"):
        s.getwait()
