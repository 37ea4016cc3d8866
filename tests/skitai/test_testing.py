"""`skitai.testing`: what a test can say and see. That answers are a server's is tested beside."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from skitai.app import Application
from skitai.engine import Wish
from skitai.errors import HttpError, RpcFault, WrongUse
from skitai.package import Package
from skitai.request import Request
from skitai.results import Result
from skitai.testing import Client, Cluster, Member, NotScripted
from skitai.was import WAS


def app_of(**handlers: Any) -> Application:
    """Handlers by the path at which they are."""
    app = Application(__name__)
    for name, handler in handlers.items():
        app.add_route("/" + name.replace("__", "/"), handler)
    return app


def client_of(handler: Any, **options: Any) -> Client:
    """One handler, at /."""
    app = Application(__name__)
    app.add_route("/", handler)
    return Client(app, **options)


# --- life ---


def test_startup_and_shutdown() -> None:
    """Once each, however many browsers there are; then all begins anew."""
    heard: list[str] = []
    app = app_of(hello=lambda was: was.greeting)

    class Greeting(str):
        def cleanup(self) -> None:
            heard.append("cleanup")

    @app.startup
    def startup(wasc: Any, app: Application) -> None:
        heard.append("startup")
        wasc.register("greeting", Greeting("Hello"))

    app.shutdown(lambda wasc, app: heard.append("shutdown"))

    with Client(app) as first, Client(app) as second:
        assert first.get("/hello").text == second.get("/hello").text == "Hello"
        first.close()
        assert second.get("/hello").text == "Hello"
        assert heard == ["startup"]
    assert heard == ["startup", "shutdown", "cleanup"]

    with Client(app):
        assert heard[3:] == ["startup"]


def test_app_that_adds_packages_starts_again() -> None:
    """And they with it, those below them included."""
    heard: list[str] = []
    outer, inner = types.ModuleType("outer"), types.ModuleType("inner")
    outer.package, inner.package = Package(), Package()  # type: ignore[attr-defined]
    inner.package.add_route("/inner", lambda was: "inner")  # type: ignore[attr-defined]

    @outer.package.startup  # type: ignore[attr-defined, untyped-decorator, unused-ignore]
    def start_outer(wasc: Any, package: Package) -> None:
        package.add_package(inner)

    app = Application(__name__)
    app.startup(lambda wasc, app: app.add_package(outer))
    app.startup(lambda wasc, app: heard.append("startup"))

    for _ in range(2):
        with Client(app) as client:
            assert client.get("/inner").text == "inner"
    assert heard == ["startup", "startup"]


def test_startup_that_fails_can_be_tried_again() -> None:
    """It fails in the test, and leaves nothing behind."""
    module = types.ModuleType("module")
    module.package = Package()  # type: ignore[attr-defined]
    app = Application(__name__)
    problems = [LookupError("no data")]
    app.startup(lambda wasc, app: app.add_package(module))

    @app.startup
    def fail(wasc: Any, app: Application) -> None:
        if problems:
            raise problems.pop()

    with pytest.raises(LookupError, match="no data"):
        Client(app)
    with Client(app) as client:
        assert client.get("/").status == 404


def test_closed_client() -> None:
    """It says what to do."""
    client = client_of(lambda was: "x")
    client.close()
    client.close()

    with pytest.raises(WrongUse, match="make another one"):
        client.get("/")


def test_client_that_is_not_closed_leaves_no_loop_open() -> None:
    """An open loop would warn when it is collected, and warnings are errors here."""

    async def handler(was: WAS) -> str:
        return "async"

    client = client_of(handler)
    assert client.get("/").text == "async"
    del client
    gc.collect()


def test_what_other_apps_share() -> None:
    """The test registers it in their place."""
    with client_of(lambda was: was.searcher.name) as client:
        client.wasc.register("searcher", types.SimpleNamespace(name="fake"))
        assert client.get("/").text == "fake"


def test_wishes() -> None:
    """Nothing is restarted."""

    def handler(was: WAS) -> str:
        was.restart()
        was.shutdown()
        return ""

    with client_of(handler) as client:
        client.get("/")
        assert client.wishes == [Wish.RESTART, Wish.SHUTDOWN]


# --- requests ---


def test_reply() -> None:
    """All that a test may look at."""

    def handler(was: WAS, a: str) -> bytes:
        was.response["Content-Type"] = "text/plain; charset=latin-1"
        was.response.set("X-Many", "1")
        was.response.set("X-Many", "2")
        return b"h\xe9"

    with client_of(handler) as client:
        reply = client.get("/?a=b#part")
    assert (reply.status, reply.reason, reply.url) == (200, "OK", "/?a=b")
    assert (reply.data, reply.text) == (b"h\xe9", "h\xe9")
    assert reply.headers["x-many"] == reply.get_header("X-MANY") == "1"
    assert reply.headers.get_all("X-Many") == ["1", "2"]
    assert reply.get_header("X-None", "none") == "none"
    assert "200 OK to /?a=b, text/plain" in repr(reply)


def test_each_method() -> None:
    """HEAD has no body."""
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    app = Application(__name__)
    app.add_route("/", lambda was: was.request.method, methods)

    with Client(app) as client:
        for method in methods:
            reply = getattr(client, method.lower())("/")
            assert reply.text == ("" if method == "HEAD" else method)
            assert reply.headers["Content-Length"] == str(len(method))
        assert client.request("get", "/").text == "GET"


def test_own_headers_take_the_place_of_ours() -> None:
    """Whatever their case."""
    with client_of(lambda was: was.request.get_raw_header()) as client:
        sent = client.post("/", "<a/>", headers={"user-agent": "me", "Content-type": "text/x"})
    assert sent.json() == [
        "Host: localhost:5000",
        "Content-Length: 4",
        "user-agent: me",
        "Content-type: text/x",
    ]


def test_files_are_there_for_one_request(tmp_path: Path) -> None:
    """Given as a path, an open file, or their content; moved by the app, or gone."""
    seen: list[str] = []

    def handler(was: WAS, photo: Any, keep: str = "") -> list[str]:
        photos = photo if isinstance(photo, list) else [photo]
        seen.extend(each["local"] for each in photos)
        texts = [Path(each["local"]).read_text() for each in photos]
        if keep:
            photos[0].save(keep)
        return [each.filename for each in photos] + texts

    path = tmp_path / "one.txt"
    path.write_text("1")
    with client_of(handler) as client, path.open("rb") as file:
        reply = client.post("/", files={"photo": [path, file, ("two.txt", "2")]})
        assert reply.json() == ["one.txt", "one.txt", "two.txt", "1", "1", "2"]
        client.post("/", {"keep": str(tmp_path / "kept")}, files={"photo": path})

    assert (tmp_path / "kept").read_text() == "1"
    assert [each for each in seen if os.path.exists(os.path.dirname(each))] == []


def test_files_are_gone_when_the_handler_fails() -> None:
    """Also while the test still has the exception."""
    seen: list[str] = []

    def handler(was: WAS, photo: Any) -> None:
        seen.append(photo["local"])
        raise LookupError

    with client_of(handler) as client:
        with pytest.raises(LookupError) as caught:
            client.post("/", files={"photo": ("x", "y")})
        assert (caught.type, os.path.exists(seen[0])) == (LookupError, False)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"path": "hello"}, 'write "/hello"'),
        ({"path": "/", "data": 5}, "data is a int"),
        ({"path": "/", "data": {}, "json": 1}, "one body"),
        ({"path": "/", "data": "text", "files": {}}, "data is a mapping"),
        ({"path": "/", "files": {"a": b"content"}}, "give its path"),
    ],
)
def test_request_that_makes_no_sense(arguments: dict[str, Any], complaint: str) -> None:
    """The test is told what to write."""
    with client_of(lambda was: "") as client, pytest.raises(WrongUse, match=complaint):
        client.post(**arguments)


def test_base_that_is_none() -> None:
    """Before anything has started."""
    with pytest.raises(WrongUse, match='write "/test"'):
        client_of(lambda was: "", base="test")


def test_asked_from_a_coroutine() -> None:
    """There it could not wait for the app."""
    with client_of(lambda was: "plain") as client:

        async def wrong() -> None:
            client.get("/")

        async def right() -> str:
            return (await asyncio.to_thread(client.get, "/")).text

        with pytest.raises(WrongUse, match=r"asyncio\.to_thread"):
            asyncio.run(wrong())
        assert asyncio.run(right()) == "plain"


# --- redirects ---


def redirecting(was: WAS, to: str, status: str = "302", **form: str) -> str:
    was.response.start(int(status), headers=[("Location", to)])
    return "moved"


def where(was: WAS, **args: str) -> str:
    return f"{was.request.method} {was.request.uri} {was.request.get_body()!r}"


REDIRECTING = app_of(go=redirecting, where=where, deep__where=where)


def test_redirect_is_not_followed_unless_wanted() -> None:
    """A test looks at it first of all."""
    with Client(REDIRECTING) as client:
        reply = client.get("/go?to=/where")
        assert (reply.status, reply.headers["Location"]) == (302, "/where")
        assert client.get("/where", follow=True).status == 200


@pytest.mark.parametrize(
    ("method", "status", "arrives"),
    [
        ("GET", 301, "GET /where None"),
        ("POST", 301, "GET /where None"),
        ("POST", 302, "GET /where None"),
        ("PUT", 302, "PUT /where b'a=1'"),
        ("PUT", 303, "GET /where None"),
        ("POST", 307, "POST /where b'a=1'"),
        ("PATCH", 308, "PATCH /where b'a=1'"),
    ],
)
def test_redirect_keeps_the_method_or_becomes_get(method: str, status: int, arrives: str) -> None:
    """As in browsers, body included."""
    with Client(REDIRECTING) as client:
        data = None if method == "GET" else {"a": "1"}
        reply = client.request(method, f"/go?to=/where&status={status}", data, follow=True)
    assert (reply.text, reply.url) == (arrives, "/where")


@pytest.mark.parametrize(
    ("to", "url"),
    [
        ("where?a=1%262", "/where?a=1&2"),
        ("http://localhost:5000/where%23part", "/where"),
        ("./deep/../deep/where", "/deep/where"),
        ("//localhost:5000/where", "/where"),
    ],
)
def test_redirect_to_what_a_browser_makes_of_it(to: str, url: str) -> None:
    """Relative, absolute, with a query, without its fragment."""
    with Client(REDIRECTING) as client:
        reply = client.get("/go?to=" + to, follow=True)
    assert reply.url == url


def test_redirect_to_another_server() -> None:
    """The test must look at it itself."""
    with Client(REDIRECTING) as client, pytest.raises(WrongUse, match="which is not this app"):
        client.get("/go?to=https://www.python.org/", follow=True)


def test_redirect_to_itself() -> None:
    """It ends."""
    client = client_of(lambda was: redirecting(was, "/"))
    with client, pytest.raises(WrongUse, match="more than 20 redirects"):
        client.get("/", follow=True)


# --- cookies ---


def counting(was: WAS) -> int:
    was.session["n"] = was.session.get("n", 0) + 1
    return was.session["n"]


def session_app() -> Application:
    app = app_of(count=lambda was: str(counting(was)), cookies=lambda was: dict(was.cookie))
    app.use_session()
    return app


def test_session_is_kept() -> None:
    """By each browser its own."""
    app = session_app()
    with Client(app) as first, Client(app) as second:
        assert [first.get("/count").text for _ in range(3)] == ["1", "2", "3"]
        assert second.get("/count").text == "1"
        assert list(first.cookies) == ["SESSION"]

        first.clear_cookies()
        assert first.get("/count").text == "1"


def test_session_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is the test's: the cookie is no longer sent."""
    with Client(session_app()) as client:
        client.get("/count")
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 1201)
        assert dict(client.cookies) == {}
        assert client.get("/count").text == "1"


def test_cookies_of_the_test() -> None:
    """Any text; gone when it says so."""
    with Client(session_app()) as client:
        client.cookies["user"] = "h\xe9; \u20ac"
        assert client.get("/cookies").json() == {"user": "h\xe9; \u20ac"}
        assert (len(client.cookies), "user" in client.cookies) == (1, True)
        assert repr(client.cookies) == "Jar({'user': 'h\xe9; \u20ac'})"

        del client.cookies["user"]
        assert client.get("/cookies").json() == {}
        with pytest.raises(KeyError):
            del client.cookies["user"]
        with pytest.raises(KeyError):
            client.cookies["user"]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("a=1", True),
        ("a=1; Path=/", True),
        ("a=1; Path=/deep", True),
        ("a=1; Path=/deep/", True),
        ("a=1; Path=/deep/set", False),
        ("a=1; Path=/dee", False),
        ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", True),
        ("a=1; Max-Age=0", False),
        ("a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("a=1; Expires=some time", True),
        ("a=1; Secure; HttpOnly; Domain=example.com", True),
    ],
)
def test_cookie_is_sent_back(line: str, kept: bool) -> None:
    """To the paths it is for, while its time lasts."""

    def setting(was: WAS) -> str:
        was.response.set("Set-Cookie", line)
        return ""

    with Client(app_of(deep__set=setting, deep__get=lambda was: dict(was.cookie))) as client:
        client.get("/deep/set")
        assert client.get("/deep/get").json() == ({"a": "1"} if kept else {})


def test_cookies_of_one_name() -> None:
    """The longest path comes first, and is removed by itself."""

    def setting(was: WAS, forget: str = "") -> str | None:
        if forget:
            was.cookie.remove("a", path="/deep")
        else:
            was.cookie.set("a", "outer")
            was.cookie.set("a", "inner", path="/deep")
        return was.request.get_header("cookie", "")

    with Client(app_of(deep__set=setting)) as client:
        client.get("/deep/set")
        assert client.cookies["a"] == "inner"
        assert client.get("/deep/set?forget=1").text == "a=inner; a=outer"
        assert client.get("/deep/set").text == "a=outer"


# --- failures ---


def failing(was: WAS) -> None:
    raise LookupError("nothing")


def test_failure_of_a_handler_is_raised() -> None:
    """With its traceback, which tells the test more than a page."""
    with client_of(failing) as client, pytest.raises(LookupError, match="nothing") as caught:
        client.get("/")
    assert caught.traceback[-1].name == "failing"


def test_failure_of_a_handler_as_a_page() -> None:
    """As the server would send it."""
    with client_of(failing, raise_errors=False) as client:
        reply = client.get("/")
        client.raise_errors = True
        with pytest.raises(LookupError):
            client.get("/")
    assert reply.status == 500
    assert "LookupError" not in reply.text


def test_failure_that_the_app_handles() -> None:
    """It is an answer."""
    app = Application(__name__)
    app.add_route("/", failing)
    app.errorhandler(LookupError)(lambda was, error: f"no: {error}")

    with Client(app) as client:
        reply = client.get("/")
    assert (reply.status, reply.text) == (500, "no: nothing")


def test_error_that_is_meant() -> None:
    """It is a page."""

    def handler(was: WAS) -> None:
        raise HttpError(404, "no such company")

    with client_of(handler) as client:
        reply = client.get("/")
    assert (reply.status, "no such company" in reply.text) == (404, True)


def test_answer_that_cannot_be_sent() -> None:
    """A failure too."""
    with client_of(lambda was: 5) as client, pytest.raises(TypeError, match="returned int"):
        client.get("/")


def test_failure_of_async_handlers() -> None:
    """The same."""

    async def handler(was: WAS) -> None:
        failing(was)

    with client_of(handler) as client, pytest.raises(LookupError):
        client.get("/")


def test_end_of_the_test_in_a_handler() -> None:
    """A server would go on; a test ends, whatever it wants of failures."""

    def handler(was: WAS) -> None:
        pytest.fail("seen enough")

    client = client_of(handler, raise_errors=False)
    with client, pytest.raises(pytest.fail.Exception, match="seen enough"):
        client.get("/")


# --- remote procedures ---


def test_rpc() -> None:
    """XML-RPC or JSON-RPC, plain or async, at the place of the app."""

    async def later(was: WAS, a: int, b: int = 0) -> int:
        return a - b

    app = app_of(math__add=lambda was, a, b: [a, b], math__later=later)
    with Client(app, "/test") as client:
        assert client.rpc("test.math.add", 1, b"x") == [1, b"x"]
        assert client.rpc("test.math.add", 1, "x", protocol="json") == [1, "x"]
        assert client.rpc("test.math.later", 7, 2) == 5
        assert client.rpc("test.math.later", protocol="json", b=2, a=7) == 5
        assert "test.math.add" in client.rpc("system.listMethods")


def test_rpc_fault() -> None:
    """Raised as what it is; so are failures."""

    def fault(was: WAS) -> None:
        raise RpcFault(7, "no")

    with Client(app_of(fault=fault, fail=failing)) as client:
        with pytest.raises(RpcFault, match="no"):
            client.rpc("fault")
        with pytest.raises(RpcFault, match="there is no method nowhere"):
            client.rpc("nowhere", protocol="json")
        with pytest.raises(LookupError):
            client.rpc("fail")
        client.raise_errors = False
        with pytest.raises(RpcFault, match="The method failed"):
            client.rpc("fail")


@pytest.mark.parametrize(
    ("params", "named"), [((), {"a": 1}), ((1,), {"protocol": "json", "a": 1})]
)
def test_rpc_with_names(params: Any, named: Any) -> None:
    """Not by XML-RPC, and not beside others."""
    with Client(app_of(add=lambda was, a: a)) as client, pytest.raises(WrongUse):
        client.rpc("add", *params, **named)


# --- clusters ---


def outcomes(was: WAS, timeout: str = "2", method: str = "search") -> list[Any]:
    s = was.map("mysearch/rpc2")
    getattr(s, method)("Mozart", 1)
    results = s.getswait(timeout=float(timeout))
    return [[int(each.status), each.data, each.code, each.elapsed] for each in results]


def test_each_outcome() -> None:
    """In the order of the members, without waiting."""
    members = [
        ["Requiem"],
        lambda method, *params: [method, *params],
        Member("late", latency=2.0),
        Member("in time", latency=1.9),
        TimeoutError(),
        ConnectionRefusedError(),
        ConnectionResetError("by peer"),
        RpcFault(7, "no"),
        HttpError(503, "too busy"),
    ]
    began = time.monotonic()
    with client_of(outcomes, clusters={"mysearch": members}) as client:
        assert client.get("/").json() == [
            [3, ["Requiem"], 200, 0.0],
            [3, ["search", "Mozart", 1], 200, 0.0],
            [1, "", 0, 2.0],
            [3, "in time", 200, 1.9],
            [1, "", 0, 2.0],
            [0, "", 0, 0.0],
            [2, "", 0, 0.0],
            [2, "", 7, 0.0],
            [2, "", 503, 0.0],
        ]
        assert client.get("/?timeout=3600").json()[4] == [1, "", 0, 3600.0]
    assert time.monotonic() - began < 60  # not the hour that was given


def test_what_was_asked() -> None:
    """Of whom, what, with what; as plain tuples."""

    def handler(was: WAS) -> str:
        first, second = was.map("a/rpc2"), was.lb("@b")
        first.search.deep("Mozart")
        second.find(name="Mozart")
        first.getswait()
        return "" if second.getwait().ok else "failed"

    with client_of(handler, clusters={"@a": [1, 2]}) as client:
        b = client.cluster("b", Cluster([None]))
        a = client.cluster("a", [None, None])
        assert client.get("/").text == ""
    assert a.asked == [(0, "search.deep", ("Mozart",)), (1, "search.deep", ("Mozart",))]
    assert b.asked == [(0, "find", {"name": "Mozart"})]
    assert (b.asked[0].member, b.asked[0].method) == (0, "find")


def test_filter_sees_results_as_they_land() -> None:
    """The quickest first, those that do not land last."""

    def handler(was: WAS) -> list[str]:
        seen = []
        s = was.map("mysearch", filter=lambda result: seen.append(result.node))
        s.search()
        return seen + [result.node for result in s.getswait(timeout=1)]

    members = [Member(1, latency=9.0), Member(2, latency=0.5), 3, Member(4, latency=0.7)]
    with client_of(handler, clusters={"mysearch": members}) as client:
        nodes = [node.removesuffix(":5000") for node in client.get("/").json()]
    in_order = [f"mysearch{place}" for place in range(4)]
    assert nodes == ["mysearch2", "mysearch1", "mysearch3", "mysearch0", *in_order]


@pytest.mark.parametrize(
    ("members", "asked", "outcome"),
    [
        (["first", "second"], [0], [3, "first"]),
        ([ConnectionRefusedError(), "second"], [0, 1], [3, "second"]),
        ([ConnectionRefusedError()] * 2, [0, 1], [0, ""]),
        ([ConnectionResetError(), "second"], [0], [2, ""]),
        ([TimeoutError(), "second"], [0], [1, ""]),
    ],
)
def test_one_member(members: list[Any], asked: list[int], outcome: list[Any]) -> None:
    """Another one is asked if the first cannot be reached, as a server does."""

    def handler(was: WAS) -> list[Any]:
        s = was.lb("mysearch")
        s.search()
        result = s.getwait()
        return [int(result.status), result.data]

    with client_of(handler) as client:
        cluster = client.cluster("mysearch", members)
        assert client.get("/").json() == outcome
    assert [each.member for each in cluster.asked] == asked


def test_function_fails_like_a_member() -> None:
    """With what it raises, call by call."""
    failures = [RpcFault(7, "no"), ConnectionRefusedError(), TimeoutError(), HttpError(500)]

    def member(method: str, *params: Any) -> str:
        if failures:
            raise failures.pop(0)
        return "yes"

    with client_of(outcomes, clusters={"mysearch": [member]}) as client:
        assert [client.get("/").json()[0][0] for _ in range(5)] == [2, 0, 1, 2, 3]


def test_async_handlers_ask_the_same() -> None:
    """By await; what would stop the loop is refused, as by a server."""

    async def handler(was: WAS) -> list[Any]:
        s, t = was.map("mysearch"), was.wget("http://a/")
        s.search()
        results, page = await asyncio.gather(s.wait(1), t.wait(2))
        return [[int(each.status) for each in results], page.data]

    async def wrong(was: WAS) -> str:
        s = was.lb("mysearch")
        s.search()
        return str(s.getwait())

    app = app_of(right=handler, wrong=wrong)
    client = Client(app, clusters={"mysearch": [1, TimeoutError()]}, web={"http://a/": "page"})
    with client:
        assert client.get("/right").json() == [[3, 1], "page"]
        with pytest.raises(WrongUse, match="would stop the event loop"):
            client.get("/wrong")


def test_hooks_may_be_async() -> None:
    """Around plain handlers too."""

    async def after(was: WAS) -> str:
        s = was.lb("mysearch")
        s.search()
        return str(await s)

    app = app_of(hello=lambda was: "hello")
    app.after_request(after)
    with Client(app, clusters={"mysearch": ["after"]}) as client:
        assert client.get("/hello").text == "after"


@pytest.mark.parametrize(
    ("ask", "what_to_write"),
    [
        (lambda was: was.map("nobody").search(), r'client.cluster\("nobody", .* are: mysearch'),
        (lambda was: was.wget("http://a:81/b?c"), r'client.web\({"http://a:81/b\?c": answer}\)'),
        (lambda was: was.rpc("https://a/rpc2").x(), r'client.web\({"https://a/rpc2": .*: http://b'),
    ],
)
def test_unscripted_call_ends_the_test(ask: Any, what_to_write: str) -> None:
    """Even if the app catches everything."""

    def handler(was: WAS) -> str:
        try:
            ask(was)
        except Exception:
            return "caught"
        return ""

    client = client_of(handler, clusters={"mysearch": [1]}, web={"http://b": ""})
    client.raise_errors = False
    with client, pytest.raises(NotScripted, match=what_to_write):
        client.get("/")


def test_assertion_in_a_member_ends_the_test() -> None:
    """That is what it is there for."""

    def member(method: str, *params: Any) -> None:
        assert params == (), "who has given params?"

    app = Application(__name__)
    app.add_route("/", outcomes)
    app.teardown_request(lambda was: "SORRY")
    client = Client(app, clusters={"mysearch": [member]})
    with client, pytest.raises(AssertionError, match="who has given params"):
        client.get("/")


@pytest.mark.parametrize("answer", [object(), {1: 2}, "\x00", 1 << 70])
def test_answer_that_no_member_could_send(answer: Any) -> None:
    """It would not come in a server either."""
    client = client_of(outcomes, clusters={"mysearch": [answer]})
    with client, pytest.raises(WrongUse, match="mysearch0:5000 answers search with a value"):
        client.get("/")


@pytest.mark.parametrize("answer", [LookupError(), RpcFault, SystemExit()])
def test_failure_that_no_member_has(answer: Any) -> None:
    """It is found when it is written."""
    with pytest.raises(WrongUse, match="write RpcFault"):
        Member(answer)


def test_cluster_of_nobody() -> None:
    """There is none."""
    with pytest.raises(WrongUse, match="at least one member"):
        Cluster([])


def test_app_as_its_own_member() -> None:
    """A client may ask while another one is asked."""

    def double(was: WAS, number: int) -> int:
        s = was.wget(f"http://a/{number}")
        assert isinstance(s.getwait(), Result)
        return number * 2

    def asking(was: WAS) -> list[Any]:
        s = was.map("self")
        s.double(3)
        data = [each.data for each in s.getswait()]
        return [*data, was.wget("http://b/").getwait().data]

    app = app_of(double=double, asking=asking)
    with Client(app, web={"http://a/3": ""}) as member, Client(app) as client:
        client.cluster("self", [member.rpc, member.rpc])
        client.web({"http://b/": "page"})
        assert client.get("/asking").json() == [6, 6, "page"]


# --- the web ---


def test_pages() -> None:
    """Text, bytes, JSON, a status, a function of the fields; by URL, with or without its query."""

    def handler(was: WAS, url: str) -> list[Any]:
        result = was.wget(url).getwait()
        return [int(result.status), result.code, repr(result.data), result.get_header("x-why")]

    pages = {
        "https://a": "text",
        "https://a/bytes": b"\xff",
        "https://a/json": {"a": 1},
        "https://a/json?b=2": [2],
        "https://a/missing": HttpError(404, "nothing", (("X-Why", "because"),)),
        "https://a/down": ConnectionRefusedError("down"),
        "https://a/function": lambda method, **fields: f"{method} {fields}",
    }
    with client_of(handler, web=pages) as client:

        def page(path: str) -> Any:
            return client.get(f"/?url=https://a{path}").json()

        assert page("") == page("/") == [3, 200, "'text'", None]
        assert page("/bytes") == [3, 200, "b'\\xff'", None]
        assert page("/json") == page("/json?c=3") == [3, 200, "'{\"a\":1}'", None]
        assert page("/json?b=2") == [3, 200, "'[2]'", None]
        assert page("/missing") == [3, 404, "'nothing'", "because"]
        assert page("/down") == [0, 0, "''", None]
        assert page("/function?q=1%26r=2") == [3, 200, "\"GET {'q': '1', 'r': '2'}\"", None]


def test_forms_and_remote_objects() -> None:
    """Their fields and params are seen by functions, and can be looked at."""

    def handler(was: WAS) -> list[Any]:
        form = was.wget("http://a:8080/form?a=1", {"a": "2", "b": "3"})
        raw = was.wget("http://a:8080/raw", b"\xff=")
        text = was.wget("http://a:8080/raw?a=1", '{"a": "b=c"}')
        remote = was.rpc("http://a:8080/rpc2")
        remote.add(1, 2)
        return [each.getwait().data for each in (form, raw, text, remote)]

    with client_of(handler) as client:
        web = client.web(
            {
                "http://a:8080/form": lambda method, **fields: f"{fields}",
                "http://a:8080/raw": lambda method, body: body.hex(),
                "http://a:8080/rpc2": lambda method, a, b: a + b,
            }
        )
        assert client.get("/").json() == [
            "{'a': ['1', '2'], 'b': '3'}",
            "ff3d",
            b'{"a": "b=c"}'.hex(),
            3,
        ]
    assert web.asked == [
        ("http://a:8080/form?a=1", "POST", {"a": ["1", "2"], "b": "3"}),
        ("http://a:8080/raw", "POST", (b"\xff=",)),
        ("http://a:8080/raw?a=1", "POST", (b'{"a": "b=c"}',)),
        ("http://a:8080/rpc2", "add", (1, 2)),
    ]


@pytest.mark.parametrize(
    ("answer", "complaint"), [(5, "answers with a int"), (RpcFault(1, ""), "never a fault")]
)
def test_answer_that_is_no_page(answer: Any, complaint: str) -> None:
    """The test is told what one is."""
    client = client_of(lambda was: was.wget("http://a/").getwait(), web={"http://a/": answer})
    with client, pytest.raises(WrongUse, match=complaint):
        client.get("/")


# --- streams ---


class Endless:
    """Numbers, and what the app is told of its end."""

    def __init__(self) -> None:
        self.number = 0
        self.heard: list[str] = []

    def more(self) -> str:
        self.number += 1
        return f"{self.number} "

    def close(self) -> None:
        self.heard.append("close")

    def abort(self) -> None:
        self.heard.append("abort")


def test_stream_is_collected() -> None:
    """As text, and as the pieces that the app has made."""
    with client_of(lambda was: iter(["a", "", b"b"])) as client:
        reply = client.get("/")
    assert (reply.text, list(reply.iter()), list(reply.iter())) == (
        "ab",
        [b"a", b"b"],
        [b"a", b"b"],
    )
    assert "Content-Length" not in reply.headers


def test_stream_without_end() -> None:
    """The client takes what it wants and leaves; the app is told once."""
    endless = Endless()
    with client_of(lambda was: endless) as client:
        with client.get("/", stream=True) as reply:
            pieces = reply.iter()
            assert endless.number == 0
            assert [next(pieces), next(pieces)] == [b"1 ", b"2 "]
            assert endless.heard == []
        reply.close()
        assert (endless.number, endless.heard) == (2, ["abort"])
        assert reply.data == b"1 2 "


def test_head_of_a_stream() -> None:
    """Nothing is made."""
    endless = Endless()
    with client_of(lambda was: endless) as client:
        assert client.head("/").data == b""
    assert (endless.number, endless.heard) == (0, ["abort"])


def test_stream_that_fails() -> None:
    """There is no page for it any more, so it is raised, and let go."""
    heard: list[str] = []

    def rows() -> Iterator[str]:
        try:
            yield "a"
            raise LookupError("no more")
        finally:
            heard.append("over")

    client = client_of(lambda was: rows(), raise_errors=False)
    with client, pytest.raises(LookupError, match="no more"):
        client.get("/")
    assert heard == ["over"]


def test_stream_that_asks() -> None:
    """Piece by piece, whatever else was asked meanwhile."""

    def handler(was: WAS) -> Iterator[str]:
        for number in range(3):
            try:
                yield was.wget(f"http://a/{number}").getwait().data
            except NotScripted:
                yield "caught"

    with client_of(handler, web={"http://a/0": "0", "http://a/1": "1"}) as client:
        reply = client.get("/", stream=True)
        pieces = reply.iter()
        assert [next(pieces), next(pieces)] == [b"0", b"1"]
        with pytest.raises(NotScripted):
            next(pieces)
        with pytest.raises(NotScripted):
            client.get("/")


def test_async_stream_has_one_task() -> None:
    """What it opens before a piece it may close after another."""
    heard: list[str] = []

    async def pieces() -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(60):
                yield "a"
                await asyncio.sleep(0)
                yield "b"
        finally:
            heard.append("over")

    with client_of(lambda was: pieces()) as client:
        assert client.get("/").text == "ab"
        with client.get("/", stream=True) as reply:
            assert next(reply.iter()) == b"a"
        with client.get("/", stream=True):
            pass
        client.head("/")
    assert heard == ["over", "over"]


def test_async_stream_that_fails() -> None:
    """The same as a plain one."""

    async def pieces() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("no more")

    with client_of(lambda was: pieces()) as client:
        reply = client.get("/", stream=True)
        taken = reply.iter()
        assert next(taken) == b"a"
        with pytest.raises(LookupError):
            next(taken)
        assert reply.data == b"a"


def test_stream_that_cannot_be_let_go() -> None:
    """The test hears of it, plain or async."""

    async def pieces() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            raise LookupError("stuck")

    def rows() -> Iterator[str]:
        try:
            yield "a"
        finally:
            raise LookupError("stuck")

    with Client(app_of(later=lambda was: pieces(), plain=lambda was: rows())) as client:
        for path in ("/later", "/plain"):
            reply = client.get(path, stream=True)
            assert next(reply.iter()) == b"a"
            with pytest.raises(LookupError, match="stuck"):
                reply.close()


def test_nothing_leaves_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is bound or connected, no thread is started, nobody sleeps."""
    monkeypatch.setattr("socket.socket.connect", None)
    monkeypatch.setattr("socket.socket.bind", None)
    monkeypatch.setattr("threading.Thread.start", None)
    monkeypatch.setattr("time.sleep", None)
    seen: list[Request] = []

    async def handler(was: WAS) -> list[Any]:
        seen.append(was.request)
        s, page = was.map("mysearch"), was.wget("http://a/")
        s.search()
        return [each.data for each in await s] + [(await page).data]

    members = [1, Member(2, latency=2.9), TimeoutError()]
    client = client_of(handler, clusters={"mysearch": members}, web={"http://a/": "page"})
    with client:
        assert client.get("/").json() == [1, 2, "", "page"]
    assert seen[0].channel is None
