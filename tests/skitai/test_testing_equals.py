"""The test client answers as a server does: the same requests, byte for byte, to both."""

from __future__ import annotations

import re
import xmlrpc.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import app_of_everything
import pytest
from operator_session import Home, free_port
from served import Server

from skitai.testing import Client, Jar
from skitai.testing.sending import Sending, encoded

APP = Path(app_of_everything.__file__)

# Of the connection, or of the moment.
NOT_COMPARED = {"date", "server", "connection", "transfer-encoding"}
OF_THE_MOMENT = re.compile(r"SESSION=[\w-]+|Expires=[^;]+")


class Response(NamedTuple):
    """What is compared."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def of(cls, status: int, reason: str, headers: Any, body: bytes) -> Response:
        kept = [
            (name, OF_THE_MOMENT.sub("*", value))
            for name, value in headers
            if name.lower() not in NOT_COMPARED
        ]
        return cls(status, reason, kept, body)


class OverTheWire:
    """A browser at a real server. It sends what the test client gives its app."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cookies = Jar()

    def ask(self, method: str, path: str, data: Any = None, **options: Any) -> Response:
        headers = dict(options.get("headers", {}))
        sending = Sending(method, encoded(path), headers, data, options)  # type: ignore[arg-type]
        request = sending.request(self._cookies.header(sending.path))
        with closing(self._server.connect()) as connection:
            connection.putrequest(method, sending.url, skip_host=True, skip_accept_encoding=True)
            for name, value in request.fields:
                connection.putheader(name.decode(), value)
            connection.endheaders(request.body)
            reply = connection.getresponse()
            body = reply.read()
        self._cookies.keep(reply.headers.get_all("Set-Cookie", []), sending.path)
        return Response.of(reply.status, reply.reason, reply.headers.items(), body)


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Server:
    """The app at /test, and itself and nobody else as members of a cluster."""
    port = free_port()
    return shared_home.serve(
        apps={"webapp.py": APP.read_text()},
        port=port,
        routes="/test = {app}/webapp\n/folder/ = {app}/webapp",
        sections=f"[@members]\nmembers = 127.0.0.1:{port}, 127.0.0.1:{free_port()}",
    )


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(app_of_everything.app, "/test", raise_errors=False) as client:
        yield client


def asked(client: Client, method: str, path: str, data: Any = None, **options: Any) -> Response:
    reply = client.request(method, path, data, **options)
    return Response.of(reply.status, reply.reason, reply.headers.items(), reply.data)


def call(method: str, *params: Any) -> str:
    return xmlrpc.client.dumps(params, method)


class Case(NamedTuple):
    method: str
    path: str
    data: Any
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def case(method: str, path: str, data: Any = None, **options: Any) -> Case:
    return Case(method, path, data, options)


def typed(path: str, data: Any, kind: str) -> Case:
    return case("POST", path, data, headers={"Content-Type": kind})


FORM = "application/x-www-form-urlencoded"
PNG = ("sea.png", b"\x89PNG", "image/png")

CASES = [
    # paths
    case("GET", "/test"),
    case("GET", "/test/"),
    case("HEAD", "/test/"),
    case("GET", "/"),
    case("GET", "/tester"),
    case("GET", "/nothing/<here>?a=b"),
    case("GET", "/test/nowhere"),
    case("GET", "/test/hello/world/?name=x"),
    case("POST", "/test/hello/world/", {"name": "x"}),
    case("GET", "/test/slash"),
    case("GET", "/test/slash/"),
    case("HEAD", "/test/slash?x=%20y"),
    case("GET", "/test/company/555"),
    case("GET", "/test/company/555?cid=1&tab=main"),
    case("GET", "/test/company/five"),
    case("GET", "/test/named/Skitai%20Corp"),
    case("GET", "/test/named/h\xe9 \u20ac"),
    case("GET", "/test/named/%ff"),
    case("GET", "/test/named/a%2520b"),
    case("GET", "/test/files/a/b%2Fc/d"),
    case("GET", "/test/hello/world#part"),
    # methods
    case("POST", "/test/hello/world", {"name": ["a", "b"]}),
    case("PUT", "/test/raw", "text"),
    case("PATCH", "/test/raw", b"\x00\xff"),
    case("DELETE", "/test/raw?now=1"),
    case("GET", "/test/raw"),
    case("OPTIONS", "/test/raw"),
    case("OPTIONS", "/test/nowhere"),
    # arguments
    case("GET", "/test/hello/world?name=Hans&n=3"),
    case("GET", "/test/hello/world?nobody=expects"),
    case("GET", "/test/async"),
    case("GET", "/test/async?name=%ff"),
    case("POST", "/test/form?a=1", {"a": "2", "b": ["3", "4"], "c": "\u20ac & = +"}),
    typed("/test/form", b"a=%ff", FORM),
    case("POST", "/test/json", json={"cid": 5, "more": None}),
    case("POST", "/test/json", json=[1]),
    typed("/test/json", "{", "application/json"),
    case("GET", "/test/env?a=b", headers={"X-Own": "1", "Accept": "text/html"}),
    # uploads
    case("POST", "/test/form", {"title": "Sea"}, files={"photo": PNG}),
    case("POST", "/test/form", {"a": ["1", "2"]}, files={"a": [("x", "1"), ("y.txt", "2\r\n")]}),
    case("POST", "/test/form", {}, files={"empty": ("", b"")}),
    case("POST", "/test/form", {'na"me': "v"}, files={"f": ("C:\\dir\\../sea.TXT", b"")}),
    case("POST", "/test/upload", files={"photo": ("h\xe9.bin", "content")}),
    case("POST", "/test/raw", files={"photo": PNG}),
    # hooks
    case("GET", "/test/hello/world", headers={"X-Before": "1"}),
    case("GET", "/test/refuse"),
    case("GET", "/test/async/fail"),
    case("GET", "/test/error?code=418"),
    # responses
    case("GET", "/test/headers"),
    case("HEAD", "/test/headers"),
    *[case("GET", f"/test/status?code={code}") for code in (200, 204, 302, 304, 404, 599)],
    case("GET", "/test/status?code=99"),
    case("GET", "/test/error"),
    case("GET", "/test/problem"),
    case("GET", "/test/fail"),
    case("GET", "/test/nothing"),
    case("GET", "/test/number"),
    # streams
    case("GET", "/test/rows"),
    case("HEAD", "/test/rows"),
    case("GET", "/test/file"),
    case("HEAD", "/test/file"),
    case("GET", "/test/events"),
    case("HEAD", "/test/events"),
    # methods by name
    typed("/rpc2", call("test.hello.world", "Hans"), "text/xml"),
    typed("/test/rpc2", call("test.hello.world", "Hans"), "application/xml"),
    typed("/rpc2", call("test.add", 1, 2), "text/xml"),
    typed("/rpc2", call("test.company.555"), "text/xml"),
    typed("/rpc2", call("test.fault"), "text/xml"),
    typed("/rpc2", call("test.fail"), "text/xml"),
    typed("/rpc2", call("hello.world"), "text/xml"),
    typed("/rpc2", call("test"), "text/xml"),
    typed("/rpc2", call("system.methodHelp", "test.hello.world"), "text/xml"),
    typed("/rpc2", "<no", "text/xml"),
    typed("/rpc3", "[1]", "application/json-rpc"),
]


@pytest.mark.parametrize("each", CASES, ids=str)
def test_same_response(server: Server, client: Client, each: Case) -> None:
    """Status, phrase, header fields in their order, and body."""
    method, path, data, options = each
    theirs = OverTheWire(server).ask(method, path, data, **options)

    assert asked(client, method, path, data, **options) == theirs


def test_same_cookies(server: Server, client: Client) -> None:
    """Through several requests: values, paths, what is over, and the session."""
    wire = OverTheWire(server)
    for path in (
        "/test/cookie",
        "/test/cookie?value=1%3B%20%E2%82%AC%22",
        "/test/cookie",
        "/test/count",
        "/test/count",
        "/test/count?clear=1",
        "/test/count",
    ):
        assert asked(client, "GET", path) == wire.ask("GET", path)


@pytest.mark.parametrize("path", ["/folder", "/folder/", "/folder/hello/world", "/folderol"])
def test_same_mount(server: Server, path: str) -> None:
    """Of an app that is mounted like a directory."""
    with Client(app_of_everything.app, "/folder/") as client:
        assert asked(client, "GET", path) == OverTheWire(server).ask("GET", path)


@pytest.mark.parametrize("how", ["map", "lb"])
@pytest.mark.parametrize("method", ["hello.world", "fault", "nowhere"])
def test_same_results(server: Server, client: Client, how: str, method: str) -> None:
    """Of a cluster with a member that answers, and one that is not there."""

    def member(method: str, *params: Any) -> Any:
        return client_of_member.rpc(method, *params)

    path = f"/test/ask?how={how}&method=test.{method}"
    with Client(app_of_everything.app, "/test") as client_of_member:
        client.cluster("members", [member, ConnectionRefusedError()])
        ours = asked(client, "GET", path)
    assert ours == OverTheWire(server).ask("GET", path)
