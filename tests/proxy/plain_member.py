"""A member that does as the path says, and notes what it was asked, chunked and large bodies too.

    with PlainMember() as member:
        ...ask /fine through the proxy...
        (seen,) = member.seen

/fine answers, /before closes when it has read the request, /middle in the middle of its answer,
/slow answers half of it, and the rest when `open` was called. A request that asks for another
protocol gets it, and then its own bytes back.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

PATIENCE = 30.0  # seconds; only a test that fails waits that long
HALF = b"half of it, "
WHOLE = HALF + b"and the rest"

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    fields: Fields
    size: int  # of the body
    crc: int
    trailers: Fields

    def all(self, name: str) -> list[str]:
        """The values of a field."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


Behaviour = Callable[["PlainMember", "Talk", Asked], bool]


class Talk:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file: BinaryIO = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self) -> tuple[str, str, Fields] | None:
        line = self.file.readline().decode("latin-1")
        if not line.endswith("\r\n"):
            return None
        method, target, _ = line.split(" ")
        return method, target, self.fields()

    def fields(self) -> Fields:
        fields = []
        while (line := self.file.readline().decode("latin-1")) != "\r\n":
            if not line:
                raise ConnectionError("the client has closed in the middle of a header")
            name, _, value = line.partition(":")
            fields.append((name, value.strip()))
        return fields

    def body(self, fields: Fields) -> tuple[int, int, Fields]:
        """(size, checksum, trailers); raises ConnectionError if it ends too early."""
        known = {name.lower(): value for name, value in fields}
        if known.get("transfer-encoding") != "chunked":
            return *self._take(int(known.get("content-length", "0")), 0), []
        size = crc = 0
        while length := int(self.file.readline(), 16):
            more, crc = self._take(length, crc)
            size += more
            assert self.file.readline() == b"\r\n"
        return size, crc, self.fields()

    def _take(self, length: int, crc: int) -> tuple[int, int]:
        left = length
        while left:
            piece = self.file.read(min(left, 1024 * 1024))
            if not piece:
                raise ConnectionError("the client has closed in the middle of a body")
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
        return length, crc

    def wait_end(self) -> bytes:
        """What still comes until the client has closed."""
        rest = b""
        with contextlib.suppress(OSError):
            while piece := self.sock.recv(65536):
                rest += piece
        return rest


class PlainMember:
    """behaviours: by the first segment of the path, beside those of the module."""

    def __init__(self, **behaviours: Behaviour) -> None:
        self._behaviours = {**BEHAVIOURS, **behaviours}
        self._changed = threading.Condition()
        self._seen: list[Asked] = []
        self._begun = self._broken = 0
        self._opened = 0
        self._taken = 0
        self._talks: set[socket.socket] = set()
        self._is_closing = False
        self._answers_all = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="plain member", daemon=True)]
        self._threads[0].start()

    @property
    def node(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def seen(self) -> list[Asked]:
        with self._changed:
            return list(self._seen)

    @property
    def broken(self) -> int:
        """Requests that ended before they were whole."""
        with self._changed:
            return self._broken

    def forget(self) -> None:
        """Begin anew."""
        with self._changed:
            self._seen.clear()
            self._begun = self._broken = 0
            self._opened = self._taken = 0

    @contextlib.contextmanager
    def answering_all(self) -> Iterator[None]:
        """Paths are nothing special meanwhile."""
        self._answers_all = True
        yield
        self._answers_all = False

    def open(self) -> None:
        """Let one go on that waits."""
        with self._changed:
            self._opened += 1
            self._changed.notify_all()

    def wait_open(self) -> None:
        """In a behaviour: until the test says so."""
        with self._changed:
            self._taken += 1
            number = self._taken
            assert self._changed.wait_for(
                lambda: self._opened >= number or self._is_closing, PATIENCE
            )

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until something holds that threads of ours change."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"in vain; seen: {self._seen}"

    def wait_seen(self, count: int) -> None:
        self.wait(lambda: len(self._seen) >= count)

    def wait_begun(self, count: int = 1) -> None:
        """Until the headers of so many requests are here."""
        self.wait(lambda: self._begun >= count)

    def wait_broken(self, count: int = 1) -> None:
        self.wait(lambda: self._broken >= count)

    def __enter__(self) -> PlainMember:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            talks = list(self._talks)
        for sock in (self._listener, *talks):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread.name} does not end"
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._talks.add(sock)
                self._changed.notify_all()
            thread = threading.Thread(target=self._converse, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _converse(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talk = Talk(sock)
        try:
            while self._answer(talk):
                pass
        except (OSError, ValueError):
            with self._changed:
                self._broken += 1
                self._changed.notify_all()
        finally:
            talk.file.close()
            sock.close()
            with self._changed:
                self._talks.discard(sock)
                self._changed.notify_all()

    def _answer(self, talk: Talk) -> bool:
        head = talk.head()
        if head is None:
            return False
        with self._changed:
            self._begun += 1
            self._changed.notify_all()
        method, target, fields = head
        name = "fine" if self._answers_all else target.split("?")[0].split("/")[1]
        behave = self._behaviours[name]
        if getattr(behave, "reads_first", True):
            size, crc, trailers = talk.body(fields)
        else:
            size = crc = 0
            trailers = []
        asked = Asked(method, target, fields, size, crc, trailers)
        with self._changed:
            self._seen.append(asked)
            self._changed.notify_all()
        return behave(self, talk, asked)


def header(status: str = "200 OK", length: int | None = len(WHOLE), more: str = "") -> bytes:
    lines = "" if length is None else f"Content-Length: {length}\r\n"
    return f"HTTP/1.1 {status}\r\n{lines}{more}\r\n".encode("latin-1")


def _is_upgrade(asked: Asked) -> bool:
    return asked.get("upgrade") is not None


def _switch(talk: Talk, asked: Asked) -> None:
    talk.send(header("101 Switching Protocols", None, "Connection: upgrade\r\nUpgrade: echo\r\n"))


def fine(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    if _is_upgrade(asked):
        _switch(talk, asked)
        while data := talk.sock.recv(65536):
            talk.send(data)
        return False
    talk.send(header() + (b"" if asked.method == "HEAD" else WHOLE))
    return True


def before(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    return False


def middle(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    if _is_upgrade(asked):
        _switch(talk, asked)
        talk.sock.recv(65536)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return False
    talk.send(header() + (b"" if asked.method == "HEAD" else HALF))
    return asked.method == "HEAD"


def slow(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    if _is_upgrade(asked) or asked.method == "HEAD":
        member.wait_open()
        return fine(member, talk, asked)
    talk.send(header() + HALF)
    member.wait_open()
    talk.send(WHOLE[len(HALF) :])
    return True


BEHAVIOURS: dict[str, Behaviour] = {
    "fine": fine,
    "before": before,
    "middle": middle,
    "slow": slow,
}
