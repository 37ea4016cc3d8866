"""Call handles: what `was.wget`, `was.rpc`, `was.map` and `was.lb` give back.

A handle sends without blocking and collects later. Collecting is one generator that says how
many replies it needs next; a sync handler drives it by parking its thread, an async handler by
awaiting, and neither way knows sockets.

A handle belongs to the handler that made it and is used by one thread at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from skitai import decoding
from skitai.engine import Ask, Call, Engine, Members, Origin, Reach, Reply
from skitai.errors import WrongUse
from skitai.results import Result, Results, Status
from skitai.wire import jsonrpc, xmlrpc

Filter = Callable[[Result], object]
Collecting = Generator[int, bool | None, Results]  # see Handle._collect

DEFAULT_TIMEOUT = 3.0  # seconds, from sending; what getwait() has always waited
ABANDONED_AFTER = 30.0  # seconds: a call that nobody waits for is given up on the loop

_USER_AGENT = b"User-Agent: Skitai\r\n"


class Handle:
    """One call, to one server or to all members of a cluster.

    A filter is called with each `Result` as it lands, on the waiting handler's own thread,
    while the other members are still out; it changes the result in place. It also sees the
    results of members that failed or did not answer in time.
    """

    def __init__(self, engine: Engine, target: Origin | Members, filter: Filter | None) -> None:
        self._engine = engine
        self._target = target
        self._filter = filter
        self._call: Call | None = None
        self._decode: decoding.Decode = decoding.http
        self._results: Results | None = None
        self._is_broken = False  # the filter raised

    def getwait(self, timeout: float | None = None) -> Result:
        """Wait for the result of a call to one server. The handler's run slot is free meanwhile.

        timeout: seconds since the call was sent, 3 by default; at its end the status is TIMEOUT
            and the call is cancelled.
        Raises WrongUse, without waiting, when nothing was called, or several members were.
        """
        asked = len(self._sent().nodes)
        if asked != 1:
            raise WrongUse(f"{asked} members were asked: take their results with getswait()")
        return self.getswait(timeout)[0]

    def getswait(self, timeout: float | None = None) -> Results:
        """Wait for the results of all members, in the order of the conf; see `getwait`."""
        if self._results is None:
            call, deadline = self._sent(), self._deadline(timeout)
            collecting = self._collect(call, deadline)
            answer: bool | None = None
            while (wanted := self._next(collecting, answer)) is not None:
                answer = self._engine.wait(call, wanted, deadline)
            assert self._results is not None
        return self._results

    def wait(self, timeout: float | None = None) -> Awaitable[Result | Results]:
        """For async handlers: `await s.wait(2)`; `await s` is the same with the default timeout.

        Gives a Result for a call to one server, Results for a map.
        """
        return self._wait(timeout)

    def __await__(self) -> Generator[Any, None, Result | Results]:
        return self._wait(None).__await__()

    async def _wait(self, timeout: float | None) -> Result | Results:
        if self._results is None:
            call, deadline = self._sent(), self._deadline(timeout)
            collecting = self._collect(call, deadline)
            answer: bool | None = None
            try:
                while (wanted := self._next(collecting, answer)) is not None:
                    answer = await self._engine.wait_async(call, wanted, deadline)
            except asyncio.CancelledError:
                self._engine.cancel(call)
                raise
        assert self._results is not None
        return self._results if self._asks_all else self._results[0]

    def _next(self, collecting: Collecting, answer: bool | None) -> int | None:
        """How many replies are needed next; None when the results are complete, and kept."""
        try:
            return collecting.send(answer)
        except StopIteration as done:
            self._results = done.value
            return None

    def _send(self, ask: Ask, decode: decoding.Decode) -> None:
        if self._call is not None:
            raise WrongUse("this call handle was used already; make a new one for another call")
        call = Call(self._target, ask, ABANDONED_AFTER)
        self._decode = decode
        self._engine.send(call)
        self._call = call

    def _sent(self) -> Call:
        if self._call is None:
            raise WrongUse("nothing was called yet: s = was.rpc(url); s.method(...); s.getwait()")
        if self._is_broken:
            raise WrongUse("the filter of this call raised, so there are no results to wait for")
        return self._call

    @property
    def _asks_all(self) -> bool:
        return isinstance(self._target, Members) and self._target.reach is Reach.ALL

    def _deadline(self, timeout: float | None) -> float:
        call = self._sent()
        if timeout is not None and not timeout >= 0.0:  # which NaN is not either
            raise WrongUse(f"the timeout {timeout!r} is not a number of seconds from 0 on")
        deadline = call.sent_at + (DEFAULT_TIMEOUT if timeout is None else timeout)
        call.expires = max(call.expires, deadline)
        return deadline

    def _collect(self, call: Call, deadline: float) -> Collecting:
        """Yields how many replies are needed; is sent True when they are in, False at the end."""
        members = len(call.nodes)
        results: list[Result | None] = [None] * members
        taken = 0
        in_time: bool | None = True
        while taken < members and in_time:
            in_time = yield taken + 1 if self._filter else members
            for reply in call.replies[taken:]:
                results[reply.member] = self._result(reply)
                taken += 1
        if taken < members:
            self._engine.cancel(call)
        waited = deadline - call.sent_at
        return Results(
            [
                self._result(_late(index, node, waited)) if result is None else result
                for index, (node, result) in enumerate(zip(call.nodes, results, strict=True))
            ]
        )

    def _result(self, reply: Reply) -> Result:
        result = self._decode(reply)
        if self._filter is not None:
            try:
                self._filter(result)
            except BaseException:
                self._engine.cancel(self._sent())  # nobody will take the others' results
                self._is_broken = True
                raise
        return result


def _late(member: int, node: str, waited: float) -> Reply:
    msg = f"no answer from {node} within {waited:g} s"
    return Reply(member, node, Status.TIMEOUT, 0, msg, (), b"", waited)


class HttpHandle(Handle):
    """A plain HTTP request, sent when the handle is made."""

    def __init__(
        self,
        engine: Engine,
        target: Origin | Members,
        ask: Ask,
        filter: Filter | None,
    ) -> None:
        super().__init__(engine, target, filter)
        self._send(ask, decoding.http)


class RpcHandle(Handle):
    """A remote object: `s.search("Mozart")`, `s.catalog.search("Mozart")` send a call.

    XML-RPC takes positional arguments, JSON-RPC positional or named ones.
    """

    def __init__(
        self,
        engine: Engine,
        target: Origin | Members,
        path: bytes,
        is_xml: bool,
        filter: Filter | None,
    ) -> None:
        super().__init__(engine, target, filter)
        self._path = path
        self._is_xml = is_xml

    def __getattr__(self, name: str) -> Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return Method(self, name)

    def _call_method(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._is_xml:
            if kwargs:
                raise WrongUse(f"XML-RPC has no named arguments, but {name} was given some")
            ask = post(self._path, b"text/xml", xmlrpc.dump_call(name, args))
            self._send(ask, decoding.xml_rpc)
            return
        if args and kwargs:
            raise WrongUse(f"JSON-RPC takes positional or named arguments; {name} was given both")
        ask = post(self._path, b"application/json-rpc", jsonrpc.dump_call(name, kwargs or args))
        self._send(ask, decoding.json_rpc)


class Method:
    """A dotted method name on its way to being called."""

    __slots__ = ("_handle", "_name")

    def __init__(self, handle: RpcHandle, name: str) -> None:
        self._handle = handle
        self._name = name

    def __getattr__(self, name: str) -> Method:
        return Method(self._handle, f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Send the call. Raises TypeError for a value the format cannot carry."""
        self._handle._call_method(self._name, args, kwargs)


def get(path: bytes, fields: bytes = b"") -> Ask:
    """A GET request."""
    return Ask(b"GET " + path + b" HTTP/1.1\r\n", _USER_AGENT + fields, b"", idempotent=True)


def post(path: bytes, content_type: bytes, body: bytes, fields: bytes = b"") -> Ask:
    """A POST request with a body."""
    fields = b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b" % (
        _USER_AGENT,
        content_type,
        len(body),
        fields,
    )
    return Ask(b"POST " + path + b" HTTP/1.1\r\n", fields, body, idempotent=False)
