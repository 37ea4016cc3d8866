"""`was`: what a handler is given. One per request, used by that request's handler alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skitai import address, calls
from skitai.app import Application
from skitai.calls import Filter, HttpHandle, RpcHandle
from skitai.engine import Ask, Engine, Members, Origin, Reach, Wish
from skitai.errors import WrongUse
from skitai.request import Request
from skitai.response import Response
from skitai.wire import urlencoded


class WAS:
    """The request, the response to be, and the way to other servers.

    request: what the client asked, a `Request`.
    app: the `Application` the handler belongs to.
    """

    __slots__ = ("_engine", "_response", "app", "request")

    def __init__(self, engine: Engine, app: Application, request: Request) -> None:
        self._engine = engine
        self._response: Response | None = None
        self.app = app
        self.request = request

    @property
    def response(self) -> Response:
        """Status and header fields of the response; the body is what the handler returns."""
        if self._response is None:
            self._response = Response()
        return self._response

    def wget(
        self,
        url: str,
        params: Mapping[str, Any] | str | bytes | None = None,
        *,
        filter: Filter | None = None,
    ) -> HttpHandle:
        """Ask for a web page: GET, or POST of a form when there are params.

            s = was.wget("https://www.python.org")
            result = s.getwait(timeout=2)

        params: a mapping becomes a form body; a str or bytes is sent as it is.
        Raises WrongUse for a URL that cannot be asked.
        """
        origin, target = address.parse_url(url)
        ask = calls.get(target) if params is None else _form(target, params)
        return HttpHandle(self._engine, origin, ask, filter)

    def rpc(self, url: str, *, filter: Filter | None = None) -> RpcHandle:
        """A remote object at a URL: JSON-RPC if the path ends in /rpc3, else XML-RPC.

        s = was.rpc("https://www.example.com/rpc2")
        s.query("Beethoven")
        result = s.getwait(timeout=2)
        """
        origin, target = address.parse_url(url)
        return self._remote(origin, target, filter)

    def map(self, cluster: str, *, filter: Filter | None = None) -> RpcHandle:
        """All members of a cluster at once: take their results with `getswait`.

            s = was.map("mysearch/rpc2")
            s.search(keyword)
            for result in s.getswait(timeout=2): ...

        cluster: "name/rpc2" for XML-RPC, "name/rpc3" or "name" for JSON-RPC.
        filter: see `Handle`.
        """
        return self._cluster(cluster, Reach.ALL, filter)

    def lb(self, cluster: str, *, filter: Filter | None = None) -> RpcHandle:
        """One member of a cluster, chosen by load; another one when it cannot be reached."""
        return self._cluster(cluster, Reach.ONE, filter)

    def restart(self) -> None:
        """Have the master replace this worker: its successor is ready before it leaves.

        Returns at once; this request and all others in hand are answered.
        """
        self._engine.want(Wish.RESTART)

    def shutdown(self) -> None:
        """Have the master stop the whole server, when all requests in hand are answered."""
        self._engine.want(Wish.SHUTDOWN)

    def _cluster(self, cluster: str, reach: Reach, filter: Filter | None) -> RpcHandle:
        name, path = address.split_cluster(cluster)
        target = address.request_target(path or "/rpc3")
        return self._remote(Members(name, reach), target, filter)

    def _remote(self, target: Origin | Members, path: bytes, filter: Filter | None) -> RpcHandle:
        is_json = path.partition(b"?")[0].lower().rstrip(b"/").endswith(b"/rpc3")
        return RpcHandle(self._engine, target, path, not is_json, filter)


def _form(target: bytes, params: Mapping[str, Any] | str | bytes) -> Ask:
    match params:
        case bytes():
            body = params
        case str():
            body = params.encode("utf-8")
        case Mapping():
            body = urlencoded.dump(params)
        case _:
            raise WrongUse(f"params is a {type(params).__name__}; give a mapping, a str or bytes")
    return calls.post(target, b"application/x-www-form-urlencoded", body)
