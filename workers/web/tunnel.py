"""Bytes both ways between two connections, as they come, whatever they mean.

For a protocol that a client and a member have switched to (RFC 9110 section 7.8), and for CONNECT
(section 9.3.6). Runs on the loop. Its law:

- From `Tunnel` on both transports are the tunnel's: nobody else reads, writes or closes them.
- Whoever does not read stops the other from being read, so a tunnel costs two write buffers.
- One that sends no more may still be sent to: its end is passed on, behind all it has sent. TLS
  has no such end; there the connection is closed.
- What was broken off on one side is broken off on the other, and does not look like an end.
- A tunnel in which nothing moves for `idle_timeout` is broken off. A peer that reads what it was
  sent moves something, however slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .sockets import close_by_reset


class Tunnel:
    """sent_near, sent_far: bytes that were passed on to either side, those handed over included."""

    __slots__ = ("_ended", "_far", "_heard_at", "_idle", "_loop", "_near", "_timer", "_unsent")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        near: asyncio.Transport,
        far: asyncio.Transport,
        *,
        idle_timeout: float,
        ended: Callable[[], None],
        to_near: bytes = b"",
        to_far: bytes = b"",
    ) -> None:
        """near: the client's connection, far: the one it has asked for; both open.

        idle_timeout: in seconds, 0 for never. ended: called once when both are closed.
        to_near, to_far: what the other side had sent already.
        """
        self._loop = loop
        self._idle = idle_timeout
        self._ended = ended
        self._unsent = 0  # bytes that nobody had read yet when it was last looked at
        self._heard_at = loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._near, self._far = _End(self, near), _End(self, far)
        self._near.other, self._far.other = self._far, self._near
        for end in (self._near, self._far):
            end.transport.set_protocol(end)
        self._near.begin(to_far)
        self._far.begin(to_near)
        if idle_timeout:
            self._timer = loop.call_later(idle_timeout, self._look)

    @property
    def sent_near(self) -> int:
        return self._far.received

    @property
    def sent_far(self) -> int:
        return self._near.received

    def close(self) -> None:
        """Break off. `ended` is yet to come."""
        self._near.break_off()
        self._far.break_off()

    def heard(self) -> None:
        """Something has moved."""
        self._heard_at = self._loop.time()

    def check_ended(self) -> None:
        """One side is closed, or sends no more."""
        near, far = self._near, self._far
        if near.is_lost and far.is_lost:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._ended()
        elif near.has_ended and far.has_ended:
            near.transport.close()
            far.transport.close()

    def _look(self) -> None:
        now = self._loop.time()
        unsent = self._near.unsent() + self._far.unsent()
        if unsent < self._unsent:
            self._heard_at = now
        self._unsent = unsent
        left = self._heard_at + self._idle - now
        if left > 0.0:
            # Looked at this often, a peer that reads is seen to do so before it counts as idle.
            self._timer = self._loop.call_later(min(left, self._idle / 2), self._look)
        else:
            self._timer = None
            self.close()


class _End(asyncio.Protocol):
    """One side. other: set before anything comes."""

    __slots__ = ("_tunnel", "has_ended", "is_lost", "other", "received", "transport")

    other: _End

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self.transport = transport
        self.received = 0
        self.has_ended = False  # it sends no more
        self.is_lost = False

    def begin(self, received: bytes) -> None:
        """Read, unless the other has not read what it was sent before this tunnel."""
        if received:
            self.data_received(received)
        other = self.other.transport
        _, high = other.get_write_buffer_limits()
        if other.get_write_buffer_size() > high:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def unsent(self) -> int:
        """Bytes that it has not read."""
        return 0 if self.is_lost else self.transport.get_write_buffer_size()

    def break_off(self) -> None:
        """Close at once, so that it is seen to be no end."""
        if not self.is_lost:
            close_by_reset(self.transport)
            self.transport.abort()

    # --- asyncio.Protocol ---

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._tunnel.heard()
        if not self.other.is_lost:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self._tunnel.heard()
        self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        self.has_ended = True
        other = self.other.transport
        if not other.can_write_eof():
            other.close()
        elif not other.is_closing():
            other.write_eof()
        self._tunnel.check_ended()
        return self.transport.can_write_eof()  # TLS closes in any case, and warns about a True

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if error is not None:
            self.other.break_off()
        elif not self.other.is_lost:
            self.other.transport.close()
        self._tunnel.check_ended()
        # They hold each other: such a circle would wait for the collector.
        del self._tunnel, self.other
