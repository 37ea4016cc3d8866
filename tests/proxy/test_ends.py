"""Members by TLS and unix sockets; how requests end: clients that leave, workers that retire."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from fault_server import FaultServer
from operator_session import Home
from plain_member import HALF, WHOLE, Asked, PlainMember, Talk, header
from raw_client import MIB, pieces, raw_client, request
from served import Server

ENDLESS = 256 * MIB


def endless(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """More than fits into all buffers on the way."""
    talk.send(header(length=ENDLESS))
    for piece in pieces(ENDLESS):
        talk.send(piece)
    return True


def open_end(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    """An answer of unknown length that pauses in its middle."""
    talk.send(b"HTTP/1.1 200 OK\r\n\r\n" + HALF)
    talk.wait_end()
    raise ConnectionError("nobody waited for the rest")  # so it counts as broken


def mute(member: PlainMember, talk: Talk, asked: Asked) -> bool:
    talk.wait_end()
    raise ConnectionError("nobody waited for the answer")


@pytest.fixture(scope="module")
def shared_member() -> Iterator[PlainMember]:
    with PlainMember(endless=endless, **{"open-end": open_end}, mute=mute) as member:
        yield member


@pytest.fixture(scope="module")
def secure(shared_home: Home) -> Iterator[FaultServer]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(shared_home.etc / "cert" / "members.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with FaultServer(tls=context) as server:
        yield server


@pytest.fixture(scope="module")
def unix_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A member that answers once, with the Host it was called."""
    path = tmp_path_factory.mktemp("sock") / "app.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_answer, args=(listener,))
        thread.start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)  # it may be that nobody has asked
        thread.join()


def _answer(listener: socket.socket) -> None:
    try:
        talk = Talk(listener.accept()[0])
    except OSError:
        return
    found = talk.head()
    assert found is not None
    host = dict(found[2])["Host"].encode()
    talk.send(header(length=len(host)) + host)
    talk.file.close()
    talk.sock.close()


@pytest.fixture(scope="module")
def server(
    shared_home: Home, shared_member: PlainMember, secure: FaultServer, unix_socket: Path
) -> Server:
    conf = f"[@one]\nmembers = {shared_member.node}\n"
    conf += f"[@tls]\nssl = yes\ncafile = members.pem\nmembers = localhost:{secure.port}\n"
    conf += f"[@wrong]\nssl = yes\nmembers = localhost:{secure.port}\n"
    conf += f"[@unix]\nmembers = unix:{unix_socket}\n"
    routes = "/one = @one\n/tls = @tls\n/wrong = @wrong\n/unix = @unix"
    return shared_home.serve(routes=routes, sections=conf, more="body_timeout = 1")


def test_member_by_tls(server: Server, secure: FaultServer) -> None:
    """HTTPS to the member, its certificate checked; several requests on one connection."""
    assert [server.get(f"/tls/text?{number}").status for number in range(3)] == [200] * 3
    assert {each.talk for each in secure.seen} == {1}


def test_member_that_nobody_vouches_for(server: Server) -> None:
    """Is not asked: 503, and the log says why."""
    assert server.get("/wrong/text").status == 503
    server.wait_log("its certificate is refused")


def test_member_by_unix_socket(server: Server) -> None:
    """As by TCP; it is called localhost."""
    assert server.get("/unix/x").body == b"localhost"


def test_client_that_sends_no_more_has_left(server: Server, member: PlainMember) -> None:
    """Before the answer begins that is what it most often means; the member can stop."""
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/mute"))
        member.wait_seen(1)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.is_closed()
    member.wait_broken()


def test_client_that_sends_no_more_gets_what_was_promised(
    server: Server, member: PlainMember
) -> None:
    """Once the length of the answer is known it waits for the rest."""
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/slow"))
        response = client.answer()
        first = response.read(len(HALF))
        client.sock.shutdown(socket.SHUT_WR)
        member.open()

        assert first + response.read() == WHOLE
        assert client.is_closed()


def test_client_that_leaves_an_open_end(server: Server, member: PlainMember) -> None:
    """An answer of unknown length may have no end: it is given up."""
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/open-end"))
        response = client.answer()
        assert response.read(len(HALF)) == HALF
        client.sock.shutdown(socket.SHUT_WR)
        member.wait_broken()


def test_client_that_does_not_read_is_cut(server: Server, member: PlainMember) -> None:
    """After body_timeout, and the member is let go."""
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/endless"))
        member.wait_begun()
        member.wait_broken()


def test_reload_under_requests(home: Home, member: PlainMember) -> None:
    """New workers take over without a request lost, those on their way are finished."""
    server = home.serve("web", routes="/one = @one", sections=f"[@one]\nmembers = {member.node}")
    is_over = threading.Event()
    bodies: list[bytes] = []

    def ask() -> None:
        while not is_over.is_set():
            bodies.append(server.get("/one/fine").body)

    thread = threading.Thread(target=ask)
    thread.start()
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/slow"))
        member.wait(lambda: any(each.target == "/slow" for each in member._seen))
        server.send(signal.SIGHUP)
        server.wait_log("is ready after", times=2)
        member.open()
        assert client.whole_answer() == (200, WHOLE)
    is_over.set()
    thread.join()

    assert set(bodies) == {WHOLE}


def test_stopping_worker_breaks_off(home: Home, member: PlainMember) -> None:
    """A fast stop waits for nobody, and leaves the member no connection."""
    server = home.serve("web", routes="/one = @one", sections=f"[@one]\nmembers = {member.node}")
    with raw_client(server.port) as client:
        client.send(request("GET", "/one/mute"))
        member.wait_seen(1)
        assert server.stop() == 0
        member.wait_broken()
        assert client.is_closed()
