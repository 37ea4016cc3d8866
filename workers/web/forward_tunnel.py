"""CONNECT: one tunnel of the forward proxy, from the request to its end (RFC 9110 section 9.3.6).

Runs on the loop. Its law:

- What the client sends before the tunnel is there is kept in the kernel: it is no request.
- Whatever is not 200 ends the connection, for the same reason.
- When the client leaves while its server is dialled, the dialling ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from skitai.request import Request
from skitaid.workers.clients.dial import Address, dial
from skitaid.workers.clients.names import Names

from .connection import ClientConnection
from .forward_names import Forbidden
from .tunnel import Tunnel

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

Refuse = Callable[[int, str], None]


class ForwardTunnel:
    """Answers the request in hand of `client`, which is held for an upgrade."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        names: Names,
        client: ClientConnection,
        connect_timeout: float,
        idle_timeout: float,
        refuse: Refuse,
    ) -> None:
        """refuse: called in place of a tunnel, with a status and a sentence."""
        self._loop = loop
        self._names = names
        self._client = client
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._refuse = refuse
        self._task: asyncio.Task[None] | None = None
        self._tunnel: Tunnel | None = None

    def start(self, request: Request, host: str, port: int) -> None:
        """Dial, then pass on whatever comes."""
        self._client.passing = self
        self._task = self._loop.create_task(self._run(request, host, port))

    async def _run(self, request: Request, host: str, port: int) -> None:
        address = Address(host, port)
        try:
            async with asyncio.timeout(self._connect_timeout):
                far = await dial(self._loop, self._names, address, _Far)
        except Forbidden:
            self._give_up(403, f"{address.node} may not be reached by this proxy.")
        except TimeoutError:
            self._give_up(504, f"{address.node} did not answer in time.")
        except (OSError, ValueError):  # ValueError: no name that could be looked up
            self._give_up(502, f"{address.node} cannot be reached.")
        else:
            self._begin(far.transport)

    def _begin(self, far: asyncio.Transport) -> None:
        near, early = self._client.switch(ESTABLISHED)
        self._tunnel = Tunnel(
            self._loop,
            near,
            far,
            idle_timeout=self._idle_timeout,
            ended=self._ended,
            to_far=early,
        )

    def _give_up(self, status: int, sentence: str) -> None:
        self._client.passing = None
        self._refuse(status, sentence)

    def _ended(self) -> None:
        tunnel, self._tunnel = self._tunnel, None
        assert tunnel is not None
        self._client.switched_off(tunnel.sent_near)

    # --- connection.Passer ---

    def client_left(self, is_lost: bool) -> None:
        if self._tunnel is None and self._task is not None:
            self._task.cancel()
            self._client.passing = None
            if not is_lost:
                self._client.abort()

    def client_slow(self, is_slow: bool) -> None:
        """There is nothing yet that it could be slow to read; later the tunnel hears of it."""


class _Far(asyncio.Protocol):
    """The connection to the server until the tunnel has it."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
