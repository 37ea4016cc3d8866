"""The result cache of several machines: a Valkey or Redis server.

Runs on the loop, except for `put` and `drop`, which are posted to it. A server that fails is a
cache that is empty: whoever asks is told so within `TIMEOUT`, and for `REST` it is left alone. The
log tells of it when that begins. Nobody is ever kept longer from the members.

Keys begin with the name of the server, as the same cluster name may mean something else in another
conf. What an entry holds is read as data of known types, never as code.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from skitai.rcache import RETRY, Entry, Hit, Key
from skitaid.workers.handoff import Handoff

from . import resp

log = logging.getLogger(__name__)

TIMEOUT = 0.5  # seconds for all of one look; a member is asked sooner than a hung cache waited for
REST = 1.0  # seconds after a failure

# A step of SCAN, so that a server with many keys is never busy with it for long. What is left to
# see begins at the cursor that comes back.
_FORGET_SOME = b"""\
local found = redis.call("SCAN", ARGV[1], "MATCH", ARGV[2], "COUNT", 1000)
if #found[2] > 0 then redis.call("UNLINK", unpack(found[2])) end
return found[1]
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
_FAILURES = (OSError, TimeoutError, msgspec.MsgspecError)


class SharedStore:
    """A `skitai.rcache.Store`. url: see `resp.parse_url`. name: of the server."""

    is_near = False
    is_empty = True  # to whoever does not wait

    def __init__(self, loop: asyncio.AbstractEventLoop, url: str, name: str, handoff: Handoff):
        """Raises ValueError for a URL that is none of a server."""
        self._loop = loop
        self._place = resp.parse_url(url)
        self._prefix = f"skitai:{name}:".encode()
        self._handoff = handoff
        self._connection: resp.RespConnection | None = None
        self._connecting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rests_until = 0.0
        self._is_away = False
        self._hits = 0
        self._failures = 0

    def look(self, key: Key, stale: float) -> Hit | None:
        """See `Store`: nothing is at hand."""
        return None

    def fetch(self, key: Key, stale: float, found: Callable[[Hit | None], None]) -> None:
        """See `Store`."""
        if time.monotonic() < self._rests_until:
            found(None)
        else:
            self._spawn(self._fetch(self._name(key), stale, found))

    def put(self, key: Key, entry: Entry) -> None:
        """See `Store`."""
        self._handoff.post(_Spawn(self, self._put, (self._name(key), entry)))

    def drop(self, key: Key) -> None:
        """See `Store`."""
        self._handoff.post(_Spawn(self, self._ask, (b"DEL", self._name(key))))

    def clear(self) -> None:
        """See `Store`: what servers of this name keep, whichever worker or machine put it there."""
        self._spawn(self._clear())

    def status(self) -> dict[str, Any]:
        """failures: exchanges with the server that failed."""
        return {"hits": self._hits, "failures": self._failures}

    def close(self) -> None:
        """See `Store`."""
        for task in self._tasks:
            task.cancel()
        if self._connection is not None:
            self._connection.abort()

    # --- on the loop ---

    def start(self, act: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...]) -> None:
        """Do something that nobody waits for, unless the server is left alone."""
        if time.monotonic() >= self._rests_until:
            self._spawn(self._bounded(act(*args)))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, name: bytes, stale: float, found: Callable[[Hit | None], None]) -> None:
        found(await self._bounded(self._hit(name, stale)))

    async def _bounded(self, exchange: Coroutine[Any, Any, Any]) -> Any:
        """What comes of it; None if that is a failure."""
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await exchange
        except _FAILURES as error:
            self._failed(error)
            return None
        self._is_away = False
        return answer

    async def _hit(self, name: bytes, stale: float) -> Hit | None:
        entry = await self._kept(name)
        if entry is None:
            return None
        left = entry.cached_time + entry.seconds - time.time()
        if left + min(stale, entry.stale) <= 0:
            return None
        self._hits += 1
        if left > 0:
            return Hit(entry, False)
        # Of all workers of all machines the one that sets this refreshes it.
        once = (b"NX", b"PX", b"%d" % (RETRY * 1000))
        is_due = await self._ask(b"SET", name + b":due", b"", *once)
        return Hit(entry, is_due is not None)

    async def _put(self, name: bytes, entry: Entry) -> None:
        old = await self._kept(name)
        milliseconds = int((entry.seconds + entry.stale) * 1000)
        is_fresh = old is not None and time.time() < old.cached_time + old.seconds
        if milliseconds > 0 and not is_fresh:
            await self._ask(b"SET", name, _encode(entry), b"PX", b"%d" % milliseconds)

    async def _clear(self) -> None:
        cursor = b""
        while cursor != b"0":
            words = (b"EVAL", _FORGET_SOME, b"0", cursor or b"0", self._prefix + b"*")
            next_one = await self._bounded(self._ask(*words))
            cursor = next_one if isinstance(next_one, bytes) else b"0"  # it has failed

    async def _kept(self, name: bytes) -> Entry | None:
        data = await self._ask(b"GET", name)
        return _decode(data) if isinstance(data, bytes) else None

    async def _ask(self, *words: bytes) -> resp.Answer:
        connection = self._connection
        if connection is None or not connection.is_open:
            async with self._connecting:
                connection = self._connection
                if connection is None or not connection.is_open:
                    connection = self._connection = await resp.connect(self._place)
        return await connection.ask(*words)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if not self._is_away:
            self._is_away = True
            reason = str(error) or f"no answer within {TIMEOUT:g} s"
            log.warning("result_cache cannot be used, members are asked instead: %s", reason)
        self._rests_until = time.monotonic() + REST

    def _name(self, key: Key) -> bytes:
        return self._prefix + hashlib.sha256(_encode(key)).hexdigest().encode()


class _Spawn(msgspec.Struct, frozen=True):
    store: SharedStore
    act: Callable[..., Coroutine[Any, Any, Any]]
    args: tuple[Any, ...]

    def on_loop(self) -> None:
        self.store.start(self.act, self.args)
