"""An HTTP server that does by path what servers should not do, and notes what it is asked.

    with FaultServer() as faults:
        ...ask http://127.0.0.1:{faults.port}/close-in-body
        assert faults.seen[0].path == "/close-in-body"

It runs in the test's process, one thread per connection, on a port of its own. It answers at
once unless the path says otherwise; a path that waits, waits for the test (`open`) or for other
requests (`meet`), never for time.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import xmlrpc.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

PATIENCE = 30.0  # seconds; only a test that fails waits that long
PIECE = b"x" * 65536


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came. `talk` numbers the connections from 1, `turn` the requests on it."""

    talk: int
    turn: int
    method: str
    path: str
    fields: Mapping[str, str]  # names in lower case
    body: bytes


class Talk:
    """One connection of a client."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self._pending = b""
        self._turns = 0

    def read(self) -> Seen | None:
        """The next request; None when the client has closed before it was whole."""
        while b"\r\n\r\n" not in self._pending:
            if not self._more():
                return None
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)
        }
        method, path, _ = line.split(" ")
        if fields.get("transfer-encoding") == "chunked":
            body = self._read_chunks()
        else:
            body = self._read_body(int(fields.get("content-length", "0")))
        if body is None:
            return None
        self._turns += 1
        return Seen(self.number, self._turns, method, path, fields, body)

    def _read_chunks(self) -> bytes | None:
        body = b""
        while True:
            while b"\r\n" not in self._pending:
                if not self._more():
                    return None
            size, _, self._pending = self._pending.partition(b"\r\n")
            chunk = self._read_body(int(size, 16) + len(b"\r\n"))
            if chunk is None:
                return None
            assert chunk.endswith(b"\r\n")
            if int(size, 16) == 0:
                return body
            body += chunk[:-2]

    def _read_body(self, length: int) -> bytes | None:
        while len(self._pending) < length:
            if not self._more():
                return None
        body, self._pending = self._pending[:length], self._pending[length:]
        return body

    def _more(self) -> bool:
        data = self.sock.recv(1024 * 1024)
        self._pending += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def wait_end(self) -> None:
        """Until the client has closed."""
        with contextlib.suppress(OSError):  # a reset is an end as well
            while self.sock.recv(65536):
                pass


@dataclass
class Board:
    """What the threads of a server share."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    seen: list[Seen] = field(default_factory=list)
    talks: dict[int, Talk] = field(default_factory=dict)  # those that are open
    accepted: int = 0
    gates: set[str] = field(default_factory=set)  # names that were opened
    closing: bool = False

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until `condition` holds, which is looked at whenever something happens."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition() or self.closing, PATIENCE):
                raise AssertionError(f"{what} did not happen; seen: {self.seen}")


# True when the connection may have another request.
Behaviour = Callable[[Board, Talk, Seen], bool]


class FaultServer:
    """paths: behaviours beside, or instead of, the usual `PATHS`; "*" is for all paths."""

    def __init__(
        self,
        paths: Mapping[str, Behaviour] | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._paths = {**PATHS, **(paths or {})}
        self._tls = tls
        self.board = Board()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="fault server", daemon=True)]
        self._threads[0].start()

    @property
    def node(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def seen(self) -> list[Seen]:
        """The requests so far."""
        with self.board.changed:
            return list(self.board.seen)

    @property
    def paths_seen(self) -> list[str]:
        return [each.path for each in self.seen]

    def url(self, path: str) -> str:
        return f"http://{self.node}{path}"

    # --- steering ---

    def open(self, gate: str) -> None:
        """Let go on what waits at `/gate/NAME` or `/late/NAME`."""
        with self.board.changed:
            self.board.gates.add(gate)
            self.board.changed.notify_all()

    def say(self, data: bytes) -> None:
        """Unasked, on all connections."""
        for talk in self._talks():
            talk.send(data)

    def hang_up(self) -> None:
        """Close all connections; the server goes on."""
        for talk in self._talks():
            with contextlib.suppress(OSError):  # the client was faster
                talk.sock.shutdown(socket.SHUT_RDWR)

    def wait_seen(self, count: int) -> None:
        """Until so many requests have come."""
        board = self.board
        board.wait_for(lambda: len(board.seen) >= count, f"request {count}")

    def wait_talks(self, count: int) -> None:
        """Until exactly so many connections are open."""
        board = self.board
        board.wait_for(lambda: len(board.talks) == count, f"{count} open connections")

    # --- life ---

    def __enter__(self) -> FaultServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, close all connections, and let the threads end."""
        with self.board.changed:
            self.board.closing = True
            self.board.changed.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._threads[0].join(PATIENCE)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread.name} does not end"

    def _talks(self) -> list[Talk]:
        with self.board.changed:
            return list(self.board.talks.values())

    def _accept(self) -> None:
        while not self.board.closing:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # closed
                return
            talk = self._register(sock)
            thread = threading.Thread(
                target=self._converse, args=(talk,), name=f"fault talk {talk.number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _register(self, sock: socket.socket) -> Talk:
        board = self.board
        with board.changed:
            board.accepted += 1
            talk = board.talks[board.accepted] = Talk(sock, board.accepted)
            board.changed.notify_all()
        return talk

    def _converse(self, talk: Talk) -> None:
        try:
            if self._tls is not None:
                talk.sock = self._tls.wrap_socket(talk.sock, server_side=True)
            while (request := talk.read()) is not None and self._answer(talk, request):
                pass
        except OSError:
            pass  # the client has gone, or close() was called: that is what faults are like
        finally:
            talk.sock.close()
            with self.board.changed:
                del self.board.talks[talk.number]
                self.board.changed.notify_all()

    def _answer(self, talk: Talk, request: Seen) -> bool:
        with self.board.changed:
            self.board.seen.append(request)
            self.board.changed.notify_all()
        return self._behaviour(request.path)(self.board, talk, request)

    def _behaviour(self, path: str) -> Behaviour:
        name = "/" + path.partition("?")[0].strip("/").partition("/")[0]
        return self._paths.get("*") or self._paths.get(name) or not_found


def refusing_port() -> socket.socket:
    """A bound socket that does not listen: its port refuses until it is closed."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def response(
    body: bytes = b"",
    kind: str = "text/plain",
    status: str = "200 OK",
    more: str = "",
    length: int | None = None,
) -> bytes:
    """A response with a Content-Length. more: header lines, each with CRLF."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n"
    return head.encode("latin-1") + body


# --- normal ---


def sends(*pieces: bytes, closes: bool = False) -> Behaviour:
    """Sends that, whatever was asked."""

    def behave(board: Board, talk: Talk, request: Seen) -> bool:
        for piece in pieces:
            talk.send(piece)
        return not closes

    return behave


def not_found(board: Board, talk: Talk, request: Seen) -> bool:
    talk.send(response(b"nothing here", status="404 Not Found"))
    return True


def echo(board: Board, talk: Talk, request: Seen) -> bool:
    """All of the request as JSON."""
    told = {
        "method": request.method,
        "path": request.path,
        "fields": dict(request.fields),
        "body": request.body.decode("latin-1"),
    }
    talk.send(response(json.dumps(told).encode(), "application/json"))
    return True


def path(board: Board, talk: Talk, request: Seen) -> bool:
    """The path that was asked for: whose answer is this?"""
    talk.send(response(request.path.encode()))
    return True


def head(board: Board, talk: Talk, request: Seen) -> bool:
    """The length of a body; the body itself only for other methods than HEAD."""
    whole = response(b"a body")
    talk.send(whole.removesuffix(b"a body") if request.method == "HEAD" else whole)
    return True


# --- waiting ---


def gate(board: Board, talk: Talk, request: Seen) -> bool:
    """/gate/NAME answers when NAME was opened."""
    name = request.path.rpartition("/")[2]
    board.wait_for(lambda: name in board.gates, f"gate {name}")
    return path(board, talk, request)


def meet(board: Board, talk: Talk, request: Seen) -> bool:
    """/meet/N answers when N such requests have come."""
    count = int(request.path.rpartition("/")[2])
    board.wait_for(
        lambda: sum(each.path == request.path for each in board.seen) >= count,
        f"{count} requests to {request.path}",
    )
    return path(board, talk, request)


def opens(board: Board, talk: Talk, request: Seen) -> bool:
    """/open/NAME opens a gate."""
    with board.changed:
        board.gates.add(request.path.rpartition("/")[2])
        board.changed.notify_all()
    return path(board, talk, request)


# --- faults ---


def hangs(*pieces: bytes) -> Behaviour:
    """Sends that, and then nothing more until the client closes."""

    def behave(board: Board, talk: Talk, request: Seen) -> bool:
        for piece in pieces:
            talk.send(piece)
        talk.wait_end()
        return False

    return behave


def mute(board: Board, talk: Talk, request: Seen) -> bool:
    """Never answers."""
    talk.wait_end()
    return False


def reset(board: Board, talk: Talk, request: Seen) -> bool:
    """Closes with a RST."""
    talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def once(board: Board, talk: Talk, request: Seen) -> bool:
    """Answers the first request of a connection, and closes at the second."""
    if request.turn == 1:
        return path(board, talk, request)
    return False


def endless(start: bytes, piece: bytes) -> Behaviour:
    """Sends pieces for as long as the client reads."""

    def behave(board: Board, talk: Talk, request: Seen) -> bool:
        talk.send(start)
        while True:
            talk.send(piece)

    return behave


# --- remote procedures, by other libraries than ours ---


def add(*numbers: float) -> float:
    return sum(numbers)


def search(keyword: str) -> list[str]:
    return [f"{keyword} 1", f"{keyword} 2"]


def fail() -> None:
    raise xmlrpc.client.Fault(42, "the catalogue is closed")


METHODS: dict[str, Callable[..., Any]] = {
    "add": add,
    "catalog.search": search,
    "catalog.fail": fail,
}


def xml_rpc(board: Board, talk: Talk, request: Seen) -> bool:
    params, method = xmlrpc.client.loads(request.body)
    try:
        value = (METHODS[method or ""](*params),)
        text = xmlrpc.client.dumps(value, methodresponse=True)
    except xmlrpc.client.Fault as fault:
        text = xmlrpc.client.dumps(fault, methodresponse=True)
    talk.send(response(text.encode(), "text/xml"))
    return True


def json_rpc(board: Board, talk: Talk, request: Seen) -> bool:
    call = json.loads(request.body)
    answer = {"jsonrpc": "2.0", "id": call["id"]}
    params = call["params"]
    method = METHODS[call["method"]]
    try:
        answer["result"] = method(**params) if isinstance(params, dict) else method(*params)
    except xmlrpc.client.Fault as fault:
        answer["error"] = {"code": fault.faultCode, "message": fault.faultString}
    talk.send(response(json.dumps(answer).encode(), "application/json-rpc"))
    return True


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"

PATHS: dict[str, Behaviour] = {
    "/text": sends(response("Käse".encode("latin-1"), "text/plain; charset=ISO-8859-1")),
    "/bytes": sends(response(b"\x89PNG\xff", "image/png")),
    "/json": sends(response(b'{"a": [1, 2]}', "application/json")),
    "/path": path,
    "/echo": echo,
    "/head": head,
    "/broken": sends(response(b"<h1>no", "text/html", "500 Internal Server Error")),
    "/gate": gate,
    "/open": opens,
    "/meet": meet,
    "/rpc2": xml_rpc,
    "/rpc3": json_rpc,
    "/chunked": sends(CHUNKED + b"3\r\nfoo\r\n3;x=y\r\nbar\r\n0\r\nX-Trailer: 1\r\n\r\n"),
    "/until-close": sends(UNTIL_CLOSE, b"to the end", closes=True),
    "/no-content": sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "/no-content-close": sends(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
    "/not-modified": sends(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    "/interim": sends(b"HTTP/1.1 100 Continue\r\n\r\n", HINTS, response(b"at last")),
    "/old": sends(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", closes=True),
    "/says-close": hangs(response(b"bye", more="Connection: close\r\n")),
    "/says-soon": sends(response(b"quick", more="Keep-Alive: timeout=1, max=9\r\n")),
    # faults
    "/mute": mute,
    "/hang-in-header": hangs(b"HTTP/1.1 200 OK\r\nContent-"),
    "/hang-after-header": hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    "/hang-in-body": hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"),
    "/close": sends(closes=True),
    "/reset": reset,
    "/close-in-header": sends(b"HTTP/1.1 200 OK\r\nContent-Le", closes=True),
    "/close-in-body": sends(response(b"half", length=1000), closes=True),
    "/close-in-chunk": sends(CHUNKED + b"ff\r\nhalf", closes=True),
    "/once": once,
    "/garbage": hangs(b"220 mail.example.com ESMTP\r\n"),
    "/no-status": hangs(b"HTTP/1.1 abc Fine\r\n\r\n"),
    "/two-lengths": hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "/bad-length": hangs(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    "/bad-chunk": hangs(CHUNKED + b"zz\r\nabc\r\n"),
    "/switch": hangs(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello"
    ),
    "/endless-header": endless(b"HTTP/1.1 200 OK\r\n", b"X-Field: %s\r\n" % (b"x" * 1000)),
    "/endless-line": endless(b"HTTP/1.1 200 OK\r\nX-Field: ", PIECE),
    "/endless-interim": endless(b"", HINTS * 100),
    "/endless-body": endless(UNTIL_CLOSE, PIECE),
    "/endless-chunks": endless(CHUNKED, b"%x\r\n%s\r\n" % (len(PIECE), PIECE)),
    "/endless-trailer": endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"X-T: %s\r\n" % PIECE),
    # more than was asked for
    "/two-answers": sends(response(b"asked for") + response(b"smuggled")),
    "/empty-answer": sends(response(b"asked for") + response()),
    "/half-an-answer": sends(response(b"asked for") + b"HTTP/1"),
    "/too-long": sends(response(b"four, and more", length=4)),
    "/body-of-head": sends(response(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")),
    "/answer-and-switch": sends(
        response(b"asked for")
        + b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"
    ),
}
