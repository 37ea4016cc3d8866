"""WebSockets through the proxy, as a library for them speaks it on both sides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from operator_session import Home
from served import Server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server as WebSocketServer
from websockets.sync.server import ServerConnection, serve

LARGE = bytes(range(256)) * 16 * 1024  # 4 MiB in one message


def talk(socket: ServerConnection) -> None:
    """Echoes; `path` asks for the path, `leave` for the end."""
    try:
        for message in socket:
            if message == "path":
                assert socket.request is not None
                socket.send(socket.request.path)
            elif message == "leave":
                socket.close(4000, "as asked")
            else:
                socket.send(message)
    except ConnectionClosed:
        pass


@pytest.fixture(scope="module")
def member() -> Iterator[WebSocketServer]:
    with serve(talk, "127.0.0.1", 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(shared_home: Home, member: WebSocketServer) -> Server:
    port = member.socket.getsockname()[1]
    conf = f"[@chat]\nmembers = 127.0.0.1:{port}\n"
    conf += f"[@brief]\ntunnel_timeout = 0.1\nmembers = 127.0.0.1:{port}\n"
    return shared_home.serve(routes="/chat = @chat\n/brief = @brief", sections=conf)


def open_socket(server: Server, path: str = "/chat/room?id=1") -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None)


def test_messages_both_ways(server: Server) -> None:
    """Text and bytes, small and large, many at once; the path is the member's own."""
    with open_socket(server) as socket:
        socket.send("path")
        assert socket.recv() == "/room?id=1"
        for number in range(100):
            socket.send(str(number))
        assert [socket.recv() for _ in range(100)] == [str(number) for number in range(100)]
        socket.send(LARGE)
        assert socket.recv() == LARGE


def test_member_closes(server: Server) -> None:
    """Its reason reaches the client."""
    with open_socket(server) as socket:
        socket.send("leave")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as asked")


def test_many_at_once(server: Server) -> None:
    """Each has a tunnel of its own, beside the pool of kept connections."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(server)) for _ in range(20)]
        for number, socket in enumerate(sockets):
            socket.send(str(number))
        heard = [socket.recv() for socket in sockets]

    assert heard == [str(number) for number in range(20)]


def test_idle_tunnel_is_broken_off(server: Server) -> None:
    """After tunnel_timeout without a byte in either direction."""
    with open_socket(server, "/brief/room") as socket, pytest.raises(ConnectionClosed):
        socket.recv()


def test_member_that_speaks_no_websocket(server: Server, home: Home) -> None:
    """Its answer is passed on, and the client sees that it is none of 101."""
    other = home.serve(
        "other", routes="/x = @x", sections=f"[@x]\nmembers = 127.0.0.1:{server.port}"
    )
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{other.port}/x/nothing")

    assert refused.value.response.status_code == 404


def test_worker_that_leaves_ends_its_tunnels(server: Server, home: Home) -> None:
    """When drain_timeout is over: nobody waits for a tunnel for ever."""
    port = server.port
    conf = f"[@chat]\nmembers = 127.0.0.1:{port}\nkeep_prefix = yes"
    edge = home.serve("edge", routes="/chat = @chat", sections=conf, more="drain_timeout = 0.1")
    with open_socket(edge) as socket:
        socket.send("before")
        assert socket.recv() == "before"
        edge.stop()
        with pytest.raises(ConnectionClosed):
            socket.recv()
