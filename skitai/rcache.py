"""The result cache: replies of calls, kept for whoever asks the same again.

What is kept are the bytes that came. Whoever is given them decodes and filters them for itself, so
what one handler does to a result is seen by no other.

`Memory` is the cache of one worker. It is asked from any thread; under its short lock nothing is
decoded and nothing waits. Its bounds hold at every moment.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from skitai import rows
from skitai.engine import (
    Call,
    DatabaseMembers,
    DatabaseServer,
    Keep,
    Members,
    Origin,
    Reach,
    Reply,
    Sql,
)

RETRY = 1.0  # seconds between attempts to refresh a stale entry; members that fail are not pressed
_STATEMENT = -1  # in the place of a page's redirects
_pack = msgspec.msgpack.Encoder().encode
OVERHEAD = 512  # bytes that an entry, and each reply in it, takes besides what was received


class Key(msgspec.Struct, frozen=True):
    """What a call asks, and whom. Two calls with the same key may share replies.

    Who a request is for is in its fields (a login, a cookie) or its body.
    """

    target: Origin | DatabaseServer | tuple[str, Reach]
    start: bytes
    fields: bytes
    body: bytes
    follow: int

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.start) + len(self.fields) + len(self.body)


class Entry(msgspec.Struct, frozen=True):
    """The replies of one call. cached_time: epoch seconds. seconds, stale: as of `Keep`."""

    replies: tuple[Reply, ...]
    nodes: tuple[str, ...]
    cached_time: float
    seconds: float
    stale: float

    @property
    def size(self) -> int:
        """Bytes, about."""
        fields = sum(len(name) + len(value) for each in self.replies for name, value in each.fields)
        bodies = sum(len(each.body) for each in self.replies)
        return fields + bodies + OVERHEAD * (1 + len(self.replies))

    def give(self, call: Call) -> None:
        """Answer a call with it."""
        call.nodes = self.nodes
        call.cached_time = self.cached_time
        call.replies = list(self.replies)


class Hit(NamedTuple):
    """What was found. is_due: it is stale, and whoever has found it has it asked for anew."""

    entry: Entry
    is_due: bool


class Store(Protocol):
    """Where replies are kept: the memory of a worker, or a server that many workers share."""

    @property
    def is_near(self) -> bool:
        """Whether `look` tells all there is, so that `fetch` is not needed."""

    @property
    def is_empty(self) -> bool:
        """Whether `look` would find nothing, whatever the key."""

    def look(self, key: Key, stale: float) -> Hit | None:
        """What is at hand without waiting. stale: how long after its time it is still of use."""

    def fetch(self, key: Key, stale: float, found: Callable[[Hit | None], None]) -> None:
        """The same, waiting if need be. On the loop, where `found` is called once."""

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, unless what is there is still fresh."""

    def drop(self, key: Key) -> None:
        """Forget what is kept for a key."""

    def clear(self) -> None:
        """Forget everything. On the loop."""

    def status(self) -> dict[str, Any]:
        """Figures, as names and plain values."""

    def close(self) -> None:
        """For the end of the worker."""


def key_of(call: Call) -> Key | None:
    """The key of a call; None for what is not kept: one with an upload, a transaction, a statement
    that writes. Two who say it mean it twice."""
    target, ask = call.target, call.ask
    whom: Origin | DatabaseServer | tuple[str, Reach]
    if isinstance(target, Members | DatabaseMembers):
        whom = (target.cluster, target.reach)
    elif isinstance(target, Origin | DatabaseServer):
        whom = target
    else:
        return None
    if isinstance(ask, Sql):
        if not ask.idempotent:
            return None
        return Key(whom, ask.text, b"", _pack((ask.params, ask.types, ask.formats)), _STATEMENT)
    if not isinstance(ask.body, bytes):
        return None
    return Key(whom, ask.start, ask.fields, ask.body, ask.follow)


def entry_of(call: Call, seconds: float, stale: float = 0.0) -> Entry:
    """The replies of a complete call, from now on. Not on the loop: rows are made bytes here."""
    replies = tuple([_as_bytes(each) for each in call.replies])
    return Entry(replies, call.nodes, time.time(), seconds, stale)


def _as_bytes(reply: Reply) -> Reply:
    if reply.answer is None:
        return reply
    return replace(reply, body=rows.packed(reply.answer), answer=None)


def is_good(call: Call, keep: Keep) -> bool:
    """Whether all replies of a call are here, and fit to be kept. It decodes them."""
    return call.is_complete and all(keep.is_good(reply) for reply in call.replies)


class _Kept:
    """An entry in its place. Times are those of the clock."""

    __slots__ = ("entry", "fresh_until", "refresh_at", "size", "until")

    def __init__(self, entry: Entry, size: int, now: float) -> None:
        self.entry = entry
        self.size = size
        self.fresh_until = self.refresh_at = now + entry.seconds
        self.until = self.fresh_until + entry.stale


class Memory:
    """A `Store`. When it is full, what was not used for longest is forgotten.

    entries, size: how many there may be, and how many bytes they may take, about; 0 entries: it
    keeps nothing. clock: of a monotonic time, in seconds.
    """

    is_near = True

    def __init__(
        self, entries: int, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries_max = entries
        self._size_max = size
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()  # the least recently used first
        self._size = 0
        self._hits = 0
        self._dropped = 0

    @property
    def is_empty(self) -> bool:
        """Whether nobody can find anything here."""
        return not self._kept

    def look(self, key: Key, stale: float) -> Hit | None:
        """See `Store`."""
        now = self._clock()
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            if now >= kept.until:
                self._forget(key)
                return None
            if now >= kept.fresh_until + stale:
                return None
            self._kept.move_to_end(key)
            self._hits += 1
            is_due = now >= kept.refresh_at
            if is_due:
                kept.refresh_at = now + RETRY
            return Hit(kept.entry, is_due)

    def fetch(self, key: Key, stale: float, found: Callable[[Hit | None], None]) -> None:
        """See `Store`."""
        found(self.look(key, stale))

    def put(self, key: Key, entry: Entry) -> None:
        """See `Store`. An entry that is larger than all may be is not kept."""
        size = key.size + entry.size
        now = self._clock()
        with self._lock:
            old = self._kept.get(key)
            if old is not None:
                if now < old.fresh_until:
                    return
                self._forget(key)
            if size > self._size_max or not self._entries_max:
                return
            while len(self._kept) >= self._entries_max or self._size + size > self._size_max:
                self._forget(next(iter(self._kept)))
                self._dropped += 1
            self._kept[key] = _Kept(entry, size, now)
            self._size += size

    def drop(self, key: Key) -> None:
        """See `Store`."""
        with self._lock:
            if key in self._kept:
                self._forget(key)

    def clear(self) -> None:
        """See `Store`. Figures go on."""
        with self._lock:
            self._kept.clear()
            self._size = 0

    def status(self) -> dict[str, Any]:
        """entries, bytes: what is of use now. dropped: what had to go before its time."""
        now = self._clock()
        with self._lock:
            for key in [key for key, kept in self._kept.items() if now >= kept.until]:
                self._forget(key)
            return {
                "entries": len(self._kept),
                "entries_max": self._entries_max,
                "bytes": self._size,
                "bytes_max": self._size_max,
                "hits": self._hits,
                "dropped": self._dropped,
            }

    def close(self) -> None:
        """See `Store`: it ends with the worker."""

    def _forget(self, key: Key) -> None:
        """With the lock held."""
        self._size -= self._kept.pop(key).size
