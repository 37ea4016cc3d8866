"""XML-RPC and JSON-RPC as others speak them: the standard library's client, and jsonrpclib's."""

from __future__ import annotations

import datetime
import json
import xmlrpc.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonrpclib
import pytest
from operator_session import Home
from served import Reply, Server

from skitai.wire.jsonrpc import CALLS_MAX

APP = (Path(__file__).parent / "app_of_calls.py").read_text()
ROUTES = """
/ = {app}/calls
/test = {app}/calls
/slash/ = {app}/calls
"""
NO_METHOD, BAD_PARAMS, FAILED = -32601, -32602, -32603


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Server:
    """One for all tests of this file: none of them may leave it other than it was."""
    more = "max_body_size = 20m"
    return shared_home.serve("web", apps={"calls.py": APP}, routes=ROUTES, more=more)


def url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


# XML-RPC


@pytest.fixture(params=["/RPC2", "/rpc2", "/rpc2/", "/any/where"])
def s(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    """A remote object at each of the usual paths; text/xml is XML-RPC at all of them."""
    with xmlrpc.client.ServerProxy(url(server, request.param), use_builtin_types=True) as proxy:
        yield proxy


@pytest.fixture
def xml(server: Server) -> Iterator[Any]:
    """One that can send everything."""
    proxy = xmlrpc.client.ServerProxy(url(server, "/rpc2"), use_builtin_types=True, allow_none=True)
    with proxy:
        yield proxy


def test_dotted_names(s: Any) -> None:
    """A method is a path, mount included, whatever the request was sent to."""
    assert s.hello() == "hello nobody"
    assert s.hello("Hans") == "hello Hans"
    assert s.hello.world() == "hello world"
    assert s.test.hello.world() == "hello world"
    assert s.slash.hello.world() == "hello world"
    assert s.test() == "root"
    assert s.number.__getattr__("5")() == 5


def test_arguments_are_positional(xml: Any) -> None:
    """In the order of the handler's."""
    assert xml.add(1, 2) == 3
    assert xml.echo(1, "two", [3]) == [1, "two", [3]]
    assert getattr(xml, "async").add("a", "b") == "ab"


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -5,
        1.5,
        "",
        "\u20ac <&> \n\t",
        b"\0\xff",
        datetime.datetime(2026, 1, 2, 3, 4, 5),
        [],
        {},
        {"a": [None, {"b": b"c"}]},
        list(range(10_000)),
        {f"key {n}": {"n": n, "text": "x" * 100} for n in range(2_000)},
        "x" * 5_000_000,
        b"\xff" * 2_000_000,
    ],
    ids=lambda value: f"{type(value).__name__} {str(value)[:20]!a}",
)
def test_values(xml: Any, value: Any) -> None:
    """There and back, small and large."""
    assert xml.same(value) == value


def test_kinds(xml: Any) -> None:
    """A handler gets Python's own types."""
    assert xml.kind(b"a") == "bytes"
    assert xml.kind(datetime.datetime(2026, 1, 2)) == "datetime"
    assert xml.kind(None) == "NoneType"
    assert xml.now() == datetime.datetime(2026, 1, 2, 3, 4, 5)


FAULTS = [
    ("none", (), NO_METHOD, "there is no method none"),
    ("test.none", (), NO_METHOD, "there is no method test.none"),
    ("slash", (), NO_METHOD, "there is no method slash"),
    ("number.x", (), NO_METHOD, "there is no method number.x"),
    ("number." + "9" * 5000, (), NO_METHOD, "there is no method"),
    ("hello/world", (1,), BAD_PARAMS, "1 arguments were given, at most 0 are expected"),
    ("add", (1,), BAD_PARAMS, "the argument b is missing"),
    ("add", (1, 2, 3), BAD_PARAMS, "3 arguments were given, at most 2 are expected"),
    ("number.5", (6,), BAD_PARAMS, "the argument number was given twice"),
    ("add", (1, "a"), FAILED, "TypeError: unsupported operand"),
    ("fail", ("error",), FAILED, "ValueError: bad luck"),
    ("fail", ("fault",), 17, "no such company"),
    ("fail", ("http",), 403, "not for you"),
    ("fail", ("http-bare",), 403, "Forbidden"),
    ("fail", ("exit",), FAILED, "SystemExit: 3"),
    ("fail", ("cancelled",), FAILED, "CancelledError: "),
    ("fail", ("unspeakable",), FAILED, "Unspeakable: "),
    ("fail", ("surrogates",), FAILED, "ValueError: a?"),
    ("fail", ("surrogates-fault",), 17, "a?b"),
    ("fail", ("surrogates-http",), 404, "a?b"),
    ("fail", ("object",), FAILED, "a value that RPC cannot carry"),
    ("fail", ("lone",), FAILED, "a value that RPC cannot carry"),
    ("deep", (100_000,), FAILED, "a value that RPC cannot carry"),
    ("fail", ("stream",), FAILED, "a value that RPC cannot carry"),
    ("fail", ("status",), 409, "taken"),
    ("fail", ("response-error",), 410, "no longer"),
]
BOTH_KINDS = [*FAULTS, *(("async.fail", *row[1:]) for row in FAULTS if row[0] == "fail")]
IDS = [f"{name[:12]} {params}" for name, params, *_ in BOTH_KINDS]


@pytest.mark.parametrize(("method", "params", "code", "message"), BOTH_KINDS, ids=IDS)
def test_xml_faults(
    xml: Any, method: str, params: tuple[Any, ...], code: int, message: str
) -> None:
    """Whatever goes wrong is a fault that says what; the server goes on."""
    for _ in range(6):  # more often than there are threads
        with pytest.raises(xmlrpc.client.Fault) as raised:
            getattr(xml, method)(*params)
        assert raised.value.faultCode == code
        assert message in raised.value.faultString

    assert xml.hello() == "hello nobody"


@pytest.mark.parametrize("value", [2**31, -(2**63)])
def test_integers_of_64_bits(server: Server, xml: Any, value: int) -> None:
    """Both ways, as i8; the client of the standard library reads it, and cannot write it."""
    param = f"<params><param><value><i8>{value}</i8></value></param></params>"
    body = f"<methodCall><methodName>same</methodName>{param}</methodCall>"

    assert f"<i8>{value}</i8>" in post(server, "/rpc2", "text/xml", body).text
    assert xml.number_of(str(value)) == value


def test_integers_that_xml_cannot_carry(xml: Any) -> None:
    """The caller is told how large it was, and what could be sent."""
    with pytest.raises(xmlrpc.client.Fault, match=r"an integer of 65 bits; .* send a str"):
        xml.number_of(str(2**64))


def test_xml_has_no_form_for_control_characters(xml: Any) -> None:
    """The client is not sent what it could not read."""
    with pytest.raises(xmlrpc.client.Fault, match="XML has no form for the character"):
        xml.fail("control")


def test_multicall(xml: Any) -> None:
    """Many calls in one document; one that fails costs no other."""
    many: Any = xmlrpc.client.MultiCall(xml)
    many.add(1, 2)
    many.fail("fault")
    many.hello.world()
    many.none()
    many.fail("status")
    many.fail("control")
    many.add(3, 4)
    results = many()

    assert (results[0], results[2], results[6]) == (3, "hello world", 7)
    for number, code in ((1, 17), (3, NO_METHOD), (4, 409), (5, FAILED)):
        with pytest.raises(xmlrpc.client.Fault) as raised:
            results[number]
        assert raised.value.faultCode == code


@pytest.mark.parametrize(
    "params",
    [(), (1,), ([], [])],
    ids=["nothing", "no array", "two arrays"],
)
def test_multicall_that_is_none(xml: Any, params: tuple[Any, ...]) -> None:
    """It takes one array."""
    with pytest.raises(xmlrpc.client.Fault, match="takes one array"):
        xml.system.multicall(*params)


def test_document_of_more_calls_than_anybody_needs(xml: Any, server: Server) -> None:
    """It is refused whole: a few bytes each could ask for a lot of work."""
    calls = [{"methodName": "hello", "params": []}] * (CALLS_MAX + 1)
    with pytest.raises(xmlrpc.client.Fault, match="no more than 1000 calls"):
        xml.system.multicall(calls)

    batch = [{"jsonrpc": "2.0", "method": "hello", "id": 1}] * (CALLS_MAX + 1)
    kind = {"content-type": "application/json-rpc"}
    reply = server.request("POST", "/rpc3", json.dumps(batch).encode(), kind)
    assert "a batch of more than 1000 calls" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "entry",
    [
        5,
        {},
        {"methodName": 5},
        {"methodName": "hello", "params": "x"},
        {"methodName": "system.multicall", "params": [[]]},
    ],
)
def test_multicall_of_what_is_no_call(xml: Any, entry: Any) -> None:
    """The others are made all the same; it cannot call itself."""
    good = {"methodName": "hello", "params": []}
    answers = xml.system.multicall([entry, good])

    assert answers[0]["faultCode"] == BAD_PARAMS
    assert answers[1] == ["hello nobody"]


def post(server: Server, path: str, kind: str, body: bytes | str) -> Reply:
    return server.post(path, body, {"Content-Type": kind})


CALL = "<methodCall><methodName>hello</methodName></methodCall>"


@pytest.mark.parametrize(
    ("path", "kind", "is_call"),
    [
        ("/x", "text/xml", True),
        ("/x", "Text/XML; charset=utf-8", True),
        ("/rpc2", "application/xml", True),
        ("/a/RPC2/", "application/xml", True),
        ("/same", "application/xml", False),
        ("/same", "text/plain", False),
        ("/rpc2", "text/plain", False),
    ],
)
def test_what_is_taken_for_xml_rpc(server: Server, path: str, kind: str, is_call: bool) -> None:
    """text/xml wherever it goes, application/xml at /rpc2; the rest is for the app."""
    reply = post(server, path, kind, CALL)

    if is_call:
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "text/xml"
        assert "<string>hello nobody</string>" in reply.text
    else:
        assert reply.status in (400, 404)


def test_only_posts_are_calls(server: Server) -> None:
    """Other methods are for the app."""
    assert server.request("PUT", "/hello", CALL, {"Content-Type": "text/xml"}).text == (
        "hello nobody"
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no xml",
        "<methodCall>",
        '<!DOCTYPE a [<!ENTITY b "c">]>' + CALL,
        "<methodCall><methodName>add</methodName><params><param><value><bigdecimal>x</bigdecimal>"
        "</value></param></params></methodCall>",
        "<methodResponse><fault><value><struct/></value></fault></methodResponse>",
    ],
    ids=["nothing", "text", "cut", "entity", "bigdecimal", "fault"],
)
def test_malformed_xml(server: Server, body: str) -> None:
    """400 with a reason, each time, and the threads go on."""
    for _ in range(6):
        reply = post(server, "/rpc2", "text/xml", body)
        assert reply.status == 400
        assert "XML-RPC: " in reply.text


def test_answer_that_cannot_be_written(server: Server) -> None:
    """Whatever is wrong, whoever asks has an answer, and the thread goes on."""
    param = "<params><param><value>huge-code</value></param></params>"
    for _ in range(6):
        body = f"<methodCall><methodName>fail</methodName>{param}</methodCall>"
        assert post(server, "/rpc2", "text/xml", body).status == 500
    server.wait_log("POST /rpc2: failed")


def test_deep_xml(server: Server) -> None:
    """A document that is nested a hundred thousand times is answered like others."""
    deep = "<value><array><data>" * 100_000 + "</data></array></value>" * 100_000
    params = f"<params><param>{deep}</param></params>"
    body = f"<methodCall><methodName>{{}}</methodName>{params}</methodCall>"

    assert ">list<" in post(server, "/rpc2", "text/xml", body.format("kind")).text
    assert "cannot carry" in post(server, "/rpc2", "text/xml", body.format("same")).text


# JSON-RPC


@pytest.fixture(params=["/rpc3", "/any/where"])
def j(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    """A remote object of jsonrpclib, which sends application/json-rpc."""
    proxy = jsonrpclib.ServerProxy(url(server, request.param))
    yield proxy
    proxy("close")()


def test_json_calls(j: Any) -> None:
    """By position and by name, sync and async."""
    assert j.hello() == "hello nobody"
    assert j.hello("Hans") == "hello Hans"
    assert j.hello(name="Hans") == "hello Hans"
    assert j.test.hello.world() == "hello world"
    assert j.add(1, 2) == 3
    assert j.add(b="b", a="a") == "ab"
    assert getattr(j, "async").add(1, 2) == 3
    assert j.same({"a": [None, 1.5, "\u20ac", True]}) == {"a": [None, 1.5, "\u20ac", True]}
    assert j.same("x" * 1_000_000) == "x" * 1_000_000


def test_json_batch(j: Any) -> None:
    """Answers in the order of the calls; a notification has none."""
    batch: Any = jsonrpclib.MultiCall(j)
    batch.add(1, 2)
    batch._notify.add(3, 4)
    batch.hello(name="Hans")

    assert list(batch()) == [3, "hello Hans"]


def test_json_notification(j: Any) -> None:
    """Nothing comes back, also when it fails."""
    assert j._notify.hello() is None
    assert j._notify.fail("error") is None
    assert j._notify.none() is None


@pytest.mark.parametrize(
    ("method", "params", "code", "message"), [("", (), NO_METHOD, "there is no"), *BOTH_KINDS]
)
def test_json_faults(
    server: Server, method: str, params: tuple[Any, ...], code: int, message: str
) -> None:
    """The same as with XML-RPC, with the caller's id."""
    call = {"jsonrpc": "2.0", "method": method, "params": params, "id": "mine"}
    for _ in range(6):
        answer = post(server, "/rpc3", "application/json", json.dumps(call)).json()
        assert answer["id"] == "mine"
        assert answer["error"]["code"] == code
        assert message in answer["error"]["message"]
        assert "result" not in answer


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": 1}, "the argument b is missing"),
        ({"a": 1, "b": 2, "c": 3}, "the argument c is not expected"),
        ({"a": 1, "b": 2, "was": 3}, "the argument was is not expected"),
    ],
)
def test_wrong_named_arguments(server: Server, params: Any, message: str) -> None:
    """They are named."""
    call = {"jsonrpc": "2.0", "method": "add", "params": params, "id": 1}
    error = post(server, "/rpc3", "application/json", json.dumps(call)).json()["error"]

    assert (error["code"], error["message"]) == (BAD_PARAMS, f"add: {message}")


def call(**more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "add", "params": [1, 2], **more}


OK = {"jsonrpc": "2.0", "result": 3, "id": 1}


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (call(id=1), OK),
        (call(id=None), OK | {"id": None}),
        (call(), None),
        ([call(id=1)], [OK]),
        ([call(), call()], None),
        ([call(id=1), call(), 5, call(id=2, method="none")], [OK, -32600, -32601]),
        ([], -32600),
        (5, -32600),
        (call(id=1, method=5), -32600),
        (call(id=1, params="x"), -32600),
    ],
)
@pytest.mark.parametrize("path", ["/rpc3", "/RPC3/", "/x/rpc3"])
def test_json_documents(server: Server, path: str, sent: Any, answer: Any) -> None:
    """Single calls, batches and notifications, as the specification has them."""
    reply = post(server, path, "application/json", json.dumps(sent))

    if answer is None:
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["Content-Type"] is None
        return
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"

    def short(each: Any) -> Any:
        return each["error"]["code"] if "error" in each else each

    told = reply.json()
    assert ([short(each) for each in told] if isinstance(told, list) else short(told)) == answer


@pytest.mark.parametrize("body", ["", "{", '{"method": NaN}', "[" * 100_000])
def test_malformed_json(server: Server, body: str) -> None:
    """A parse error with no id."""
    answer = post(server, "/rpc3", "application/json", body).json()

    assert (answer["error"]["code"], answer["id"]) == (-32700, None)


def test_json_elsewhere_is_for_the_app(server: Server) -> None:
    """A POST of application/json is a call at /rpc3 only."""
    assert post(server, "/hello", "application/json", '{"name": "Hans"}').text == "hello Hans"


def test_failures_are_in_the_log(server: Server) -> None:
    """With the traceback that the caller does not get."""
    reply = post(server, "/rpc3", "application/json", json.dumps(call(id=1, params=[1, "a"])))
    assert "Traceback" not in reply.text
    log = server.wait_log("POST /rpc3: calls.add raised TypeError")
    assert "Traceback (most recent call last)" in log
    assert "failed outside" not in log


def test_calls_on_one_connection(server: Server) -> None:
    """RPC keeps it open, as pages do."""
    with closing(server.connect()) as connection:
        connection.connect()
        sock = connection.sock
        for number in range(20):
            body = json.dumps(call(id=number))
            connection.request("POST", "/rpc3", body, {"Content-Type": "application/json"})
            assert json.loads(connection.getresponse().read())["id"] == number
        assert connection.sock is sock


def test_a_fault_tells_a_stranger_nothing(home: Home) -> None:
    """Without set_devel the caller hears that it failed, and the log hears why."""
    app = APP.replace("app.set_devel(True)", "")
    server = home.serve("web", apps={"calls.py": app}, routes=ROUTES)
    with (
        xmlrpc.client.ServerProxy(url(server, "/rpc2")) as proxy,
        pytest.raises(xmlrpc.client.Fault) as raised,
    ):
        proxy.fail("error")
    assert raised.value.faultString == "The method failed; the log of its app says why."
    server.wait_log("ValueError: bad luck")
