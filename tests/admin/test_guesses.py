"""Somebody who guesses the password, at a real server."""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack, closing
from functools import partial

from looks import CONF, PASSWORD, basic, look
from operator_session import Home
from served import Server
from waits import PATIENCE, wait_until

TRIES, BATCH = 1000, 250  # so many at once, as each is a connection


STRANGERS: list[tuple[str, dict[str, str]]] = [
    ("status", {}),
    ("status", basic("root")),
    ("status", basic("Admin")),
    ("status", basic("")),
    ("status", basic(password="")),
    ("status", basic(password=PASSWORD.upper())),
    ("status/events", basic(password="wrong")),
    ("status/routes", basic(password="wrong")),
    ("status/do", basic(password="wrong")),
    ("status.json", basic(password="wrong")),
    ("metrics", basic(password="wrong")),
]


def test_nobody_else_is_let_in(shared_home: Home) -> None:
    """No password, a wrong one, another user: the same answer, which asks for the right one."""
    server = shared_home.serve("strangers", more=CONF)
    for number, (path, headers) in enumerate(STRANGERS):
        method = "POST" if path == "status/do" else "GET"
        # Each from an address of its own, or it would wait for the penalty of the one before it.
        reply = ask(server, f"127.0.1.{number + 1}", path, headers, method)
        assert reply.status == 401
        assert (reply.getheader("WWW-Authenticate") or "").startswith("Basic realm=")


def test_a_thousand_tries_in_a_loop(home: Home) -> None:
    """A few of them are looked at, each of those is late and logged; others are served meanwhile,
    and who knows the password elsewhere is let in."""
    server = home.serve("web", more=CONF)
    answered = []
    for batch in range(TRIES // BATCH):
        with ExitStack() as open_ones:
            tries = [open_ones.enter_context(closing(server.raw())) for _ in range(BATCH)]
            for index, sock in enumerate(tries):
                wrong = basic(password=f"guess{batch}.{index}")["Authorization"]
                head = f"GET /skitai/status HTTP/1.1\r\nHost: x\r\nAuthorization: {wrong}\r\n\r\n"
                sock.sendall(head.encode())
            assert server.get("/hello").text == "hello"
            assert ask(server, "127.0.0.9", "status", basic()).status == 200
            answered += [http_status(sock) for sock in tries]
    assert set(answered) == {401, 429}
    assert answered.count(401) < TRIES / 100
    lines = server.wait_log(
        "refused to 127.0.0.1: wrong user or password, for the 3. time in a row"
    )
    assert lines.count("wrong user or password") == answered.count(401)
    wait_until(partial(is_let_in, server), "the end of the penalty")


def ask(
    server: Server, address: str, path: str, headers: dict[str, str], method: str = "GET"
) -> http.client.HTTPResponse:
    """An admin page, asked for from one of the addresses that this machine has."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port, timeout=PATIENCE, source_address=(address, 0)
    )
    with closing(connection):
        connection.request(method, f"/skitai/{path}", headers=headers)
        return connection.getresponse()


def http_status(sock: socket.socket) -> int:
    return int(sock.recv(65536).split()[1])


def is_let_in(server: Server) -> bool:
    return look(server, "status").status == 200
