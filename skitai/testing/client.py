"""A browser that asks an app without a server. All of it happens in the thread of the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal, Unpack

from skitai.app import Application
from skitai.engine import Wish
from skitai.errors import RpcFault, WrongUse
from skitai.wasc import Wasc
from skitai.wire import jsonrpc, xmlrpc

from .body import Data
from .exchange import JSON, XML
from .jar import Jar
from .reply import Reply
from .script import Cluster, Script, Web
from .sending import BodyOptions, Options, Sending, encoded
from .site import Site
from .worker import check_not_in_loop, worker_of

REDIRECTS_MAX = 20  # as in browsers


class Client:
    """Asks an app, in this process: no server, no port, no thread, no waiting.

        with Client(app) as client:
            reply = client.get("/search?keyword=Mozart")
            assert reply.status == 200
            assert reply.json() == ["Requiem"]

    It keeps cookies, and so sessions, from one request to the next; a second client of the app is
    a second browser. The app's `startup` is called when its first client is made, its `shutdown`
    when the last one is closed, which `with` does.

    app: the `Application`.
    base: where it is mounted, as in the conf: "/test" or "/test/".
    clusters: see `cluster`. web: see `web`. databases: see `database`.
    raise_errors: what a handler fails with and the app does not handle is raised here; False for
        the page that the server sends. HttpError is a page either way.
    Raises what a startup hook raises.
    """

    def __init__(
        self,
        app: Application,
        base: str = "/",
        *,
        clusters: Mapping[str, Cluster | Iterable[Any]] | None = None,
        web: Mapping[str, Any] | None = None,
        databases: Mapping[str, Cluster | Iterable[Any]] | None = None,
        raise_errors: bool = True,
    ) -> None:
        if not base.startswith("/"):
            raise WrongUse(f'the base {base!r} is no place in a server; write "/{base}"')
        self.cookies = Jar()
        self.raise_errors = raise_errors
        self._script = Script()
        for name, members in (clusters or {}).items():
            self.cluster(name, members)
        for name, members in (databases or {}).items():
            self.database(name, members)
        self.web(web or {})
        self._worker = worker_of(app)
        self._worker.enter()
        self._is_open = True
        self._site = Site(app, base, self._worker)

    # --- pages ---

    def get(self, path: str, **options: Unpack[Options]) -> Reply:
        """GET. path: with its query; what cannot stand in a URL is percent-encoded."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Unpack[Options]) -> Reply:
        """HEAD: the reply has no body."""
        return self.request("HEAD", path, **options)

    def options(self, path: str, **options: Unpack[Options]) -> Reply:
        """OPTIONS."""
        return self.request("OPTIONS", path, **options)

    def post(self, path: str, data: Data | None = None, **options: Unpack[BodyOptions]) -> Reply:
        """POST. data: a mapping for a form, or a body as it is, of which `headers` tell the type.

        client.post("/login", {"user": "hans"})
        client.post("/orders", json={"cid": 555})
        client.post("/photos", {"title": "Sea"}, files={"photo": ("sea.png", content)})
        """
        return self.request("POST", path, data, **options)

    def put(self, path: str, data: Data | None = None, **options: Unpack[BodyOptions]) -> Reply:
        """PUT; see `post`."""
        return self.request("PUT", path, data, **options)

    def patch(self, path: str, data: Data | None = None, **options: Unpack[BodyOptions]) -> Reply:
        """PATCH; see `post`."""
        return self.request("PATCH", path, data, **options)

    def delete(self, path: str, data: Data | None = None, **options: Unpack[BodyOptions]) -> Reply:
        """DELETE; see `post`."""
        return self.request("DELETE", path, data, **options)

    def request(
        self, method: str, path: str, data: Data | None = None, **options: Unpack[BodyOptions]
    ) -> Reply:
        """Any method. Raises NotScripted, WrongUse, or what the app fails with."""
        check_not_in_loop()
        if not path.startswith("/"):
            raise WrongUse(f'{method} {path}: a path starts with a slash; write "/{path}"')
        headers = dict(options.get("headers", {}))
        sending = Sending(method.upper(), encoded(path), headers, data, options)
        is_stream = options.get("stream", False)
        reply = self._send(sending, is_stream)
        if not options.get("follow"):
            return reply
        for _ in range(REDIRECTS_MAX):
            location = reply.headers["Location"]
            if not (location and 300 <= reply.status <= 399):
                return reply
            reply.close()
            sending = sending.after(reply.status, location)
            reply = self._send(sending, is_stream)
        raise WrongUse(f"{path}: more than {REDIRECTS_MAX} redirects, one after the other")

    # --- methods ---

    def rpc(
        self, method: str, /, *params: Any, protocol: Literal["xml", "json"] = "xml", **named: Any
    ) -> Any:
        """Call a remote procedure; returns its value.

            assert client.rpc("hello.world", 1, 2) == "Hello"

        method: the path with dots for slashes, the base included. named: by JSON-RPC only.
        Raises RpcFault for a fault, and like `request`.
        """
        if protocol == "xml":
            if named:
                raise WrongUse(f'XML-RPC has no named arguments: rpc("{method}", protocol="json")')
            data, kind = xmlrpc.dump_call(method, params), XML
        else:
            if params and named:
                raise WrongUse("JSON-RPC takes positional or named arguments, not both")
            data, kind = jsonrpc.dump_call(method, named or params), JSON
        path = "/rpc2" if protocol == "xml" else "/rpc3"
        reply = self.post(path, data, headers={"Content-Type": kind})
        if reply.status != 200:
            raise RpcFault(reply.status, reply.text)
        return (xmlrpc if protocol == "xml" else jsonrpc).load_response(reply.data)

    # --- other servers ---

    def cluster(self, name: str, members: Cluster | Iterable[Any]) -> Cluster:
        """What `was.map(name)` and `was.lb(name)` get from now on, and what they have asked.

            found = client.cluster("mysearch", [["Requiem"], Member([], latency=5.0)])
            client.get("/search?keyword=Mozart")
            assert found.asked == [(0, "search", ("Mozart",)), (1, "search", ("Mozart",))]

        members: a `Cluster`, or what makes one: values, functions, failures, `Member`s.
        """
        cluster = members if isinstance(members, Cluster) else Cluster(members)
        self._script.clusters[name.removeprefix("@")] = cluster
        return cluster

    def database(self, name: str, members: Cluster | Iterable[Any]) -> Cluster:
        """What `was.db`, `was.dlb` and `was.dmap` get from now on, and what they have asked.

            cities = client.database("mydb", [[{"name": "Fairfax", "population": 23478}]])
            client.get("/cities")
            assert cities.asked == [(0, "SELECT name, population FROM cities", ())]

        name: of a cluster; of a database that `was.db` names itself "host:port/dbname".
        members: as of `cluster`. One answers with a list of dicts, its rows, or the number of rows
            that a statement changes; a function is called with the statement as the app has written
            it and its parameters. Statements that begin and end transactions are not shown.
        """
        cluster = members if isinstance(members, Cluster) else Cluster(members)
        self._script.databases[name.removeprefix("@")] = cluster
        return cluster

    def web(self, pages: Mapping[str, Any]) -> Web:
        """What `was.wget(url)` and `was.rpc(url)` get from now on, and what they have asked.

            web = client.web({"https://www.python.org/": "a page"})

        pages: by URL, each what a `Member` may answer: a page is a str, bytes, or a dict or list
        for JSON. A URL without a query answers all its queries.
        """
        self._script.web.add(pages)
        return self._script.web

    # --- the app ---

    @property
    def wasc(self) -> Wasc:
        """What the hooks of the app were given; register here what other apps would share."""
        return self._worker.wasc

    @property
    def wishes(self) -> list[Wish]:
        """What `was.restart()` and `was.shutdown()` have asked for, in order."""
        return self._worker.wishes

    def clear_cookies(self) -> None:
        """Forget all cookies: another browser comes."""
        self.cookies.clear()

    def close(self) -> None:
        """The last request was made. Doing it twice is fine."""
        if self._is_open:
            self._is_open = False
            self._worker.leave()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside ---

    def _send(self, sending: Sending, is_stream: bool) -> Reply:
        """One request. Raises what went wrong with it."""
        if not self._is_open:
            raise WrongUse("this client was closed; make another one: Client(app)")
        request = sending.request(self.cookies.header(sending.path))
        failures: list[BaseException] = []
        request.failures = failures
        turn = partial(self._worker.turn, self._script)
        try:
            with turn():
                answer = self._site.answer(request)
                reply = Reply(sending.url, sending.method, answer, self._worker, turn)
                self.cookies.keep(reply.headers.get_all("Set-Cookie", []), sending.path)
                if not is_stream:
                    reply.take()
        finally:
            if request.upload is not None and not is_stream:
                request.upload.discard()
        for failure in failures[-1:]:
            if self.raise_errors or not isinstance(failure, Exception):
                raise failure
        return reply
