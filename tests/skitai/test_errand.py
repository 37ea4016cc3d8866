"""What is passed on to those who are asked, until when, and what happens when the client leaves."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagined_engine import ImaginedEngine, reply
from small_worker import request

from skitai.caller import Caller
from skitai.errand import NEVER, RESERVE, Errand
from skitai.errors import ClientGone
from skitai.request import Request
from skitai.was import WAS

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def lines(asked: Request) -> dict[str, str]:
    """The header lines of a call for a request."""
    text = Errand(ImaginedEngine(), asked, 0.0).lines().decode()
    assert text.endswith("\r\n")
    return dict(line.split(": ", 1) for line in text.split("\r\n")[:-1])


def was(engine: ImaginedEngine, asked: Request, timeout: float = 0.0) -> WAS:
    shared = SimpleNamespace(engine=engine, request_timeout=timeout, starts_traces=False)
    return WAS(cast(Any, shared), cast(Any, SimpleNamespace(app=None)), asked)


# --- passed on ---


def test_the_id_of_a_request_is_passed_on() -> None:
    """Be it the client's or our own."""
    assert lines(request()) != lines(request())
    asked = Request("GET", b"/", [], b"", "1.1", Caller(""), sent_id=b"abc-1")
    assert lines(asked) == {"X-Request-ID": "abc-1"}


def test_a_trace_is_passed_on_with_a_new_parent() -> None:
    """Version 00, the same trace and flags; all calls of a request have the same parent."""
    asked = request(traceparent=TRACE, tracestate="vendor=1")
    errand = Errand(ImaginedEngine(), asked, 0.0)
    assert errand.lines() == errand.lines()
    told = lines(asked)
    version, trace, parent, flags = told["traceparent"].split("-")
    assert (version, trace, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01")
    assert parent != "00f067aa0ba902b7"
    assert len(parent) == 16
    assert told["tracestate"] == "vendor=1"


@pytest.mark.parametrize(
    "trace",
    [
        "",
        TRACE.upper(),
        TRACE[:-1],
        "ff" + TRACE[2:],
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACE.replace("00f067aa0ba902b7", "0" * 16),
        TRACE + "\r\nX-Injected: 1",
    ],
)
def test_what_is_no_trace_is_not_passed_on(trace: str) -> None:
    """Nor its state."""
    told = lines(request(traceparent=trace, tracestate="vendor=1"))
    assert list(told) == ["X-Request-ID"]


def test_the_state_of_a_trace_is_passed_on_only_if_it_is_plain() -> None:
    """It would go into a header."""
    assert "tracestate" not in lines(request(traceparent=TRACE, tracestate="a\x00=1"))
    assert "tracestate" not in lines(request(traceparent=TRACE, tracestate="a" * 513))


@given(st.text(max_size=80), st.text(max_size=600))
def test_no_field_of_a_client_breaks_our_header(trace: str, state: str) -> None:
    """Whatever a client sends."""
    try:
        asked = request(traceparent=trace, tracestate=state)
    except UnicodeEncodeError:
        return
    for line in Errand(ImaginedEngine(), asked, 0.0).lines().split(b"\r\n"):
        assert b"\n" not in line
        assert b"\r" not in line


def test_what_an_app_sets_itself_is_not_passed_on() -> None:
    """Its own value counts."""
    engine = ImaginedEngine()
    asked = request(traceparent=TRACE)
    was(engine, asked, 5.0).wget(
        "http://h/", headers={"X-Request-Id": "mine", "X-REQUEST-DEADLINE": "5"}
    )
    ask = engine.sent[0].ask
    assert ask.fields.count(b"mine") == 1
    assert ask.passed.startswith(b"traceparent: ")
    assert ask.passed.count(b"\r\n") == 1


def test_what_is_passed_on_is_no_part_of_the_question() -> None:
    """The same call of two requests is the same call, for the result cache."""
    engine = ImaginedEngine()
    for _ in range(2):
        was(engine, request()).lb("all/rpc2").hello()
    first, second = (call.ask for call in engine.sent)
    assert first.fields == second.fields
    assert first.passed != second.passed


# --- deadlines ---


def asked_at(now: float, *, is_trusted: bool = False, **fields: str) -> Request:
    made = request(**fields)
    made.caller = Caller("10.0.0.1", is_trusted=is_trusted)
    made.began, made.started = now, now + 1
    return made


def test_the_deadline_of_a_request_leaves_time_to_answer() -> None:
    """request_timeout from the handler's start on, but for a reserve."""
    now = time.monotonic()
    errand = Errand(ImaginedEngine(), asked_at(now), 10.0)
    assert errand.deadline == now + 1 + 10 * (1 - RESERVE)
    left = int(errand.lines().partition(b"X-Request-Deadline: ")[2])
    assert 10000 < left <= 10500


@pytest.mark.parametrize("of_the_conf", [0.0, 10.0])
def test_the_time_of_a_route_counts_before_that_of_the_conf(of_the_conf: float) -> None:
    """A longer one too, and 0 is as long as it takes."""
    asked = asked_at(100.0)
    asked.timeout = 20.0
    assert Errand(ImaginedEngine(), asked, of_the_conf).deadline == 101 + 20 * (1 - RESERVE)
    asked.timeout = 0.0
    assert Errand(ImaginedEngine(), asked, of_the_conf).deadline == NEVER


def test_a_request_without_timeout_has_no_deadline() -> None:
    """And passes none on."""
    errand = Errand(ImaginedEngine(), asked_at(0.0), 0.0)
    assert errand.deadline == NEVER
    assert b"Deadline" not in errand.lines()


@pytest.mark.parametrize("timeout", [0.0, 10.0])
def test_a_trusted_client_may_shorten_the_deadline(timeout: float) -> None:
    """Its milliseconds count from the request's first byte."""
    asked = asked_at(100.0, is_trusted=True, X_Request_Deadline="2000")
    assert Errand(ImaginedEngine(), asked, timeout).deadline == 100 + 2 * (1 - RESERVE)


def test_nobody_may_lengthen_the_deadline() -> None:
    """Ours is shorter."""
    asked = asked_at(100.0, is_trusted=True, X_Request_Deadline="999999999")
    assert Errand(ImaginedEngine(), asked, 1.0).deadline == 101 + 1 - RESERVE


@pytest.mark.parametrize("sent", ["", "-1", "1.5", "1e3", "12345678901", "٣"])
def test_a_deadline_that_is_none_is_passed_over(sent: str) -> None:
    """Milliseconds are digits."""
    asked = asked_at(100.0, is_trusted=True)
    asked.fields.append((b"X-Request-Deadline", sent.encode()))
    assert Errand(ImaginedEngine(), asked, 0.0).deadline == NEVER


def test_a_stranger_cannot_shorten_the_deadline() -> None:
    """It would change what is answered, and a cache may keep that."""
    asked = asked_at(100.0, X_Request_Deadline="1")
    assert Errand(ImaginedEngine(), asked, 0.0).deadline == NEVER


def test_no_wait_goes_beyond_the_deadline() -> None:
    """Whatever its timeout; the result says why."""
    engine = ImaginedEngine()
    asked = request()
    asked.started = time.monotonic()
    s = was(engine, asked, 1.0).wget("http://h/")
    result = s.getwait(30)
    assert engine.deadlines == [asked.started + 1 - RESERVE]
    assert result.status == 1
    assert result.msg.endswith("s, which was all the time that the request had left")


def test_a_shorter_timeout_is_not_touched() -> None:
    """It ends before the request does."""
    engine = ImaginedEngine()
    asked = request()
    asked.started = time.monotonic()
    s = was(engine, asked, 100.0).wget("http://h/", timeout=2)
    assert s.getwait().msg == "no answer from h:80 within 2 s"


# --- the client leaves ---


class LeavingEngine(ImaginedEngine):
    """The client of `asked` leaves during the first wait."""

    asked: Request

    def wait(self, call: Any, wanted: int, deadline: float) -> bool:
        if not self.wanted:
            assert self.asked.errand is not None
            self.asked.errand.client_left()
        return super().wait(call, wanted, deadline)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_wait_ends_when_the_client_leaves(is_async: bool) -> None:
    """All that is out is given up. After that the handler may ask again, to clean up."""
    engine = LeavingEngine(lands=[[], [reply(b"cleaned up")]])
    engine.asked = request()
    w = was(engine, engine.asked)
    s, other = w.wget("http://h/"), w.wget("http://h/other")

    async def wait(handle: Any) -> Any:
        return await handle

    with pytest.raises(ClientGone):
        asyncio.run(wait(s)) if is_async else s.getwait()
    assert engine.cancelled == engine.sent
    assert w.wget("http://h/cleanup").getwait().data == "cleaned up"
    with pytest.raises(ClientGone):
        other.getwait()


class GoneChannel:
    in_hand = None


def test_a_client_that_has_left_before_is_noticed_at_the_first_wait() -> None:
    """A handler that computes, and then asks; what it has sent is cancelled."""
    asked = request()
    asked.channel = cast(Any, GoneChannel())
    engine = ImaginedEngine(lands=[[reply(b"cleaned up")]])
    w = was(engine, asked)
    s = w.wget("http://h/")
    with pytest.raises(ClientGone):
        s.getwait()
    assert engine.cancelled == engine.sent
    assert engine.wanted == []
    assert w.wget("http://h/").getwait().data == "cleaned up"


class EndedChannel:
    has_ended = True

    def __init__(self, in_hand: Request) -> None:
        self.in_hand = in_hand


def test_a_client_that_had_sent_its_last_before_is_noticed_at_the_first_wait() -> None:
    """Its request is still in hand, so that its end was seen by nobody but the connection."""
    asked = request()
    asked.channel = cast(Any, EndedChannel(asked))
    assert not asked.gone
    engine = ImaginedEngine()
    s = was(engine, asked).wget("http://h/")
    with pytest.raises(ClientGone):
        s.getwait()
    assert engine.cancelled == engine.sent
    assert engine.wanted == []


def test_results_that_are_there_are_given_though_the_client_has_left() -> None:
    """Nobody waits for them."""
    asked = request()
    engine = ImaginedEngine()
    s = was(engine, asked).wget("http://h/")
    engine.sent[0].replies.append(reply(b"x"))
    assert asked.errand is not None
    asked.errand.client_left()
    assert s.getwait().data == "x"
    assert engine.cancelled == []


def test_a_request_that_has_asked_others_goes_at_once() -> None:
    """With its body and its replies: no circle keeps them for the collector."""

    def ask() -> weakref.ref[Request]:
        asked = Watched("GET", b"/", [], b"", "1.1", Caller(""))
        assert Errand(ImaginedEngine(), asked, 0.0) is asked.errand
        return weakref.ref(asked)

    class Watched(Request):
        """One that can be watched."""

    gc.disable()
    try:
        assert ask()() is None
    finally:
        gc.enable()


def test_calls_that_are_over_are_not_kept() -> None:
    """A stream may make thousands of them."""
    asked = request()
    engine = ImaginedEngine()
    w = was(engine, asked)
    for _ in range(1000):
        w.wget("http://h/")
        engine.sent[-1].replies.append(reply(b"x"))
    assert asked.errand is not None
    assert len(asked.errand._calls) < 100
