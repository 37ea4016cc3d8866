"""Call handles: what they send, when they wait, and what they make of replies."""

from __future__ import annotations

import asyncio
import json
import xmlrpc.client
from types import SimpleNamespace
from typing import Any, cast

import pytest
from imagined_engine import ImaginedEngine, reply

from skitai.calls import DEFAULT_TIMEOUT, HttpHandle, RpcHandle
from skitai.engine import Members, Origin, Reach
from skitai.errors import UnknownCluster, WrongUse
from skitai.results import Result, Results, Status
from skitai.was import WAS


def was(engine: ImaginedEngine) -> WAS:
    """`was` as handlers have it, as far as it asks others."""
    shared = SimpleNamespace(engine=engine)
    found = SimpleNamespace(app=None)
    return WAS(cast(Any, shared), cast(Any, found), cast(Any, None))


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
    with pytest.raises(WrongUse, match="params is a list; give a mapping, a str or bytes"):
        was(ImaginedEngine()).wget("http://example.com", cast(Any, [1]))


def test_rpc_sends_when_a_method_is_called() -> None:
    """XML-RPC to the very path of the URL; a dotted name is one name."""
    engine = ImaginedEngine()
    s = was(engine).rpc("https://example.com/rpc2")
    assert engine.sent == []
    assert s.catalog.search("Mozart", 3) is None
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
        ("all/some where", b"/some%20where", False),
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


def test_one_handle_is_one_call() -> None:
    """A second one would make its results ambiguous."""
    engine = ImaginedEngine()
    s = was(engine).map("all")
    s.search(1)
    with pytest.raises(WrongUse, match="used already"):
        s.search(2)
    assert len(engine.sent) == 1


def test_an_unknown_cluster_raises_when_it_is_called() -> None:
    """As the engine says it."""
    with pytest.raises(UnknownCluster):
        was(ImaginedEngine()).lb("nobody/rpc2").search(1)


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
    with pytest.raises(WrongUse, match="2 members were asked"):
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
