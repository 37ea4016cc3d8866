"""Takes connections from the listener that all workers share.

Runs on the loop. A worker that should leave the next connection to a sibling looks away for a
moment instead of spinning on a socket that stays readable; if the connection is still there
after that, whoever should have taken it is stuck, and it is taken all the same. So a sibling
that hangs costs a new client `PAUSE`, and never its connection.

A worker that may open no more descriptors looks away too, for longer. Whoever connects waits in
the kernel's queue for it or for a sibling. It is said once, and once when nobody waits any more:
at the limit connections come and go, and each that goes lets one in.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from skitaid.workers.scoreboard import Field, Slot

from .accepting import Load, should_accept
from .connections import Connections
from .preamble import read_address
from .proxy_protocol import NoHeader
from .sockets import ip_address

log = logging.getLogger(__name__)

PAUSE = 0.002  # seconds; a sibling that is awake accepts within a fraction of it
BATCH = 16  # connections taken before the loop does something else
HANDSHAKE_GRACE = 2.0  # seconds for those who are at it when the worker leaves
SHUTDOWN_TIMEOUT = 2.0  # seconds for a client to agree to the end of TLS; nobody waits for it
EXHAUSTED_PAUSE = 0.5  # seconds, when the system gives no more descriptors
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Acceptor:
    """One worker's view of the listener."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        protocol: Callable[[str], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_timeout: float,
        connections: Connections,
        slot: Slot,
        siblings: Callable[[], list[Slot]],
        begins_with_header: Callable[[str], bool] | None = None,
    ) -> None:
        """protocol: made with the address that a PROXY header names, "" for none.

        begins_with_header: whether connections from this address begin with one; None: never.
        """
        self._loop = loop
        self._listener = listener
        self._protocol = protocol
        # uvloop takes the times of a handshake only with a context
        self._how: dict[str, Any] = {}
        if tls is not None:
            self._how = {
                "ssl": tls,
                "ssl_handshake_timeout": handshake_timeout,
                "ssl_shutdown_timeout": SHUTDOWN_TIMEOUT,
            }
        self._connections = connections
        self._slot = slot
        self._siblings = siblings
        self._begins_with_header = begins_with_header
        self._handshake_timeout = handshake_timeout
        self._pause: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._is_exhausted = False  # since it was said, and until nobody waits

    def open(self) -> None:
        """Begin."""
        self._is_open = True
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener.fileno(), self._readable)

    def drain(self) -> None:
        """Take what has arrived already, then no more.

        Nobody else may be left who would; the siblings' and the master's listener stay open.
        """
        if self._is_open:
            self._stop()
            while self._accept():
                pass
            self._listener.close()
            self._loop.call_later(HANDSHAKE_GRACE, self._give_up)

    def close(self) -> None:
        """Take no more, and give up what is being set up."""
        if self._is_open:
            self._stop()
            self._listener.close()
        self._give_up()

    def _give_up(self) -> None:
        """Those who have not come so far that they could ask for anything."""
        for task in self._connecting:
            task.cancel()

    def _stop(self) -> None:
        self._is_open = False
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener.fileno())

    def _readable(self) -> None:
        for _ in range(BATCH):
            if not self._should_accept():
                self._look_away(PAUSE)
                return
            if not self._accept():
                return

    def _should_accept(self) -> bool:
        siblings = self._siblings()
        return not siblings or should_accept(_load(self._slot), map(_load, siblings))

    def _look_away(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._pause = self._loop.call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        """Nobody wanted what is still there."""
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._readable)
        if self._accept() and self._is_exhausted:
            self._readable()  # nothing may wake us if that was the last one

    def _accept(self) -> bool:
        """Take one connection, if there is one."""
        try:
            connection, peer = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            if self._is_exhausted:
                self._is_exhausted = False
                log.info("connections are accepted again")
            return False
        except ConnectionAbortedError:  # the client gave up while it waited
            return True
        except OSError as error:
            self._cannot_accept(error)
            return False
        connection.setblocking(False)
        self._connections.arriving()
        task = self._loop.create_task(self._serve(connection, peer))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return True

    def _cannot_accept(self, error: OSError) -> None:
        if error.errno not in _EXHAUSTED:
            raise error
        if not self._is_exhausted:
            self._is_exhausted = True
            log.error("no connection can be accepted: %s; see ulimit -n", error.strerror)
        if self._is_open and self._pause is None:
            self._look_away(EXHAUSTED_PAUSE)

    async def _serve(self, connection: socket.socket, peer: object) -> None:
        begins, client = self._begins_with_header, ""
        try:
            if begins is not None and begins(ip_address(peer)):
                async with asyncio.timeout(self._handshake_timeout):
                    client = await read_address(self._loop, connection)
            made = partial(self._protocol, client)
            await self._loop.connect_accepted_socket(made, connection, **self._how)
        except NoHeader as error:
            log.warning(
                "%s is to begin with a PROXY header: %s", ip_address(peer) or "unix:", error
            )
            connection.close()
        except (OSError, ssl.SSLError) as error:  # a handshake that failed is the client's affair
            log.debug("a connection came to nothing: %s", error)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            self._connections.arrived()


def _load(slot: Slot) -> Load:
    return Load(slot[Field.CONNECTIONS], slot[Field.IN_FLIGHT], slot[Field.THREADS])
