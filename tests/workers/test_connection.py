"""One client connection: the order of answers, deadlines, slow readers, half-closes, leaving."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from typing import cast

import pytest
from fake_client import FakeClient, FakeLoop, FakeSite
from msgspec.structs import replace

from skitai.engine import Engine
from skitai.errand import Errand
from skitai.request import Request
from skitaid.workers.settings import Limits
from skitaid.workers.web.body import BodyOwner, Framing
from skitaid.workers.web.connection import (
    FRESH,
    LINGER,
    PIPELINE_MAX,
    QUIET,
    WRITE_HIGH,
    ClientConnection,
)
from skitaid.workers.web.connections import COARSE, NEVER
from skitaid.workers.web.proxy_body import HIGH, PassedBody

LIMITS = Limits(
    header_timeout=10.0, body_timeout=20.0, body_rate=100, keepalive_timeout=50.0, body_size=100_000
)
HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /p HTTP/1.1\r\n" + HOST
BAD = b"GET / HTTP/1.1\r\n\r\n"


def get(path: str) -> bytes:
    return b"GET /%b HTTP/1.1\r\n" % path.encode() + HOST + b"\r\n"


def length(size: int) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % size


def slow_site(limits: Limits = LIMITS) -> FakeClient:
    """A client of a site that answers when it is told to."""
    client = FakeClient(limits)
    client.site.answers_at_once = False
    return client


# Order


def test_one_request_is_in_hand_at_a_time() -> None:
    """The next one is handed over when the one before is answered, not earlier."""
    client = slow_site()
    client.send(get("1") + get("2") + get("3"))
    seen = []
    for _ in range(3):
        seen.append(len(client.seen))
        client.answer()

    assert seen == [1, 2, 3]
    assert [each.body for each in client.answers] == [
        b'["GET", "/1", ""]',
        b'["GET", "/2", ""]',
        b'["GET", "/3", ""]',
    ]


def test_long_queue_does_not_nest() -> None:
    """Thousands of requests in one piece are answered without deep recursion."""
    client = slow_site()
    client.send(GET * 3000)
    client.site.answers_at_once = True
    client.answer()

    assert client.statuses == [200] * 3000


def test_reading_stops_while_many_wait() -> None:
    """A client that only asks does not fill our memory; later it is read on."""
    client = slow_site()
    client.send(GET * (PIPELINE_MAX + 1))
    assert client.transport.is_reading_paused
    client.send(get("late"))
    for _ in range(PIPELINE_MAX + 1):
        client.answer()

    assert not client.transport.is_reading_paused
    assert client.seen[-1] == ("GET", "/late", b"")


def test_reading_stops_behind_a_waiting_body() -> None:
    """Bodies are large: of those that wait there is one."""
    client = slow_site()
    client.send(GET)
    client.send(length(2) + b"hi")
    assert client.transport.is_reading_paused
    client.send(length(2) + b"yo")
    client.answer()
    client.answer()

    assert client.seen[1:] == [("POST", "/p", b"hi"), ("POST", "/p", b"yo")]


def test_reading_goes_on_behind_a_body_that_nobody_took() -> None:
    """One that was to be passed on, so large that it held the reading, is answered without it."""

    def pass_on(method: str, target: bytes, framing: Framing, owner: BodyOwner) -> PassedBody:
        return PassedBody(framing, owner, HIGH * 2)

    client = FakeClient(LIMITS, passed_on=[pass_on])
    client.send(length(HIGH) + b"x" * HIGH)
    assert not client.transport.is_reading_paused
    client.send(get("next"))

    assert client.statuses == [200, 200]
    assert client.seen[1] == ("GET", "/next", b"")


def test_what_came_behind_a_refused_upgrade_is_read_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the transport had kept back, as that of TLS does, comes behind what was held."""
    client = slow_site()

    def hold(connection: ClientConnection, request: Request) -> None:
        FakeSite.handle(client.site, connection, request)
        connection.hold_for_upgrade()

    monkeypatch.setattr(client.site, "handle", hold)
    wish = b"Connection: upgrade\r\nUpgrade: echo\r\n\r\n"
    client.send(get("1")[:-2] + wish + get("2")[:-5])
    assert client.transport.is_reading_paused
    client.send(get("2")[-5:] + get("3"))
    for _ in range(3):
        client.answer()

    assert client.seen == [("GET", "/1", b""), ("GET", "/2", b""), ("GET", "/3", b"")]
    assert client.statuses == [200, 200, 200]


def test_answer_to_another_request_is_dropped() -> None:
    """An answer that comes twice, or to a request that is no longer in hand, is not sent."""
    client = slow_site()
    client.send(GET)
    connection, request = client.connection, client.site.seen[0]
    client.answer()
    connection.respond(request, b"again", True)

    assert client.statuses == [200]


def test_answer_after_the_client_has_gone_is_dropped() -> None:
    """The handler does not know that its client left; nothing happens when it is done."""
    client = slow_site()
    client.send(GET + GET)
    client.transport.lose()
    client.loop.settle()
    client.answer()

    assert client.transport.written == b""
    assert len(client.seen) == 1
    assert len(client.connections) == 0


def test_nothing_is_handed_over_after_the_last_answer() -> None:
    """When the site closes, what was sent behind is not executed unseen."""
    client = slow_site()
    client.send(GET + GET)
    client.answer(keep_alive=False)

    assert len(client.seen) == 1
    assert client.is_closed


def test_rest_of_a_piece_is_not_handed_over_after_a_close() -> None:
    """The same when the answer is given while the piece is still being read."""
    client = FakeClient(LIMITS)
    client.connections.is_draining = True
    client.send(GET + length(2) + b"hi" + BAD)

    assert client.seen == [("GET", "/", b"")]
    assert client.statuses == [200]
    assert client.is_closed


# Expect: 100-continue


def test_continue_is_sent_before_the_body_comes() -> None:
    """The client that waits for it gets it at once."""
    client = FakeClient(LIMITS)
    client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert client.statuses == [100]
    client.send(b"hi")

    assert client.statuses == [100, 200]


def test_continue_waits_for_the_answer_before() -> None:
    """It is an answer too, and comes in its turn; the client has its whole time from then on."""
    client = slow_site()
    client.send(GET + POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    client.loop.advance(1000)
    assert client.statuses == []
    client.answer()
    assert client.statuses == [200, 100]
    client.loop.advance(LIMITS.body_timeout - 1)
    client.send(b"hi")
    client.answer()

    assert client.statuses == [200, 100, 200]


def test_continue_is_not_sent_when_the_body_is_there() -> None:
    """A client that did not wait for it does not want it."""
    client = slow_site()
    client.send(GET + POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nh")
    client.answer()
    client.send(b"i")
    client.answer()

    assert client.statuses == [200, 200]


def test_no_continue_for_a_body_that_is_too_large() -> None:
    """It is refused before it is sent."""
    client = FakeClient(replace(LIMITS, body_size=10))
    client.send(POST + b"Expect: 100-continue\r\nContent-Length: 11\r\n\r\n")

    assert client.statuses == [413]


@pytest.mark.parametrize("length", [b"", b"Content-Length: 0\r\n"])
def test_no_continue_for_a_body_that_does_not_come(length: bytes) -> None:
    """There is nothing to go on with: the answer is the first response (RFC 9110 10.1.1)."""
    client = FakeClient(LIMITS)
    client.send(POST + b"Expect: 100-continue\r\n" + length + b"\r\n")

    assert client.statuses == [200]


@pytest.mark.parametrize("line", [b"Expect: a miracle", b"Expect:"])
def test_other_expectations_are_ignored(line: bytes) -> None:
    """Nothing else is known to be expected of a server."""
    client = FakeClient(LIMITS)
    client.send(POST + line + b"\r\nContent-Length: 2\r\n\r\nhi")

    assert client.statuses == [200]


def test_no_continue_for_1_0() -> None:
    """HTTP/1.0 has no interim responses."""
    client = FakeClient(LIMITS)
    client.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")

    assert client.statuses == []


# Deadlines


def test_silent_client_is_sent_home() -> None:
    """Who connects and sends nothing is closed without a word."""
    client = FakeClient(LIMITS)
    client.loop.advance(LIMITS.header_timeout - 0.1)
    assert not client.is_closed
    client.loop.advance(COARSE + 0.1)

    assert client.is_closed
    assert client.transport.written == b""


def test_slow_header_is_408() -> None:
    """A header that trickles in has its time from the first byte on, not from the last."""
    client = FakeClient(LIMITS)
    client.loop.advance(5)
    for byte in b"GET / HTTP":
        client.send(bytes([byte]))
        client.loop.advance(1)
    client.loop.advance(COARSE)

    assert client.statuses == [408]
    assert client.is_ended


def test_empty_lines_do_not_extend_the_time() -> None:
    """They are no request."""
    client = FakeClient(LIMITS)
    for _ in range(11):
        client.send(b"\r\n")
        client.loop.advance(1)
    client.loop.advance(COARSE)

    assert client.is_closed


def test_idle_connection_is_closed() -> None:
    """After an answer the client has its time for another request."""
    client = FakeClient(LIMITS)
    client.send(GET)
    client.loop.advance(LIMITS.keepalive_timeout - 1)
    client.send(GET)
    client.loop.advance(LIMITS.keepalive_timeout - 1)
    assert not client.is_closed
    client.loop.advance(1 + COARSE)

    assert client.is_closed
    assert client.statuses == [200, 200]


def test_pause_in_a_body_is_408() -> None:
    """Each piece gives it as much time again."""
    client = FakeClient(LIMITS)
    client.send(length(30_000))
    for _ in range(5):
        client.loop.advance(LIMITS.body_timeout - 1)
        client.send(b"x" * 2000)
    client.loop.advance(LIMITS.body_timeout + COARSE)

    assert client.statuses == [408]


def test_trickling_body_is_408() -> None:
    """A body slower than the rate is given up, however regularly it comes."""
    client = FakeClient(LIMITS)
    client.send(length(30_000))
    seconds = 0
    while not client.is_ended and seconds < 1000:
        client.send(b"x" * 50)  # half of what is asked for
        client.loop.advance(1)
        seconds += 1

    # 20 s, and one for each 100 bytes; it sends 50 bytes a second.
    assert client.statuses == [408]
    assert 2 * LIMITS.body_timeout <= seconds <= 2 * LIMITS.body_timeout + 2


def test_steady_body_may_take_long() -> None:
    """One that keeps the rate is waited for."""
    client = FakeClient(LIMITS)
    client.send(length(30_000))
    for _ in range(300):
        client.loop.advance(1)
        client.send(b"x" * 100)

    assert client.statuses == [200]


def test_body_that_came_fast_may_not_pause_for_long() -> None:
    """What was sent in the beginning is no credit for a longer pause."""
    client = FakeClient(LIMITS)
    client.send(length(30_000))
    client.send(b"x" * 20_000)
    client.send(b"x" * 5_000)
    client.loop.advance(LIMITS.body_timeout + COARSE)

    assert client.statuses == [408]


def test_handler_has_all_the_time() -> None:
    """While a request is in hand the client owes nothing."""
    client = slow_site()
    client.send(GET)
    client.loop.advance(10_000)
    client.answer()

    assert client.statuses == [200]


def test_waiting_request_keeps_its_client() -> None:
    """A request that is complete and waits for its turn is never late, though it came slowly."""
    client = slow_site()
    client.send(GET + GET[:5])
    client.loop.advance(5)
    client.send(GET[5:])
    client.loop.advance(10_000)
    client.answer()
    client.loop.advance(10_000)
    client.answer()

    assert client.statuses == [200, 200]


def test_late_request_behind_another_does_not_cost_its_answer() -> None:
    """The 408 waits for the slow handler, whose answer is sent first."""
    client = slow_site()
    client.send(GET + GET[:5])
    client.loop.advance(1000)
    assert client.statuses == []
    client.answer()

    assert client.statuses == [200, 408]


def test_bad_request_behind_another_does_not_cost_its_answer() -> None:
    """The same for one that began to arrive and then was refused."""
    client = slow_site()
    client.send(GET + BAD[:5])
    client.send(BAD[5:])
    client.loop.advance(1000)
    assert not client.is_closed
    client.answer()

    assert client.statuses == [200, 400]


@pytest.mark.parametrize("waiting", [0, 1, 2])
def test_request_that_arrives_behind_others_keeps_its_deadline(waiting: int) -> None:
    """Answering those before does not give it for ever."""
    client = slow_site()
    client.send(GET * (1 + waiting) + GET[:5])
    for _ in range(1 + waiting):
        client.answer()
    client.loop.advance(LIMITS.header_timeout + COARSE)

    assert client.statuses == [200] * (1 + waiting) + [408]


def test_request_we_do_not_read_is_not_late() -> None:
    """While reading is paused by us, the rest of a request cannot arrive."""
    client = slow_site()
    client.send(GET * (PIPELINE_MAX + 1) + GET[:5])
    client.send(GET[5:])
    client.loop.advance(1000)
    client.site.answers_at_once = True
    client.answer()

    assert client.statuses == [200] * (PIPELINE_MAX + 2)


# Slow readers


def test_client_that_does_not_read_is_cut_off() -> None:
    """It has as long for it as for sending a body."""
    client = FakeClient(LIMITS)
    client.stop_reading()
    client.site.size = WRITE_HIGH
    client.send(GET)
    client.loop.advance(LIMITS.body_timeout + COARSE)

    assert client.transport.is_aborted


def test_client_that_reads_slowly_is_served() -> None:
    """As long as it reads on, it may take its time, longer than any timeout."""
    client = FakeClient(LIMITS)
    client.stop_reading()
    client.site.size = 10 * WRITE_HIGH
    client.send(GET)
    for _ in range(10):
        client.read(WRITE_HIGH)
        client.loop.advance(LIMITS.body_timeout - 1)
    client.read(WRITE_HIGH)
    client.send(GET)

    assert not client.is_closed
    assert client.statuses == [200, 200]


def test_idle_time_counts_when_all_is_read() -> None:
    """A connection that was slow to read is closed like others when it is idle."""
    client = FakeClient(LIMITS)
    client.stop_reading()
    client.site.size = WRITE_HIGH
    client.send(GET)
    client.read(client.transport.unsent)
    client.loop.advance(LIMITS.keepalive_timeout - 1)
    assert not client.is_closed
    client.loop.advance(1 + COARSE)

    assert client.is_closed


def test_next_request_waits_until_the_last_answer_is_read() -> None:
    """A client that asks and does not read has few answers in our memory."""
    client = FakeClient(LIMITS)
    client.stop_reading()
    client.site.size = WRITE_HIGH // 2
    client.send(GET * 100)
    assert len(client.seen) == 2
    for _ in range(100):
        client.read(WRITE_HIGH)

    assert client.statuses == [200] * 100


def test_requests_sent_without_reading_do_not_hold_the_connection() -> None:
    """More requests are no reading: it is cut off all the same."""
    client = FakeClient(LIMITS)
    client.stop_reading()
    client.site.size = WRITE_HIGH
    client.send(GET * 2)
    for _ in range(40):
        client.send(GET)
        client.loop.advance(1)

    assert client.transport.is_aborted


def test_small_answer_that_nobody_reads_does_not_hold_the_connection() -> None:
    """Also below the high-water mark a closed connection ends some time."""
    client = FakeClient(LIMITS)
    client.stop_reading()
    client.send(b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    assert not client.is_closed
    client.loop.advance(LIMITS.body_timeout + COARSE)

    assert client.transport.is_aborted


def test_last_answer_is_sent_to_a_slow_reader() -> None:
    """A close waits until the client has read, as long as it does read."""
    client = FakeClient(LIMITS)
    client.stop_reading()
    client.site.size = 2 * WRITE_HIGH
    client.send(b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    size = client.transport.unsent
    for _ in range(20):
        client.loop.advance(LIMITS.body_timeout - 1)
        client.read(size // 20)
    client.read(20)

    assert client.is_closed
    assert not client.transport.is_aborted


def test_stream_waits_for_a_slow_reader() -> None:
    """`send` returns at once while little waits to be read, and then not before that is read."""
    client = slow_site()
    client.stop_reading()
    client.send(GET)

    async def stream() -> list[bool]:
        client.connection._loop = asyncio.get_running_loop()  # its futures are awaited here
        await client.connection.send(b"small")
        large = asyncio.create_task(client.connection.send(b"x" * WRITE_HIGH))
        await asyncio.sleep(0)
        waits = not large.done()
        client.connection._loop = client.loop  # type: ignore[assignment]
        client.read(WRITE_HIGH)
        await large
        return [waits, large.done()]

    assert asyncio.run(stream()) == [True, True]


def test_stream_ends_when_the_client_goes() -> None:
    """Who waits in `send` is told so, and so is who calls it afterwards."""
    client = slow_site()
    client.stop_reading()
    client.send(GET)

    async def stream() -> None:
        client.connection._loop = asyncio.get_running_loop()
        large = asyncio.create_task(client.connection.send(b"x" * WRITE_HIGH * 2))
        await asyncio.sleep(0)
        client.transport.abort()
        client.loop.settle()
        with pytest.raises(ConnectionResetError):
            await large
        with pytest.raises(ConnectionResetError):
            await client.connection.send(b"more")

    asyncio.run(stream())


def test_a_client_that_goes_in_the_middle_of_a_stream_leaves_nothing_in_memory() -> None:
    """The piece that was being sent goes at once: no circle keeps it for the collector."""
    client = slow_site()
    client.stop_reading()
    client.send(GET)

    class Piece(bytearray):
        """One that can be watched."""

    async def stream() -> weakref.ref[Piece]:
        client.connection._loop = asyncio.get_running_loop()
        piece = Piece(WRITE_HIGH * 2)
        watched = weakref.ref(piece)
        large = asyncio.create_task(client.connection.send(piece))
        del piece
        await asyncio.sleep(0)
        client.transport.abort()
        client.loop.settle()
        await asyncio.wait([large])
        assert isinstance(large.exception(), ConnectionResetError)
        return watched

    gc.disable()
    try:
        assert asyncio.run(stream())() is None
    finally:
        gc.enable()


# Ends


def test_refusal_lingers() -> None:
    """After a refusal the socket is held for a moment, and what still comes is thrown away."""
    client = FakeClient(LIMITS)
    client.send(BAD)
    assert client.transport.has_ended
    client.send(GET * 10)
    assert not client.is_closed
    client.loop.advance(LINGER + COARSE)

    assert client.is_closed
    assert client.statuses == [400]


def test_refusal_over_tls_lingers_without_half_close() -> None:
    """TLS has none; the answer still must not be lost to a reset."""
    client = FakeClient(LIMITS, is_tls=True)
    client.send(BAD)
    assert not client.is_closed
    client.send(GET)
    client.loop.advance(LINGER + COARSE)

    assert client.is_closed
    assert client.statuses == [400]


def test_client_that_closes_after_a_refusal_is_not_waited_for() -> None:
    """It has read the answer."""
    client = FakeClient(LIMITS)
    client.send(BAD)
    client.send_eof()

    assert client.is_closed


def test_half_close_still_gets_its_answers() -> None:
    """A client that sends no more may wait for what it asked."""
    client = slow_site()
    client.send(GET + GET)
    client.send_eof()
    client.answer()
    client.answer()

    assert client.statuses == [200, 200]
    assert client.is_closed


def test_half_close_within_a_request_still_gets_the_answers_before() -> None:
    """Only the request that will never be complete is lost."""
    client = slow_site()
    client.send(GET + GET[:5])
    client.send_eof()
    client.loop.advance(1000)
    assert not client.is_closed
    client.answer()

    assert client.statuses == [200]
    assert client.is_closed


def test_half_close_is_remembered_for_whoever_looks_later() -> None:
    """A handler may begin to ask others only after it, and is told then."""

    def is_gone(ends: bool) -> bool:
        client = slow_site()
        client.send(GET)
        asked = client.site.seen[0]
        asked.channel = client.connection
        if ends:
            client.send_eof()
        return Errand(cast(Engine, None), asked, 0.0).is_client_gone

    assert (is_gone(ends=False), is_gone(ends=True)) == (False, True)


@pytest.mark.parametrize("sent", [b"", GET, GET[:5], length(9)], ids=["no", "get", "cut", "body"])
def test_half_close_with_nothing_in_hand_closes(sent: bytes) -> None:
    """There is nothing more to say."""
    client = FakeClient(LIMITS)
    client.send(sent)
    client.send_eof()

    assert client.is_closed


def test_half_close_over_tls_closes() -> None:
    """The transport would close in any case, and warn that it was asked not to."""
    client = FakeClient(LIMITS, is_tls=True)
    client.site.answers_at_once = False
    client.send(GET)

    assert client.connection.eof_received() is False


# Leaving


def test_draining_closes_quiet_connections_at_once() -> None:
    """Long after a request a client may be sent home."""
    client = FakeClient(LIMITS)
    client.send(GET)
    client.loop.advance(QUIET + 0.1)
    emptied: list[bool] = []
    client.drain(lambda: emptied.append(True))

    assert client.is_closed
    assert emptied == [True]


def test_draining_leaves_time_for_the_request_that_may_be_on_its_way() -> None:
    """Who was answered just now is told by the next answer that it was the last."""
    client = FakeClient(LIMITS)
    client.send(GET)
    client.drain()
    assert not client.is_closed
    client.send(GET)
    assert client.statuses == [200, 200]
    assert client.answers[1].fields["connection"] == "close"
    assert client.is_closed


def test_draining_does_not_wait_long_for_a_next_request() -> None:
    """Who says nothing for a moment is sent home."""
    client = FakeClient(LIMITS)
    client.send(GET)
    client.drain()
    client.loop.advance(QUIET + COARSE)

    assert client.is_closed


def test_answer_that_promised_to_stay_crosses_with_the_order_to_leave() -> None:
    """The promise holds for one more request."""
    client = slow_site()
    client.send(GET)
    client.drain()
    client.connections.is_draining = False  # as the handler saw it
    data, keep_alive = client.site.prepare()
    client.connections.is_draining = True
    client.site.send(data, keep_alive)
    assert not client.is_closed
    client.send(GET)
    client.answer()

    assert client.is_closed
    assert [each.fields.get("connection") for each in client.answers] == [None, "close"]


def test_bytes_that_have_arrived_unseen_keep_the_connection() -> None:
    """A request that came while we decided to close is answered."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        client = FakeClient(LIMITS)
        client.transport._extra["socket"] = mine
        client.send(GET)
        client.loop.advance(QUIET + 0.1)
        theirs.send(GET)
        client.drain()
        assert not client.is_closed
        client.send(GET)

        assert client.is_closed
        assert client.statuses == [200, 200]


def test_draining_answers_what_is_in_hand() -> None:
    """The last answer says that it is the last."""
    client = slow_site()
    client.send(GET)
    emptied: list[bool] = []
    client.drain(lambda: emptied.append(True))
    assert not client.is_closed
    assert emptied == []
    client.answer()

    assert client.answers[0].fields["connection"] == "close"
    assert client.is_closed
    assert emptied == [True]


@pytest.mark.parametrize("cut", [1, 20, len(length(2)) + 1])
def test_draining_answers_what_is_arriving(cut: int) -> None:
    """A request whose first byte is here is served."""
    data = length(2) + b"hi"
    client = FakeClient(LIMITS)
    client.send(data[:cut])
    client.drain()
    assert not client.is_closed
    client.send(data[cut:])

    assert client.statuses == [200]
    assert client.answers[0].fields["connection"] == "close"
    assert client.is_closed


def test_draining_waits_a_moment_for_a_first_request() -> None:
    """A client that has just connected may have sent it, though it is not read yet."""
    client = FakeClient(LIMITS)
    client.drain()
    assert not client.is_closed
    client.send(GET)

    assert client.statuses == [200]
    assert client.is_closed


def test_draining_does_not_wait_long_for_a_first_request() -> None:
    """Browsers connect beforehand and say nothing."""
    client = FakeClient(LIMITS)
    client.drain()
    client.loop.advance(FRESH + COARSE)

    assert client.is_closed


def test_client_that_connects_while_draining() -> None:
    """It was accepted at the last moment: one request is answered, silence is not waited for."""
    loop = FakeLoop()
    first = FakeClient(LIMITS, loop=loop)
    first.site.answers_at_once = False
    first.send(GET)
    first.drain()
    asking = FakeClient(LIMITS, loop=loop, connections=first.connections)
    silent = FakeClient(LIMITS, loop=loop, connections=first.connections)
    asking.send(GET)
    loop.advance(FRESH + COARSE)

    assert asking.statuses == [200]
    assert asking.is_closed
    assert silent.is_closed


def test_busy_counts_what_is_arriving_and_in_hand() -> None:
    """Idle connections are not counted."""
    loop = FakeLoop()
    idle = FakeClient(LIMITS, loop=loop)
    connections = idle.connections
    arriving, busy = [FakeClient(LIMITS, loop=loop, connections=connections) for _ in range(2)]
    arriving.send(GET[:5])
    busy.site.answers_at_once = False
    busy.send(GET)

    assert len(connections) == 3
    assert connections.busy() == 2


def test_one_timer_serves_all_connections() -> None:
    """Each is late at its own time, whatever the order in which they came."""
    loop = FakeLoop()
    late = FakeClient(replace(LIMITS, header_timeout=30.0), loop=loop)
    early = FakeClient(LIMITS, loop=loop, connections=late.connections)
    loop.advance(10 + COARSE)
    assert (early.is_closed, late.is_closed) == (True, False)
    loop.advance(20 + COARSE)

    assert late.is_closed


def test_abort_closes_all_at_once() -> None:
    """The end of the worker."""
    client = slow_site()
    client.send(GET)
    client.connections.abort()
    client.loop.settle()

    assert client.is_closed
    assert len(client.connections) == 0
    assert client.connection.deadline == NEVER
