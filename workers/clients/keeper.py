"""Keeps the connections to one server: does what the pool's book says.

Runs on the loop. Opens, hands out, takes back, closes idle ones before the server does.
A connection that the server closes while it is idle leaves the book at once, so a dead one is
never handed out knowingly.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from skitaid.workers.settings import ClientLimits

from .dial import Address, NoTunnel, dial
from .http_connection import HttpConnection
from .names import Names
from .pool import Pool
from .streamed_connection import StreamedConnection

log = logging.getLogger(__name__)

IDLE_SECONDS = 55.0  # below the 60 s at which common servers and balancers close; see also below
MARGIN = 1.0  # seconds: how much sooner than the server says we stop using a connection


_LIMITS = ClientLimits()

C = TypeVar("C", HttpConnection, StreamedConnection)
C_contra = TypeVar("C_contra", contravariant=True)


class Waiter(Protocol[C_contra]):
    """Someone who wants a connection."""

    def connected(self, connection: C_contra) -> None:
        """Here it is; it will be freed or gone."""

    def not_connected(self, reason: str) -> None:
        """None can be had."""


class ConnectionKeeper(Generic[C]):
    """The connections to one server.

    names: shared by all keepers of a worker. make: the kind of connection, called with the loop,
    the keeper and the limits.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        cap: int,
        limits: ClientLimits = _LIMITS,
        names: Names | None = None,
        make: Callable[..., Any] = HttpConnection,
    ) -> None:
        self.address = address
        self.node = address.node
        self.host_field = address.host_field
        self.is_proxied = address.proxy is not None and address.tls is None
        self.own_fields = address.host_field  # of each request
        if self.is_proxied and address.proxy is not None:  # by CONNECT `dial` says it
            self.own_fields += address.proxy.field
        self.loop = loop
        self.pool: Pool[C, Waiter[C]] = Pool(cap)
        self._limits = limits
        self._make = make
        self._names = names or Names()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._is_resting = False  # no connection is kept for later
        self._refusal = ""  # why nobody gets a connection

    def want(self, waiter: Waiter[C]) -> None:
        """Give the waiter a connection: at once if one is idle."""
        if self._refusal:
            waiter.not_connected(f"{self.node} {self._refusal}")
            return
        connection = self._take()
        if connection is not None:
            waiter.connected(connection)
        elif self.pool.wait(waiter):
            self._open()

    def forget(self, waiter: Waiter[C]) -> None:
        """The waiter does not want one any more."""
        self.pool.forget(waiter)

    def absolute(self, start: bytes) -> bytes:
        """A request line as a proxy wants it (RFC 9112 section 3.2.2)."""
        method, _, rest = start.partition(b" ")
        return b"%b http://%b%b" % (method, self.host_field[6:-2], rest)

    def rest(self) -> None:
        """Keep no connection for later: the idle ones close, the others when they are free.

        Whoever wants one still gets it.
        """
        self._is_resting = True
        for connection in list(self.pool.idle):
            connection.abort()

    def cut(self, reason: str) -> None:
        """Close all, also under those who have one; nobody gets any more. reason: what it did."""
        self._refusal = reason
        self.rest()
        for waiter in list(self.pool.waiting):
            self.pool.forget(waiter)
            waiter.not_connected(f"{self.node} {reason}")
        for connection in list(self.pool.busy):
            connection.cut(reason)

    def resume(self) -> None:
        """As from the beginning, after `rest` or `cut`."""
        self._is_resting = False
        self._refusal = ""

    def close(self) -> None:
        """Close all. For the end of the worker, or of the server's time as a member."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for task in self._connecting:
            task.cancel()
        for connection in list(self.pool.idle):
            connection.abort()

    def _take(self) -> C | None:
        now = time.monotonic()
        while (connection := self.pool.take()) is not None:
            if now < connection.good_until and not connection.is_closing:
                return connection
            connection.abort()  # connection_lost will take it out of the book
        return None

    # --- opening ---

    def _open(self) -> None:
        task = self.loop.create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_timeout):
                connection = await dial(self.loop, self._names, self.address, self._connection)
        except TimeoutError:
            self._not_opened(f"none within {self._limits.connect_timeout:g} s")
        except (OSError, ValueError) as error:
            # Refused, unreachable, no such name, TLS trouble; a ValueError for a name that
            # cannot be one.
            self._not_opened(_reason(error, self.address))
        else:
            self._opened(connection)

    def _connection(self) -> C:
        connection: C = self._make(self.loop, self, self._limits)
        return connection

    def _opened(self, connection: C) -> None:
        if connection.is_closing:  # closed, or told something unasked, before this task went on
            self._not_opened("it was closed before anything could be asked")
            return
        waiter = self.pool.opened(connection)
        if waiter is not None:
            waiter.connected(connection)
        else:
            self._rests(connection)

    def _not_opened(self, reason: str) -> None:
        waiter = self.pool.not_opened()
        if self.pool.may_open():
            self._open()
        if waiter is not None:
            waiter.not_connected(f"no connection to {self.node}: {reason}")

    # --- what connections tell ---

    def freed(self, connection: C) -> None:
        """`HttpConnection`: it can be used again."""
        waiter = self.pool.give_back(connection)
        if waiter is not None:
            waiter.connected(connection)
        else:
            self._rests(connection)

    def gone(self, connection: C) -> None:
        """`HttpConnection`: it is closed."""
        if self.pool.lost(connection) and not self._is_closed:
            self._open()

    # --- idle ones ---

    def _rests(self, connection: C) -> None:
        if self._is_resting:
            connection.abort()
            return
        life = IDLE_SECONDS
        if connection.keepalive is not None:  # sooner than the server closes it
            life = min(life, connection.keepalive - MARGIN)
        connection.good_until = time.monotonic() + life
        if self._sweep is None:
            self._sweep = self.loop.call_later(IDLE_SECONDS / 2, self._sweep_idle)

    def _sweep_idle(self) -> None:
        self._sweep = None
        now = time.monotonic()
        for connection in list(self.pool.idle):
            if now >= connection.good_until:
                connection.abort()
        if self.pool.idle:
            self._sweep = self.loop.call_later(IDLE_SECONDS / 2, self._sweep_idle)


def _reason(error: OSError | ValueError, address: Address) -> str:
    if address.proxy is not None and not isinstance(error, (ssl.SSLError, NoTunnel)):
        return f"the proxy {address.proxy.node}: {_plain(error)}"
    return _plain(error)


def _plain(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be looked up: {error.strerror}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error) or type(error).__name__
