"""What stands for a worker in a test: the one place in which an app has started.

One per app, shared by all its clients, each of which is a browser; it is there from the first of
them to the last. All of it happens in the thread of the test. It is the engine of its apps: what
they ask is answered by the script of the client whose turn it is, and time is a number in a reply.
Nothing is sent, and nobody waits.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from skitai import rcache
from skitai.app import Application
from skitai.engine import Bundle, Call, DatabaseMembers, DatabaseServer, Held, Reply, Wish
from skitai.errors import WrongUse
from skitai.rcache import Memory
from skitai.seal import Seal
from skitai.session import Sessions
from skitai.wasc import Server, Wasc

from .database import Session
from .script import Script

HOST = "localhost"
PORT = 5000
SESSION_TIMEOUT = 1200  # seconds, as in a conf that does not say, like the others
CACHE_ENTRIES = 200
CACHE_SIZE = 64 * 1024 * 1024  # bytes


class NoCaches:
    """`was.cachefs` where nothing is passed on."""

    def status(self) -> dict[str, Any]:
        """See `skitai.resources`."""
        return {}


class Worker:
    """An `Engine`, and a loop for what is async.

    wishes: all that the app has asked of the master.
    """

    def __init__(self, app: Application) -> None:
        """Raises what a startup hook raises."""
        self._script = Script()  # whose turn it is
        self._failures: list[BaseException] = []  # of it, in this turn
        self.wishes: list[Wish] = []
        self._app = app
        self._out: dict[Call, list[Reply]] = {}  # what has not landed yet, the first first
        self._clients = 0
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._has_loop = False
        server = Server("test", "127.0.0.1", PORT, False, metadata.version("skitai"))
        sessions = Sessions(Seal([secrets.token_hex()]), SESSION_TIMEOUT)
        self.wasc = Wasc(self, server, sessions)
        self._cache = Memory(CACHE_ENTRIES, CACHE_SIZE)
        self.wasc.register("rcache", self._cache)
        self.wasc.register("cachefs", NoCaches())
        app.start(self.wasc)

    def enter(self) -> None:
        """One more client."""
        self._clients += 1

    def leave(self) -> None:
        """One less; after the last one the app is shut down."""
        self._clients -= 1
        if not self._clients:
            self._app.end(self.wasc)
            self.wasc.cleanup()
            self._runner.close()

    @contextmanager
    def turn(self, script: Script) -> Iterator[None]:
        """The app is at work for a client. A member that is asked may be the app itself.

        Raises what has gone wrong with the script, even if the app has caught it.
        """
        before = self._script, self._failures
        self._script, self._failures = script, []
        try:
            yield
            if self._failures:
                raise self._failures[0]
        finally:
            self._script, self._failures = before

    # --- skitai.engine.Engine ---

    def send(self, call: Call) -> None:
        """See `Engine.send`. Raises what `Script.replies` does."""
        key = rcache.key_of(call)
        stale = 0.0 if call.keep is None else call.keep.stale
        hit = None if key is None else self._cache.look(key, stale)
        if hit is None:
            self._ask(call)
            return
        hit.entry.give(call)
        self._out[call] = []
        if hit.is_due:
            again = Call(call.target, call.ask, 0.0, call.keep)
            self._ask(again)
            again.replies = [reply for reply in self._out.pop(again) if reply.elapsed < math.inf]
            self._keep_if_wanted(again)

    def _ask(self, call: Call) -> None:
        try:
            call.nodes, replies = self._script.replies(call)
        except BaseException as error:
            self._failures.append(error)
            raise
        call.sent_at = 0.0  # so a deadline is the timeout that the app has written
        self._out[call] = sorted(replies, key=lambda reply: reply.elapsed)

    def _keep_if_wanted(self, call: Call) -> None:
        keep = call.keep
        if keep is not None and not call.cached_time and rcache.is_good(call, keep):
            self._keep(call, keep.seconds, keep.stale)

    def _keep(self, call: Call, seconds: float, stale: float = 0.0) -> None:
        key = rcache.key_of(call)
        if key is not None:
            self._cache.put(key, rcache.entry_of(call, seconds, stale))

    def cancel(self, call: Call) -> None:
        """See `Engine.cancel`."""
        call.cancelled = True
        self._out.pop(call, None)

    def give_up(self, call: Call) -> None:
        self.cancel(call)  # no client leaves here

    def hold(self, target: DatabaseMembers | DatabaseServer, request: Any) -> Session:
        """See `Engine.hold`."""
        try:
            return self._script.session(target)
        except BaseException as error:
            self._failures.append(error)
            raise

    def let_go(self, held: Held, why: str) -> None:
        """See `Engine.let_go`."""
        assert isinstance(held, Session)
        held.end(why)

    def keep(self, call: Call, seconds: float) -> None:
        self._keep(call, seconds)

    def forget(self, call: Call) -> None:
        key = rcache.key_of(call)
        if key is not None:
            self._cache.drop(key)

    def wait(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        if _is_in_loop():
            raise WrongUse(
                "getwait() and getswait() would stop the event loop; "
                "in an async handler write: await s, or await s.wait(timeout)"
            )
        return self._land(call, wanted, deadline)

    async def wait_async(self, call: Call | Bundle, wanted: int, deadline: float) -> bool:
        return self._land(call, wanted, deadline)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """See `Engine.run`."""
        if not self._has_loop:
            self._has_loop = True  # a client that is never closed leaves no open loop behind
            weakref.finalize(self, self._runner.get_loop().close)
        return self._runner.run(coroutine)

    def want(self, wish: Wish) -> None:
        """See `Engine.want`."""
        self.wishes.append(wish)

    def _land(self, waited: Call | Bundle, wanted: int, deadline: float) -> bool:
        """The replies that would be there by then, each at its time."""
        calls = waited.calls if isinstance(waited, Bundle) else (waited,)
        while waited.landed < wanted:
            out = [call for call in calls if self._out[call]]
            if not out:
                return False
            call = min(out, key=lambda each: self._out[each][0].elapsed)
            timeout = round(deadline - call.sent_at, 6)  # as it was written
            if self._out[call][0].elapsed >= timeout:
                return False
            call.replies.append(self._out[call].pop(0))
            self._keep_if_wanted(call)
        return True


def worker_of(app: Application) -> Worker:
    """The one in which an app has started, or else starts now. Raises what startup raises."""
    engine = app._wasc.engine if app._wasc is not None else None
    return engine if isinstance(engine, Worker) and engine._clients else Worker(app)


def check_not_in_loop() -> None:
    """Raises WrongUse in a coroutine, in which neither handlers nor hooks could be waited for."""
    if _is_in_loop():
        raise WrongUse(
            "a client of skitai.testing is asked from a plain test, not from a coroutine; there"
            " write: await asyncio.to_thread(client.get, path)"
        )


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
