"""The way of a request through the cache of a cluster: a kept answer, a wait, or the member.

Runs on the loop. The rules are `proxy_cache_rules`, the book is `proxy_cache`. Its law:

- Of several requests for one thing that is not kept one is passed on, the others wait for it
  (`Flight`). When its answer is kept they get it; when it turns out not to be, they are passed on
  at once, and for `APART` seconds nobody waits for that thing.
- A flight is over exactly once, whatever becomes of its request: nobody waits for one that is.
- Nobody waits for a slow client: when the one whose flight it is does not read, or `PATIENCE` is
  over, the others are passed on by themselves.
- Bodies that are on their way to be kept are not more than the limit, all together.
- A stale answer is not given unless the member was asked and failed, and the answer allows that.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from skitai.request import Request

from . import answers, conditions, proxy_fields, reply
from . import proxy_cache_rules as rules
from .connection import ClientConnection
from .proxy_cache import Kept, Store
from .proxy_cache_rules import Wish

APART = 10.0  # seconds
PATIENCE = 5.0  # seconds; nginx's proxy_cache_lock_timeout
APART_MAX = 1024  # things that are known not to be kept

_CONDITIONS = re.compile(rb"^if-(?:none-match|modified-since):[^\r\n]*\r\n", re.I | re.M)


class Turn:
    """One request that is passed on, as its `ProxyCall` lets the cache look at it."""

    def __init__(self, caching: Caching, key: bytes) -> None:
        self._caching = caching
        self._key = key

    def answered(self, code: int, reason: bytes, fields: rules.Fields, host: bytes) -> Kept | None:
        """The header of the answer is here. What is to be given in its place, if anything.

        host: what the member was called.
        """
        if code < 400:  # section 4.4: what was changed is not what is kept
            self._caching.store.drop(self._key)
        return None

    def more(self, pieces: list[bytes], is_whole: bool) -> None:
        """Of its body."""

    def failed(self) -> Kept | None:
        """There is no answer. What is to be given in its place, if anything."""
        return None

    def release(self) -> None:
        """It takes its time: nobody is to wait for it."""

    def over(self) -> None:
        """Whatever has become of it; may be said twice."""


class Asking(Turn):
    """One whose answer may be kept. before: a stale answer."""

    def __init__(
        self,
        caching: Caching,
        key: bytes,
        wanted: Wish,
        known: dict[bytes, list[bytes]],
        before: Kept | None,
        prefix: bytes,
    ) -> None:
        super().__init__(caching, key)
        self._wanted = wanted
        self._known = known
        self._before = before
        self._prefix = prefix
        self._asked = time.time()
        self._kept: Kept | None = None  # when its body is here
        self._body: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting: list[Waiting] = []

    def answered(self, code: int, reason: bytes, fields: rules.Fields, host: bytes) -> Kept | None:
        before, now = self._before, time.time()
        if before is not None and code == 304:
            fields = rules.refreshed(before.fields, fields)
            kept = self._judged(before.code, before.reason, fields, host, before.body, now)
            if kept is not None:
                self._caching.store.keep(self._key, kept)
            else:
                self._caching.store.drop(self._key)
                self._caching.not_kept(self._key)
            return kept or before
        if code in rules.ERRORS and (instead := self.failed()) is not None:
            return instead
        self._kept = self._judged(code, reason, fields, host, b"", now)
        if self._kept is None:
            if before is not None and code not in rules.ERRORS:  # section 4.3.3: it is no more
                self._caching.store.drop(self._key)
            self._caching.not_kept(self._key)
            self.over()
        return None

    def _judged(
        self, code: int, reason: bytes, fields: rules.Fields, host: bytes, body: bytes, now: float
    ) -> Kept | None:
        known = rules.grouped(fields)
        terms = rules.terms(code, known, self._wanted, self._asked, now)
        names = rules.varies_by(known)
        if terms is None or names is None or not _is_framed(known):
            return None
        lines, apart = proxy_fields.of_response(fields)
        if b"location" in apart:
            named = proxy_fields.location(apart[b"location"][0], host, self._prefix)
            lines.append(b"Location: %b\r\n" % named)
        lines.append(b"Date: %b\r\n" % apart[b"date"][0] if b"date" in apart else reply.date_line())
        shown = b"".join(line for line in lines if not line.lower().startswith(b"age:"))
        values = rules.selected(names, self._known)
        return Kept(code, reason, fields, shown, body, terms, names, values)

    def more(self, pieces: list[bytes], is_whole: bool) -> None:
        if self._kept is None:
            return
        size = sum(map(len, pieces))
        self._size += size
        self._caching.gathered += size
        if self._size > self._caching.store.largest or self._caching.is_gathering_too_much:
            self._caching.not_kept(self._key)
            self.over()
            return
        self._body += pieces
        if is_whole:
            self._caching.store.keep(self._key, self._kept.with_body(b"".join(self._body)))

    def failed(self) -> Kept | None:
        # Those that wait would fail one after the other, each as late as this one.
        self._caching.not_kept(self._key)
        before = self._before
        if before is None or not rules.is_usable_on_error(before.terms, self._wanted, time.time()):
            return None
        return before

    def join(self, waiting: Waiting) -> None:
        """Somebody waits for the same."""
        self.waiting.append(waiting)
        if self._timer is None:
            self._timer = self._caching.loop.call_later(PATIENCE, self.release)

    def release(self) -> None:
        self._let_go(alone=True)

    def over(self) -> None:
        self._kept = None
        self._body.clear()
        self._caching.gathered -= self._size
        self._size = 0
        self._let_go(alone=False)

    def _let_go(self, *, alone: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._caching.landed(self._key, self)
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.go_on(alone)


class Waiting:
    """A request that waits for the flight of another one: `connection.Passer`."""

    def __init__(
        self,
        client: ClientConnection,
        request: Request,
        flight: Asking,
        go_on: Callable[[bool], None],
    ) -> None:
        """go_on: called when the wait is over, with whether not to wait again."""
        self._client = client
        self._request = request
        self._flight = flight
        self._go_on = go_on
        client.passing = self
        flight.join(self)

    def client_left(self, is_lost: bool) -> None:
        self._client.passing = None
        self._flight.waiting.remove(self)
        if not is_lost:
            self._client.drop(self._request)

    def client_slow(self, is_slow: bool) -> None:
        """Nothing is sent yet."""

    def go_on(self, alone: bool) -> None:
        """The wait is over."""
        self._client.passing = None
        self._go_on(alone)


class Caching:
    """The cache of one cluster. name: of the server, for Cache-Status."""

    def __init__(self, loop: asyncio.AbstractEventLoop, store: Store, name: str) -> None:
        self.loop = loop
        self.store = store
        self._name = name.encode()
        self.gathered = 0  # bytes of bodies that are not whole yet
        self._flights: dict[bytes, Asking] = {}
        self._apart: dict[bytes, float] = {}  # by key, until when; monotonic

    def answer(
        self,
        client: ClientConnection,
        request: Request,
        key: bytes,
        prefix: bytes,
        ask: Callable[[Turn | None, bytes | None], None],
        alone: bool = False,
    ) -> None:
        """Answer a request without a body, now or later.

        ask: passes it on. Its second argument is lines that take the place of the request's own
        conditions; None leaves those. alone: without waiting for others.
        """
        known = rules.grouped(request.fields)
        wanted = rules.wish(request.method, known)
        if wanted is None:
            ask(None, None)
            return
        for name in proxy_fields.tokens(known.get(b"connection", [])):
            known.pop(name, None)  # the member is not told, so its answer does not depend on it
        kept, now = self.store.find(key, known), time.time()
        if kept is not None and rules.is_usable(kept.terms, wanted, now):
            self.store.hits += 1
            self.give(client, request, kept)
            return
        if kept is not None and wanted.has_cookies and not kept.terms.is_for_all:
            kept = None  # made for others: it is not asked about, nor forgotten
        if wanted.only_if_kept:
            answers.error(client, request, 504, "There is no kept answer to this request.")
            return
        if request.method == "HEAD":  # without the body its answer is none to keep
            ask(None, None)
            return
        flight = self._flights.get(key)
        if flight is not None and not (wanted.must_ask or alone):
            Waiting(
                client,
                request,
                flight,
                lambda alone: self.answer(client, request, key, prefix, ask, alone),
            )
            return
        self.store.misses += 1
        turn = Asking(self, key, wanted, known, kept, prefix)
        if flight is None and not (alone or self._is_apart(key)):
            self._flights[key] = turn
        ask(turn, _conditions(kept))

    @property
    def is_gathering_too_much(self) -> bool:
        """Clients that read slowly must not have more held here than may be kept."""
        return self.gathered > self.store.limit

    def changing(self, key: bytes) -> Turn:
        """For a request that may change what is kept."""
        return Turn(self, key)

    def landed(self, key: bytes, turn: Asking) -> None:
        """A turn is over."""
        if self._flights.get(key) is turn:
            del self._flights[key]

    def not_kept(self, key: bytes) -> None:
        """Its answer is not to be kept; so likely are the next ones."""
        self._apart.pop(key, None)
        self._apart[key] = time.monotonic() + APART
        if len(self._apart) > APART_MAX:
            del self._apart[next(iter(self._apart))]

    def _is_apart(self, key: bytes) -> bool:
        until = self._apart.get(key)
        if until is None:
            return False
        if time.monotonic() < until:
            return True
        del self._apart[key]
        return False

    def give(self, client: ClientConnection, request: Request, kept: Kept) -> None:
        """Answer with what is kept."""
        now = time.time()
        age = kept.terms.age(now)
        code, reason, body = kept.code, kept.reason, kept.body
        if code == 200 and _has_it(request, kept):
            code, reason, body = 304, b"Not Modified", b""
        keep_alive = client.keep_alive
        parts = [
            proxy_fields.status_line(code, reason),
            kept.lines,
            # RFC 9111 section 5.1, RFC 9211.
            b"Age: %d\r\nCache-Status: %b; hit; ttl=%d\r\n"
            % (age, self._name, kept.terms.lifetime - age),
        ]
        if code not in reply.BODILESS:
            parts.append(b"Content-Length: %d\r\n" % len(body))
        if not keep_alive:
            parts.append(b"Connection: close\r\n")
        elif request.version == "1.0":
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"\r\n")
        if request.method != "HEAD":
            parts.append(body)
        client.respond(request, b"".join(parts), keep_alive)


def _has_it(request: Request, kept: Kept) -> bool:
    """Whether the client's own conditions say that it has this answer (section 4.3.2)."""
    etag = (kept.field(b"etag") or b"").strip().removeprefix(b"W/")
    modified = rules.date([kept.field(b"last-modified") or b""])
    never = float("inf") if modified is None else modified
    return conditions.status(request, etag, never) == 304


def _conditions(kept: Kept | None) -> bytes:
    """The lines that ask whether a stale answer is still right (section 4.3.1)."""
    if kept is None:
        return b""
    etag, modified = kept.field(b"etag"), kept.field(b"last-modified")
    lines = b"If-None-Match: %b\r\n" % etag if etag is not None else b""
    return lines + (b"If-Modified-Since: %b\r\n" % modified if modified is not None else b"")


def with_conditions(lines: bytes, conditions: bytes) -> bytes:
    """Header lines with these conditions in place of others."""
    return _CONDITIONS.sub(b"", lines) + conditions


def _is_framed(known: dict[bytes, list[bytes]]) -> bool:
    """Whether its end is told by more than that of the connection, which may have been cut."""
    return b"content-length" in known or b"transfer-encoding" in known
