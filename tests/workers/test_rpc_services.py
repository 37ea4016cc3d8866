"""RPC as a service: what it says of itself, with hooks, cookies and sessions around its methods."""

from __future__ import annotations

import http.cookies
import json
import xmlrpc.client
from collections.abc import Iterator
from typing import Any

import jsonrpclib
import pytest
from operator_session import Home
from served import Reply, Server

APP = '''
import datetime

from skitai.errors import HttpError
from skitai.server import ssgi

app = ssgi.Application(__name__)
app.use_session(True)


@app.before_request
def before(was):
    if was.request.get_header("X-Shortcut"):
        return "not asked"
    if was.request.get_header("X-Forbidden"):
        return was.response.error(403, "not today") or "page"
    was.response["X-Hook"] = "before"


@app.after_request
def after(was):
    if was.request.get_header("X-After"):
        return ["replaced"]


@app.teardown_request
def teardown(was):
    if was.request.get_header("X-Teardown"):
        return "saved"


@app.errorhandler(KeyError)
def unknown(was, error):
    return "no such key"


@app.route("/add")
def add(was, a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@app.route("/item/<int:number>")
def item(was, number: int) -> dict:
    return {"number": number}


@app.route("/page", methods=["GET"])
def page(was):
    return "a page"


@app.route("/form", methods=["GET", "POST"])
def form(was):
    was.response["Content-Type"] = "text/plain"
    was.response.start(201)
    return "a form"


@app.route("/lookup")
def lookup(was):
    return {}["key"]


@app.route("/fails")
def fails(was):
    raise ValueError("bad luck")


@app.route("/count")
def count(was):
    was.session["count"] = was.session.get("count", 0) + 1
    was.cookie["count"] = str(int(was.cookie.get("count", 0)) + 1)
    return [was.session["count"], was.cookie["count"]]


@app.route("/document", methods=["PUT", "POST"])
def document(was):
    return was.request.xml
'''
NO_METHOD = -32601


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Server:
    """One for all tests of this file: none of them may leave it other than it was."""
    return shared_home.serve("web", apps={"service.py": APP}, routes="/ = {app}/service")


def proxy_of(server: Server, **headers: str) -> Any:
    return xmlrpc.client.ServerProxy(
        f"http://127.0.0.1:{server.port}/rpc2",
        headers=[(name.replace("_", "-"), value) for name, value in headers.items()],
        use_builtin_types=True,
    )


@pytest.fixture
def xml(server: Server) -> Iterator[Any]:
    with proxy_of(server) as proxy:
        yield proxy


@pytest.fixture
def remote(server: Server) -> Iterator[Any]:
    """The same by jsonrpclib."""
    proxy = jsonrpclib.ServerProxy(f"http://127.0.0.1:{server.port}/rpc3")
    yield proxy
    proxy("close")()


@pytest.fixture(params=["xml", "remote"])
def either(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def call(server: Server, method: str, *params: Any, **headers: str) -> Reply:
    sent = {"Content-Type": "text/xml"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return server.post("/rpc2", xmlrpc.client.dumps(params, method), sent)


# introspection


def test_methods_can_be_listed(either: Any) -> None:
    """By both protocols: those of the apps that a POST reaches, and those of the server."""
    assert list(either.system.listMethods()) == [
        "add", "count", "document", "fails", "form", "lookup",
        "system.getCapabilities", "system.listMethods", "system.methodHelp",
        "system.methodSignature", "system.multicall",
    ]  # fmt: skip


def test_methods_are_described(either: Any) -> None:
    """What the handler's docstring and annotations say."""
    assert either.system.methodHelp("add") == "Add two numbers."
    assert either.system.methodHelp("count") == ""
    assert either.system.methodSignature("add") == [["int", "int"], ["int", "int", "int"]]
    assert either.system.methodSignature("item.5") == [["struct"]]
    assert either.system.methodSignature("count") == "undef"
    assert either.system.getCapabilities()["introspection"]["specVersion"] == 1


def test_description_of_what_is_not_there(xml: Any) -> None:
    """The fault that its call would be."""
    with pytest.raises(xmlrpc.client.Fault, match="there is no method page") as raised:
        xml.system.methodHelp("page")
    assert raised.value.faultCode == NO_METHOD


def test_introspection_among_other_calls(xml: Any) -> None:
    """A client may ask about many methods in one document."""
    many: Any = xmlrpc.client.MultiCall(xml)
    many.system.methodHelp("add")
    many.add(1, 2)
    many.system.methodSignature("none")
    many.system.listMethods()
    results = many()

    assert (results[0], results[1], results[3][0]) == ("Add two numbers.", 3, "add")
    with pytest.raises(xmlrpc.client.Fault, match="there is no method none"):
        results[2]


@pytest.mark.parametrize("method", ["page", "system.other", "system"])
def test_what_is_no_method(xml: Any, method: str) -> None:
    """A rule that answers GET alone is for browsers."""
    with pytest.raises(xmlrpc.client.Fault, match="there is no method") as raised:
        getattr(xml, method)()
    assert raised.value.faultCode == NO_METHOD


# hooks


def test_hook_that_answers(server: Server) -> None:
    """What before_request returns is the result; the handler does not run."""
    with proxy_of(server, X_Shortcut="1") as proxy:
        assert proxy.fails() == "not asked"


def test_hook_that_replaces(server: Server) -> None:
    """What after_request returns is the result."""
    with proxy_of(server, X_After="1") as proxy:
        assert proxy.add(1, 2) == ["replaced"]


def test_hook_that_saves(server: Server) -> None:
    """What teardown_request returns is the result of a handler that failed."""
    with proxy_of(server, X_Teardown="1") as proxy:
        assert proxy.fails() == "saved"


def test_hook_that_refuses(server: Server) -> None:
    """Its status is the fault's code."""
    with (
        proxy_of(server, X_Forbidden="1") as proxy,
        pytest.raises(xmlrpc.client.Fault, match="not today") as raised,
    ):
        proxy.add(1, 2)
    assert raised.value.faultCode == 403


def test_page_of_an_error(xml: Any) -> None:
    """What an errorhandler returns is the message of the fault, its status the code."""
    with pytest.raises(xmlrpc.client.Fault, match="no such key") as raised:
        xml.lookup()
    assert raised.value.faultCode == 500


def test_fields_of_a_response(server: Server) -> None:
    """Those that hooks and handlers set are sent, but for what describes a page."""
    reply = call(server, "form")

    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/xml")
    assert reply.headers["X-Hook"] == "before"
    assert xmlrpc.client.loads(reply.body)[0] == ("a form",)


# cookies and sessions


def cookies_of(reply: Reply) -> str:
    """As a browser would send them back: the last of each name."""
    kept: dict[str, str] = {}
    for line in reply.headers.get_all("Set-Cookie") or []:
        for name, morsel in http.cookies.SimpleCookie(line).items():
            kept[name] = morsel.value
    return "; ".join(f"{name}={value}" for name, value in kept.items())


def test_session_and_cookies_go_on(server: Server) -> None:
    """From one call to the next, as for pages."""
    first = call(server, "count")
    second = call(server, "count", Cookie=cookies_of(first))

    assert xmlrpc.client.loads(second.body)[0] == ([2, "2"],)


def test_session_and_cookies_within_a_document(server: Server) -> None:
    """Each call sees what those before it have set, and the client is sent the last word."""
    calls = [{"methodName": "count", "params": []}] * 3
    many = call(server, "system.multicall", calls)
    assert xmlrpc.client.loads(many.body)[0] == ([[[1, "1"]], [[2, "2"]], [[3, "3"]]],)

    after = call(server, "count", Cookie=cookies_of(many))
    assert xmlrpc.client.loads(after.body)[0] == ([4, "4"],)
    assert len(many.headers.get_all("Set-Cookie") or []) == 2


def test_cookies_of_a_batch(server: Server) -> None:
    """The same by JSON-RPC."""
    batch = [{"jsonrpc": "2.0", "method": "count", "id": number} for number in (1, 2)]
    reply = server.post("/rpc3", json.dumps(batch), {"Content-Type": "application/json"})

    assert [each["result"] for each in reply.json()] == [[1, "1"], [2, "2"]]


# XML that is no call


def document(server: Server, body: bytes | str, kind: str = "application/xml") -> Reply:
    return server.request("PUT", "/document", body, {"Content-Type": kind})


@pytest.mark.parametrize("kind", ["application/xml", "text/xml", "application/atom+xml"])
def test_xml_body(server: Server, kind: str) -> None:
    """A handler is given its tree."""
    body = '<order id="5"><item>tea</item><item>milk</item></order>'

    assert document(server, body, kind).json() == {"order": {"@id": "5", "item": ["tea", "milk"]}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<a>\n<b>\n</a>", "line 3"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
    ],
)
def test_xml_body_that_cannot_be_read(server: Server, body: str, reason: str) -> None:
    """The client is told why."""
    reply = document(server, body)

    assert reply.status == 400
    assert reason in reply.text
