"""A tunnel between two connections: order, backpressure, half-closes, breaks, idleness."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asking import on_uvloop, until

from skitaid.workers.web.sockets import close_by_reset
from skitaid.workers.web.tunnel import Tunnel, _End

BUFFER = 64 * 1024
LARGE = bytes(range(256)) * 8 * 1024  # 2 MiB: more than all buffers on the way


class Pipe:
    """A tunnel, and the two who talk through it, with sockets of their own."""

    def __init__(self) -> None:
        self.near: socket.socket
        self.far: socket.socket
        self.tunnel: Tunnel
        self.ended = asyncio.Event()

    async def send(self, sock: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(sock, data)

    async def receive(self, sock: socket.socket, size: int) -> bytes:
        """So many bytes, fewer if they end before."""
        data = bytearray()
        while len(data) < size:
            piece = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)


@asynccontextmanager
async def tunnel(
    idle_timeout: float = 0.0, to_near: bytes = b"", to_far: bytes = b""
) -> AsyncIterator[Pipe]:
    pipe = Pipe()
    loop = asyncio.get_running_loop()
    pipe.near, near = await _connected(loop)
    pipe.far, far = await _connected(loop)
    pipe.tunnel = Tunnel(
        loop,
        near,
        far,
        idle_timeout=idle_timeout,
        ended=pipe.ended.set,
        to_near=to_near,
        to_far=to_far,
    )
    try:
        yield pipe
    finally:
        pipe.near.close()
        pipe.far.close()
        await pipe.ended.wait()


async def _connected(
    loop: asyncio.AbstractEventLoop,
) -> tuple[socket.socket, asyncio.Transport]:
    """One end as a socket of the test, the other as a transport."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outer = socket.create_connection(listener.getsockname())
        inner, _ = listener.accept()
    outer.setblocking(False)
    for sock in (outer, inner):  # the kernel's own would take all of LARGE
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=inner)
    return outer, transport


@on_uvloop
async def test_bytes_go_both_ways() -> None:
    """What one side sends the other gets, in order, what was there before the tunnel first."""
    async with tunnel(to_near=b"early ", to_far=b"hello ") as pipe:
        await pipe.send(pipe.near, b"world")
        await pipe.send(pipe.far, b"answer")

        assert await pipe.receive(pipe.far, 11) == b"hello world"
        assert await pipe.receive(pipe.near, 12) == b"early answer"
        assert (pipe.tunnel.sent_near, pipe.tunnel.sent_far) == (12, 11)


@pytest.mark.parametrize("is_near", [True, False])
@on_uvloop
async def test_peer_that_does_not_read_stops_the_other(is_near: bool) -> None:
    """However much is sent to one that does not read, little of it is held."""
    async with tunnel() as pipe:
        sender, reader = (pipe.near, pipe.far) if is_near else (pipe.far, pipe.near)
        sending = asyncio.ensure_future(pipe.send(sender, LARGE))
        end = pipe.tunnel._near if is_near else pipe.tunnel._far
        await until(lambda: not end.transport.is_reading())
        held = end.other.unsent()
        got = await pipe.receive(reader, len(LARGE))
        await sending

        assert 0 < held < 1024 * 1024
        assert got == LARGE


@on_uvloop
async def test_half_close_is_passed_on_behind_the_data() -> None:
    """One that has said all still hears the other, and the tunnel ends when both have."""
    async with tunnel() as pipe:
        await pipe.send(pipe.near, b"all of it")
        pipe.near.shutdown(socket.SHUT_WR)
        heard = await pipe.receive(pipe.far, 100)
        await pipe.send(pipe.far, LARGE[:100_000])
        pipe.far.shutdown(socket.SHUT_WR)
        answer = await pipe.receive(pipe.near, 200_000)
        await pipe.ended.wait()

        assert heard == b"all of it"
        assert answer == LARGE[:100_000]


@pytest.mark.parametrize("is_near", [True, False])
@on_uvloop
async def test_reset_is_passed_on_as_a_reset(is_near: bool) -> None:
    """A connection that breaks off does not end cleanly on the other side."""
    async with tunnel() as pipe:
        breaking, other = (pipe.near, pipe.far) if is_near else (pipe.far, pipe.near)
        breaking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        breaking.close()

        with pytest.raises(ConnectionResetError):
            await pipe.receive(other, 1)


@on_uvloop
async def test_idle_tunnel_is_broken_off() -> None:
    """When nothing moves for idle_timeout both sides are reset."""
    async with tunnel(idle_timeout=0.05) as pipe:
        for sock in (pipe.near, pipe.far):
            with pytest.raises(ConnectionResetError):
                await pipe.receive(sock, 1)


@on_uvloop
async def test_peer_that_has_stopped_reading_is_idle() -> None:
    """Nor does a sender that waits for the other to read count as moving."""
    async with tunnel(idle_timeout=0.05) as pipe:
        with pytest.raises(ConnectionResetError):
            await pipe.send(pipe.near, LARGE)


@on_uvloop
async def test_close_breaks_off_both() -> None:
    """For the end of the worker."""
    async with tunnel() as pipe:
        pipe.tunnel.close()
        await pipe.ended.wait()

        for sock in (pipe.near, pipe.far):
            with pytest.raises(ConnectionResetError):
                await pipe.receive(sock, 1)


@on_uvloop
async def test_side_that_is_closed_can_be_broken_off() -> None:
    """A worker that leaves breaks off its clients, one too whose server has yet to be closed."""
    outer, transport = await _connected(asyncio.get_running_loop())
    transport.abort()
    assert await asyncio.get_running_loop().sock_recv(outer, 1) == b""  # so it is closed
    close_by_reset(transport)
    outer.close()


@on_uvloop
async def test_ended_tunnel_leaves_nothing_to_the_collector() -> None:
    """Its objects go when it ends, without a run of the garbage collector."""
    gc.disable()
    try:
        async with tunnel() as pipe:
            pipe.near.close()
            pipe.far.close()
            await pipe.ended.wait()
            del pipe.tunnel
            await until(lambda: not any(type(each) is _End for each in gc.get_objects()))
    finally:
        gc.enable()
