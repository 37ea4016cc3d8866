"""Something on the way to a server that can fail as networks do: stop, dribble, close one way.

    with TcpProxy(faults.port) as way:
        ...ask http://127.0.0.1:{way.port}/path
        way.stop()

With `wants_connect` it is an HTTP proxy that is asked with CONNECT first, as for https. It runs
in the test's process, two threads per connection, on a port of its own.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

PATIENCE = 30.0  # seconds; only a test that fails waits that long
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class TcpProxy:
    """target: the port to which all goes. piece: bytes that are passed on at a time."""

    def __init__(
        self,
        target: int,
        *,
        piece: int = 65536,
        wants_connect: bool = False,
        answer: bytes = ESTABLISHED,
    ) -> None:
        self._target = target
        self._piece = piece
        self._wants_connect = wants_connect
        self._answer = answer
        self._going = threading.Event()
        self._going.set()
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []  # client's and server's
        self._threads: list[threading.Thread] = []
        self.connects: list[bytes] = []  # headers of CONNECT requests
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    @property
    def node(self) -> str:
        return f"127.0.0.1:{self.port}"

    # --- steering ---

    def stop(self) -> None:
        """Pass on nothing more, in neither direction, until `go`."""
        self._going.clear()

    def go(self) -> None:
        self._going.set()

    def half_close(self) -> None:
        """Tell clients that nothing more will come, and go on listening to them."""
        for client, _ in self._open_pairs():
            client.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST to all clients."""
        for client, _ in self._open_pairs():
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.shutdown(socket.SHUT_RD)  # wakes the thread that reads, which closes it

    # --- life ---

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.go()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self._listener.close()
        for pair in self._open_pairs():
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread.name} does not end"

    def _open_pairs(self) -> list[tuple[socket.socket, socket.socket]]:
        with self._lock:
            return [pair for pair in self._pairs if pair[0].fileno() >= 0]

    def _run(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="tcp proxy", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._wants_connect and not self._connected(client):
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        with self._lock:
            self._pairs.append((client, server))
        back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
        back.start()
        self._pass_on(client, server)
        back.join(PATIENCE)
        client.close()
        server.close()

    def _connected(self, client: socket.socket) -> bool:
        """Whether it was CONNECT, and what it answers lets the client in."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return False
            head += piece
        self.connects.append(head)
        client.sendall(self._answer)
        return self._answer == ESTABLISHED

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # an end as good as any other
            while data := source.recv(self._piece):
                self._going.wait(PATIENCE)
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
