"""What stands for a worker in a test: the one place in which an app has started.

One per app, shared by all its clients, each of which is a browser; it is there from the first of
them to the last. All of it happens in the thread of the test. It is the engine of its apps: what
they ask is answered by the script of the client whose turn it is, and time is a number in a reply.
Nothing is sent, and nobody waits.
"""

from __future__ import annotations

import asyncio
import secrets
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from skitai.app import Application
from skitai.engine import Call, Reply, Wish
from skitai.errors import WrongUse
from skitai.seal import Seal
from skitai.session import Sessions
from skitai.wasc import Server, Wasc

from .script import Script

HOST = "localhost"
PORT = 5000
SESSION_TIMEOUT = 1200  # seconds, as in a conf that does not say


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
        try:
            call.nodes, replies = self._script.replies(call)
        except BaseException as error:
            self._failures.append(error)
            raise
        call.sent_at = 0.0  # so a deadline is the timeout that the app has written
        self._out[call] = sorted(replies, key=lambda reply: reply.elapsed)

    def cancel(self, call: Call) -> None:
        """See `Engine.cancel`."""
        call.cancelled = True
        self._out.pop(call, None)

    def wait(self, call: Call, wanted: int, deadline: float) -> bool:
        """See `Engine.wait`."""
        if _is_in_loop():
            raise WrongUse(
                "getwait() and getswait() would stop the event loop; "
                "in an async handler write: await s, or await s.wait(timeout)"
            )
        return self._land(call, wanted, deadline)

    async def wait_async(self, call: Call, wanted: int, deadline: float) -> bool:
        """See `Engine.wait_async`."""
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

    def _land(self, call: Call, wanted: int, deadline: float) -> bool:
        out = self._out[call]
        while out and out[0].elapsed < deadline and len(call.replies) < wanted:
            call.replies.append(out.pop(0))
        return len(call.replies) >= wanted


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
