"""The request that is arriving on one connection: what the parser has found of it so far.

Runs on the loop; httptools calls back here. Its law:

- A limit is enforced as soon as it is passed. All that is refused is a Refusal, raised out of
  the callbacks through the parser.
- The body goes to a sink that is chosen when the header is complete. Whatever ends the arrival
  before the body is whole abandons the sink.
- A complete request is the connection's, or its sink's and the connection's, and nothing here
  knows of it any more.
- A request whose body is passed on is the connection's when all is parsed that came with its
  header: what is malformed there has reached nobody.
"""

from __future__ import annotations

from time import monotonic
from typing import Protocol

import httptools

from skitai.caller import Caller
from skitai.request import Request
from skitaid.workers.settings import Limits

from . import upgrade
from .body import BodyOwner, BodySink, ChooseSink, StreamedSink
from .forwarded import Proxies
from .framing import Refusal
from .framing import read as read_framing

# Bytes that may come for each byte of a chunked body: chunks of one byte take 6. A guess; without
# any limit, chunk extensions and trailers would be a way to send for ever.
FRAMING_MAX = 16


class Owner(BodyOwner, Protocol):
    """The connection."""

    @property
    def takes_connect(self) -> bool:
        """Whether a tunnel can be asked for."""

    def wants_continue(self) -> None:
        """The client waits for a 100 before it sends the body; see `Arrival.continue_due`."""

    def arrived(self, request: Request, keep_alive: bool, sink: BodySink | None) -> None:
        """A request is here. sink: what still stores its body, None if it is complete."""

    def begun(self, request: Request, keep_alive: bool) -> None:
        """The header of a request is here; its body goes through `Request.incoming`."""

    def passed_on(self, keep_alive: bool) -> None:
        """And so is the end of that."""


class Arrival:
    """One at a time, over and over.

    is_receiving: a request has begun to arrive. None until the first one has.
    is_head_done: its header is complete.
    continue_due: its client waits for a 100.
    has_deadline: for the arrival of its header; the connection's.
    size: bytes that came since it began, without those behind another request. The connection
        counts them as they come.
    """

    __slots__ = (
        "_began",
        "_begun",
        "_body_since",
        "_body_size",
        "_caller",
        "_choose_sink",
        "_fields",
        "_header_max",
        "_is_body_apart",
        "_limits",
        "_owner",
        "_proxies",
        "_sent_id",
        "_sink",
        "_streamed",
        "_target",
        "continue_due",
        "has_deadline",
        "is_head_done",
        "is_receiving",
        "parser",
        "size",
    )

    def __init__(
        self,
        owner: Owner,
        caller: Caller,
        proxies: Proxies | None,
        limits: Limits,
        choose_sink: ChooseSink,
    ) -> None:
        """proxies: None for a caller that is no proxy which is trusted."""
        self._owner = owner
        self._caller = caller
        self._proxies = proxies
        self._limits = limits
        self._choose_sink = choose_sink
        # Bytes of a header that still arrives. It is over the limit at the latest at its end;
        # until then some of the bytes counted may be those of a request before it.
        self._header_max = limits.request_line + 2 * limits.header_size
        self._is_body_apart = False  # see `upgrade`: the message is complete for the parser only
        self._sink: BodySink | None = None
        self._streamed: StreamedSink | None = None  # the same, if it is one
        self._begun: Request | None = None  # the request of it, which nobody knows of yet
        self._body_since = 0.0
        self.is_receiving: bool | None = None
        self.continue_due = False
        self.size = 0
        self.parser = httptools.HttpRequestParser(self)

    # --- what the connection uses ---

    @property
    def is_caller_trusted(self) -> bool:
        """Whether it is a proxy that is believed."""
        return self._proxies is not None

    def feed_after_upgrade(self, data: bytes) -> None:
        """What comes behind a request that asked for another protocol.

        We switch to none, which the client must accept (RFC 9110 section 7.8), so it is the
        body, if there is one, or the next request.
        """
        while True:
            if self._is_body_apart:
                self._is_body_apart = False
                self.parser = upgrade.parser_of_body(self.parser, self._fields, self)
            else:
                self.parser = httptools.HttpRequestParser(self)
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as wish:
                data = data[wish.args[0] :]

    def go_on_after_upgrade(self) -> None:
        """A request that asked for another protocol, and had no body, did not get it."""
        self.parser = httptools.HttpRequestParser(self)

    def pass_on(self) -> None:
        """All that came with one read is parsed: let go on what need not wait for more."""
        begun, self._begun = self._begun, None
        if begun is not None:
            self._owner.begun(begun, self.parser.should_keep_alive())
        elif self._streamed is not None:
            self._streamed.flush()

    def excess(self) -> Refusal | None:
        """Whether too much has come for what there is to show for it."""
        if self.is_head_done:
            if self.size > FRAMING_MAX * self._body_size + self._header_max:
                return Refusal(400, "The body has far more framing than content.")
        elif self.size > self._header_max:
            return Refusal(431, "The request header is too large.")
        return None

    def time_from_now(self) -> float:
        """Seconds that the client has to go on, when it is free to."""
        self._body_since = 0.0
        limits = self._limits
        return limits.body_timeout if self.is_head_done else limits.header_timeout

    def body_deadline(self, now: float) -> float:
        """When more of the body must have come: soon, and sooner if it has been slow."""
        since = now
        limits = self._limits
        if self._body_since:
            since = min(now, self._body_since + self._body_size / limits.body_rate)
        else:
            self._body_since = now
        return since + limits.body_timeout

    def give_up(self) -> None:
        """What has begun to arrive never will, or is no longer wanted."""
        sink, self._sink = self._sink, None
        self._streamed = self._begun = None
        if sink is not None:
            sink.abandon()
        self.is_receiving = False
        self.size = 0

    def close(self) -> None:
        """The connection is lost."""
        self.give_up()
        # They hold each other: such a circle would wait for the collector.
        del self.parser, self._owner

    # --- httptools callbacks ---

    def on_message_begin(self) -> None:
        self._target = b""
        self._sent_id = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body_size = 0
        self._body_since = 0.0  # when we began to wait for the rest of its body; 0.0 not yet
        self.is_receiving = True
        self.is_head_done = False
        self.has_deadline = False
        self._began = monotonic()

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > self._limits.request_line:
            raise Refusal(414, "The request line is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_head_done:  # a trailer field; it must not pass for a header
            if self._sink is not None and self._sink.streamed is not None:
                self._sink.streamed.trailer(name, value)
            return
        self._fields.append((name, value))
        if len(self._fields) > self._limits.headers:
            raise Refusal(431, f"More than {self._limits.headers} header fields.")

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT" and not self._owner.takes_connect:
            # What follows was meant for the tunnel, whoever wrote it: it is no request of this
            # client (RFC 9110 section 9.3.6).
            raise Refusal(501, "This server makes no tunnels.")
        framing = read_framing(self._fields, self.parser.get_http_version())
        self._sent_id = framing.sent_id
        if not 0 < self.size <= self._limits.header_size:  # 0: it came behind another
            size = sum(len(name) + len(value) + 4 for name, value in self._fields)
            if size > self._limits.header_size:
                raise Refusal(431, "The request header is too large.")
        self.is_head_done = True
        if framing.length or framing.is_chunked:
            method = self.parser.get_method().decode("ascii")
            self._sink = sink = self._choose_sink(
                method, self._target, self._fields, framing, self._owner
            )
            self._is_body_apart = self.parser.should_upgrade()
            self._streamed = streamed = sink.streamed
            if streamed is not None:
                self._begun = self._request()
                self._begun.incoming = streamed
            if framing.wants_continue:
                self.continue_due = True
                if streamed is None:  # else it is the member's to say
                    self._owner.wants_continue()

    def on_body(self, piece: bytes) -> None:
        self.continue_due = False  # the client has not waited for it
        self._body_size += len(piece)
        assert self._sink is not None
        self._sink.feed(piece)

    def on_message_complete(self) -> None:
        if self._is_body_apart:
            return
        if self._sink is None:
            self.is_receiving = False
            self.continue_due = False
            self.size = 0
            self._owner.arrived(self._request(), self.parser.should_keep_alive(), None)
        else:
            self._body_complete(self._sink)

    def _body_complete(self, sink: BodySink) -> None:
        keep_alive = self.parser.should_keep_alive()
        streamed, request = self._streamed, self._begun
        if streamed is not None and request is None:  # which has been handed over
            self._sink = self._streamed = None
            self._over()
            streamed.end()
            self._owner.passed_on(keep_alive)
            return
        request = request or self._request()
        request.taken = monotonic()
        is_complete = sink.finish(request)
        self._sink = self._streamed = self._begun = None
        self._over()
        self._owner.arrived(request, keep_alive, None if is_complete else sink)

    def _over(self) -> None:
        """The request is here."""
        self.is_receiving = False
        self.continue_due = False
        self.size = 0

    def _request(self) -> Request:
        """What its header says."""
        parser = self.parser
        caller = self._caller
        return Request(
            parser.get_method().decode("ascii"),
            self._target,
            self._fields,
            b"",
            parser.get_http_version(),
            caller if self._proxies is None else self._proxies.caller(caller, self._fields),
            self._began,
            self._sent_id,
        )
