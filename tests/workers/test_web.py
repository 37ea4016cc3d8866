"""Pages over real sockets: what clients get for what handlers do, and for what they do wrong."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from contextlib import closing
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from operator_session import Home
from served import Reply, Server
from waits import PATIENCE, Gate

APP = (Path(__file__).parent / "app_of_pages.py").read_text()
DEVEL = APP + "\n\napp.set_devel(True)\n"
BODY_MAX = 300_000
ROUTES = """
/ = {app}/static
/ = {app}/pages
/devel = {app}/devel
/slash/ = {app}/pages
"""
FILES = {
    "static/index.html": "index",
    "static/hello.txt": "a file",
    "static/hello": "a file where the app has a handler",
    "static/both/index.htm": "htm",
    "static/devel/file.txt": "a file below the mount of an app",
}


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Server:
    """One for all tests of this file: none of them may leave it other than it was."""
    apps = {"pages.py": APP, "devel.py": DEVEL, **FILES}
    return shared_home.serve("web", apps=apps, routes=ROUTES, more=f"max_body_size = {BODY_MAX}")


def form(server: Server, path: str, body: str) -> Reply:
    kind = "application/x-www-form-urlencoded"
    return server.post(path, body, {"Content-Type": kind})


# What a handler returns


def test_text_is_html(server: Server) -> None:
    """The plainest page."""
    reply = server.get("/devel/hello")

    assert (reply.status, reply.text) == (200, "hello")
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["Server"] == "Skitai"
    assert parsedate_to_datetime(reply.headers["Date"])


@pytest.mark.parametrize("path", ["/dict", "/async/dict"])
def test_dict_is_json(server: Server, path: str) -> None:
    """Lists as well; from both kinds of handlers."""
    reply = server.get(path)

    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == {"a": [1, None, "\u20ac"]}


def test_response(server: Server) -> None:
    """Status, phrase and fields are the handler's."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/response")
        response = connection.getresponse()

        assert (response.status, response.reason) == (201, "Made")
        assert response.headers["Content-Type"] == "text/plain"
        assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
        assert response.read() == b"made"


def test_no_content(server: Server) -> None:
    """204 has neither body nor length."""
    reply = server.get("/nothing")

    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (204, b"", None)


@pytest.mark.parametrize("path", ["/teapot", "/async/teapot"])
def test_http_error(server: Server, path: str) -> None:
    """Its page is escaped, its fields are sent."""
    reply = server.get(path)

    assert reply.status == 418
    assert reply.headers["X-Pot"] == "tea"
    assert "&lt;short&gt; &amp; stout" in reply.text


@pytest.mark.parametrize(
    "path", ["/devel/hello", "/large/100000", "/hello.txt", "/none", "/teapot"]
)
def test_head(server: Server, path: str) -> None:
    """The header of the GET, and nothing else; the next answer is found where it begins."""
    get = server.get(path)
    with closing(server.connect()) as connection:
        connection.request("HEAD", path)
        head = connection.getresponse()
        assert (head.status, head.read()) == (get.status, b"")
        for name in ("Content-Type", "Content-Length", "Last-Modified"):
            assert head.headers[name] == get.headers[name]
        connection.request("GET", path)
        assert connection.getresponse().read() == get.body


def test_large_answer(server: Server) -> None:
    """More than any buffer holds."""
    assert server.get("/large/8000000").body == b"x" * 8_000_000


# What a client gives


def test_arguments(server: Server) -> None:
    """Path, query and form are the arguments; what comes several times is a list."""
    reply = form(server, "/echo/5/a/b%20c?x=1&x=2&y=%C3%A9", "x=3&z=")

    assert reply.json() == {
        "number": 5,
        "rest": "a/b c",
        "fields": {"x": ["1", "2", "3"], "y": "\xe9", "z": ""},
        "path": "/echo/5/a/b c",
    }


@pytest.mark.parametrize("path", ["/two", "/async/two"])
@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("a=1", ["1", "default"]),
        ("a=1&b=2", ["1", "2"]),
        ("", "the argument a is missing"),
        ("b=2", "the argument a is missing"),
        ("a=1&c=3", "the argument c is not expected"),
        ("a=1&was=3", "the argument was is not expected"),
        ("a=%ff", "query or the form cannot be read"),
    ],
)
def test_missing_and_unexpected(server: Server, path: str, query: str, outcome: Any) -> None:
    """A wrong call is the client's fault, and says by name what is wrong."""
    reply = server.get(f"{path}?{query}")

    if isinstance(outcome, list):
        assert reply.json() == outcome
    else:
        assert reply.status == 400
        assert outcome in reply.text


def test_handler_that_takes_any_field(server: Server) -> None:
    """But for the name it has for `was`."""
    assert server.get("/any?a=1&self=2").json() == {"a": "1", "self": "2"}
    assert server.get("/any?was=1").status == 400


def test_names_are_escaped(server: Server) -> None:
    """What a client sent is shown to nobody as markup."""
    page = server.get("/two?a=1&%3Cb%3E=2")
    assert page.status == 400
    assert "&lt;b&gt;" in page.text

    page = server.get("/none/%3Cb%3E")
    assert page.status == 404
    assert "There is nothing at /none/&lt;b&gt;." in page.text


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("OPTIONS", "/%ff", 400),
        ("GET", "/%c0%ae", 400),
        ("GET", "*", 400),
        ("OPTIONS", "*", 204),  # the server as a whole, RFC 9110 section 9.3.7
    ],
)
def test_target_that_is_no_path(server: Server, method: str, target: str, status: int) -> None:
    """Each has its answer, and the connection goes on."""
    with closing(server.raw()) as sock:
        sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert read_one(sock).status == status
        sock.sendall(b"GET /devel/hello HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_one(sock).read() == b"hello"


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("http://example.com/any?a=1", b'{"a":"1"}'),
        ("http://example.com/devel/hello", b"hello"),
        ("http://example.com:5000/", b"index"),
        ("http://example.com", b"index"),
        ("http://example.com?a=/any", b"index"),
    ],
)
def test_absolute_form(server: Server, target: str, body: bytes) -> None:
    """The path is what follows the host, and only that."""
    with closing(server.raw()) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode())

        assert read_one(sock).read() == body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_reach_the_app(server: Server, method: str) -> None:
    """It knows what it was asked."""
    told = server.request(method, "/request", b"12345").json()

    assert (told["method"], told["size"], told["peer"]) == (method, 5, "127.0.0.1")


@pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND"])
def test_methods_that_no_rule_has(server: Server, method: str) -> None:
    """They are told which there are; asking for them is no mistake."""
    reply = server.request(method, "/request")

    assert reply.status == (200 if method == "OPTIONS" else 405)
    assert reply.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


@pytest.mark.parametrize("over", [0, 1])
def test_body_up_to_the_limit(server: Server, over: int) -> None:
    """The last byte that may come, and the first that may not; by length and by chunks."""
    body = b"x" * (BODY_MAX + over)
    replies = [server.post("/request", body), post_chunked(server, body)]

    for reply in replies:
        if over:
            assert reply.status == 413
            assert f"larger than {BODY_MAX} bytes" in reply.text
        else:
            assert reply.json()["size"] == BODY_MAX


def post_chunked(server: Server, body: bytes) -> Reply:
    pieces = [body[at : at + 100_000] for at in range(0, len(body), 100_000)]
    with closing(server.connect()) as connection:
        connection.request("POST", "/request", iter(pieces), encode_chunked=True)
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())


# What goes wrong

OURS = "The handler failed; the log of its app says why."
FAILURES = ["error", "exit", "interrupt", "generator-exit", "cancelled", "no-error", "deep",
            "bad-status", "injection"]  # fmt: skip


@pytest.mark.parametrize("kind", ["", "/async"])
@pytest.mark.parametrize("how", FAILURES)
def test_handler_that_fails(server: Server, kind: str, how: str) -> None:
    """500 without details; the log has them; thread, loop and connection go on."""
    before = server.status().workers[0].pid
    with closing(server.connect()) as connection:
        for _ in range(6):  # more than there are threads
            connection.request("GET", f"{kind}/fail/{how}")
            response = connection.getresponse()
            page = response.read().decode()
            assert response.status == 500
            assert OURS in page
            assert "Traceback" not in page
            assert "secret" not in page
        connection.request("GET", f"{kind}/fail/not")
        assert connection.getresponse().read() == b"fine"

    handler = "sync_fail" if not kind else "async_fail"
    server.wait_log(f"GET {kind}/fail/{how}: pages.{handler} raised ")
    assert server.status().workers[0].pid == before


@pytest.mark.parametrize("kind", ["", "/async"])
def test_traceback_is_shown_in_development_only(server: Server, kind: str) -> None:
    """And there it is escaped."""
    page = server.get(f"/devel{kind}/fail/error").text

    assert "Traceback (most recent call last)" in page
    assert "ZeroDivisionError: &lt;the secret of the handler&gt;" in page
    assert "<the secret" not in page


@pytest.mark.parametrize("kind", ["", "/async"])
@pytest.mark.parametrize(("how", "name"), [("none", "NoneType"), ("object", "object")])
def test_unsupported_return_type_is_named(server: Server, kind: str, how: str, name: str) -> None:
    """In the log, where the author looks."""
    assert server.get(f"{kind}/fail/{how}").status == 500
    server.wait_log(f"fail returned {name}; a handler returns str, bytes, a dict or list")


def test_detail_of_any_text(server: Server) -> None:
    """Lone surrogates, which have no form in UTF-8, do not make the page fail."""
    assert server.get("/fail/surrogates").status == 400


# Files and mounts


def test_file_has_priority(server: Server) -> None:
    """Over a handler of the same path, and below the mount of an app; for GET and HEAD."""
    assert server.get("/hello").text == "a file where the app has a handler"
    assert server.get("/devel/file.txt").text == "a file below the mount of an app"
    assert server.post("/hello").text == "hello"


def test_file(server: Server) -> None:
    """Its type, its age, how long it may be kept; whoever has it gets no other."""
    reply = server.get("/hello.txt")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["Cache-Control"] == "max-age=300"

    modified = reply.headers["Last-Modified"]
    again = server.get("/hello.txt", {"If-Modified-Since": modified})
    assert (again.status, again.body, again.headers["Content-Length"]) == (304, b"", None)
    assert again.headers["ETag"] == reply.headers["ETag"]

    older = formatdate(parsedate_to_datetime(modified).timestamp() - 1, usegmt=True)
    assert server.get("/hello.txt", {"If-Modified-Since": older}).status == 200
    assert server.get("/hello.txt", {"If-Modified-Since": "9" * 30}).status == 200


def test_index(server: Server) -> None:
    """Of the root, and of a directory, where the slash is added and the query kept."""
    assert server.get("/").text == "index"
    assert server.get("/both/").text == "htm"
    reply = server.get("/both?a=1&b")
    assert (reply.status, reply.headers["Location"]) == (301, "/both/?a=1&b")


def test_redirect_stays_here(server: Server) -> None:
    """Two slashes at the beginning would be the name of another host."""
    assert server.get("//both").headers["Location"] == "/both/"


def test_dots_find_nothing(server: Server) -> None:
    """However they are written."""
    for path in ("/../pages.py", "/%2e%2e/pages.py", "/..%2fpages.py", "/..%5cpages.py",
                 "/%252e%252e/pages.py", "/hello.txt%00", "/both/..%2f..%2fpages.py"):  # fmt: skip
        assert server.get(path).status == 404, path


def test_mounts(server: Server) -> None:
    """The app of the longest prefix answers, and no other for it."""
    assert server.get("/devel/none").status == 404
    assert server.get("/develop").status == 404
    assert server.get("/slash/dict").status == 200
    moved = server.get("/slash?a=b")
    assert (moved.status, moved.headers["Location"]) == (301, "/slash/?a=b")


# Connections


def read_one(sock: socket.socket) -> http.client.HTTPResponse:
    """One response of a bare connection; its body is still to be read."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response


def read_all(sock: socket.socket) -> bytes:
    """Until the server closes."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def bodies(data: bytes) -> list[bytes]:
    """Of responses that have a Content-Length."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        found.append(data[:size])
        data = data[size:]
    return found


def test_keep_alive(server: Server) -> None:
    """Many requests on one connection."""
    with closing(server.connect()) as connection:
        connection.connect()
        sock = connection.sock
        for _ in range(50):
            connection.request("GET", "/devel/hello")
            response = connection.getresponse()
            assert response.read() == b"hello"
        assert connection.sock is sock


def test_pipelining(server: Server) -> None:
    """Answers come in the order of the requests, whoever makes them: thread, loop or file."""
    paths = ["/two?a={n}", "/async/two?a={n}", "/hello.txt?{n}", "/none?{n}"]
    asked = [path.format(n=number) for number in range(50) for path in paths]
    with closing(server.raw()) as sock:
        for path in asked[:-1]:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        last = f"GET {asked[-1]} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        sock.sendall(last.encode())
        answers = bodies(read_all(sock))

    assert len(answers) == len(asked)
    for number in range(50):
        sync, on_loop, file, none = answers[4 * number : 4 * number + 4]
        assert json.loads(sync) == json.loads(on_loop) == [str(number), "default"]
        assert file == b"a file"
        assert b"404" in none


def test_half_closed_connection_is_answered(server: Server) -> None:
    """As `printf ... | nc` does."""
    with closing(server.raw()) as sock:
        sock.sendall(b"GET /two?a=1 HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        sock.shutdown(socket.SHUT_WR)

        assert len(bodies(read_all(sock))) == 3


def test_http_1_0(server: Server) -> None:
    """Closed after the answer, unless it asks to stay."""
    with closing(server.raw()) as sock:
        sock.sendall(b"GET /devel/hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = read_one(sock)
        assert response.headers["Connection"] == "keep-alive"
        assert response.read() == b"hello"
        sock.sendall(b"GET /devel/hello HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"\r\nConnection: close\r\n\r\nhello")


def test_refusal_is_not_lost_to_a_reset(server: Server) -> None:
    """A client that sends on without looking still reads why it was refused."""
    with closing(server.raw()) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(100):
            sock.sendall(b"x" * 10_000)
        sock.shutdown(socket.SHUT_WR)

        assert read_all(sock).startswith(b"HTTP/1.1 413 ")


def test_java_posts_with_an_upgrade(server: Server) -> None:
    """Its client asks for HTTP/2 first; the body is still the body."""
    with closing(server.raw()) as sock:
        sock.sendall(
            b"POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
            b"\r\na=1"
        )
        assert json.loads(read_one(sock).read()) == ["1", "default"]


# Overload


def test_full_queue(home: Home, tmp_path: Path) -> None:
    """More than may run and wait are told at once to come back; the others are served."""
    gate = Gate(tmp_path / "gate")
    more = "max_queue = 2\nthreads_max = 1"
    server = home.serve("web", apps={"webapp.py": gate.app()}, threads=1, more=more)

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /gate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def ask_many() -> tuple[list[bytes], list[bytes]]:
        first = asyncio.create_task(ask())
        await asyncio.to_thread(gate.wait_came)
        waiting = {asyncio.create_task(ask()) for _ in range(10)}
        refused: list[bytes] = []
        while len(waiting) > 2:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused += [each.result() for each in done]
        waiting.add(first)
        answered: list[bytes] = []
        while waiting:  # one after the other, since who has not left the gate would keep it open
            await asyncio.to_thread(gate.open)
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            answered += [each.result() for each in done]
        return refused, answered

    refused, answered = asyncio.run(asyncio.wait_for(ask_many(), PATIENCE))
    gate.close()

    assert (len(answered), len(refused)) == (3, 8)
    for answer in answered:
        assert answer.endswith(b"through")
    for answer in refused:
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert b"Too many requests are waiting" in answer
