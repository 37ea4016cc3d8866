"""A client that sends just what it is told, and reads answers as the standard library does."""

from __future__ import annotations

import errno
import http.client
import socket
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from waits import PATIENCE

MIB = 1024 * 1024


class RawClient:
    """One connection."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        address = ("127.0.0.1", port)
        self.sock = socket.create_connection(address, PATIENCE, source_address=(source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.sock.makefile("rb")
        self._sender: threading.Thread | None = None

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.sock.sendall(piece)

    def send_meanwhile(self, pieces: Iterable[bytes]) -> None:
        """While answers are read; a server that answers early may not take all of it."""
        self._sender = threading.Thread(target=self._send, args=(pieces,))
        self._sender.start()

    def _send(self, pieces: Iterable[bytes]) -> None:
        try:
            for piece in pieces:
                self.sock.sendall(piece)
        except OSError:
            pass  # it was answered and closed before it was sent: the test looks at the answer

    def receive(self, size: int = -1) -> bytes:
        """So many bytes, or all; fewer if they end before. Raises ConnectionResetError."""
        return self._file.read(size)

    def some(self) -> bytes:
        """What comes next; b"" for the end."""
        return self._file.read1(65536)

    def answer(self, method: str = "GET") -> http.client.HTTPResponse:
        """The header of the next response; its body is to be read."""
        response = http.client.HTTPResponse(_Reader(self._file), method=method)  # type: ignore[arg-type]
        response.begin()
        return response

    def whole_answer(self, method: str = "GET") -> tuple[int, bytes]:
        response = self.answer(method)
        return response.status, response.read()

    def is_closed(self) -> bool:
        """Wait until the server has closed; False if it sends something."""
        try:
            return self.some() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        if self._sender is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)  # a sender that still waits is to end
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # the server was quicker
                    raise
            self._sender.join(PATIENCE)
            assert not self._sender.is_alive()
        self._file.close()
        self.sock.close()


class _Reader:
    """What the standard library takes for a socket: it must not read ahead, nor close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def makefile(self, mode: str) -> _Reader:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """The connection is the client's."""


@contextmanager
def raw_client(port: int) -> Iterator[RawClient]:
    client = RawClient(port)
    try:
        yield client
    finally:
        client.close()


def request(method: str, target: str, *fields: str, host: str = "site.example") -> bytes:
    """A header."""
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode("latin-1")


def pieces(size: int, piece: int = MIB) -> Iterator[bytes]:
    """A body of `size` bytes."""
    for at in range(0, size, piece):
        yield bytes([at // piece % 251]) * min(piece, size - at)


def crc_of(body: Iterable[bytes]) -> int:
    crc = 0
    for each in body:
        crc = zlib.crc32(each, crc)
    return crc


def chunked(body: Iterable[bytes], trailer: bytes = b"") -> Iterator[bytes]:
    for piece in body:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n" + trailer + b"\r\n"


def fields_of(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
