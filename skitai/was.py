"""`was`: what a handler is given. One per request, used by that request's handler alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from skitai import serialize
from skitai.app import Application
from skitai.asking import Asking
from skitai.asking_databases import AskingDatabases
from skitai.cookie import Cookies
from skitai.engine import Wish
from skitai.environ import Environ, environ
from skitai.errors import RouteError, WrongUse
from skitai.request import Request
from skitai.response import Response
from skitai.routing import path_of
from skitai.session import Session
from skitai.table import Found

if TYPE_CHECKING:
    import logging

    from skitai.resources import Cluster, Lifetime, Queue, Resource, Threads
    from skitai.wasc import Server, Wasc


class WAS(Asking, AskingDatabases):
    """The request, the response to be, and the way to other servers.

    request: what the client asked, a `Request`.
    app: the `Application` the handler belongs to.

    What is registered by `wasc.register("searcher", ...)` is here as `was.searcher`.
    """

    __slots__ = ("_cookies", "_env", "_found", "_g", "_session", "_wasc", "app", "request")

    if TYPE_CHECKING:  # the worker's own, registered like what apps register
        httpserver: Server
        logger: logging.Logger
        threads: Threads
        queue: Queue
        lifetime: Lifetime
        apps: Mapping[str, Application]  # by the prefix of their route
        clusters: Mapping[str, Cluster]  # by name, with or without the @
        rcache: Resource
        cachefs: Resource

    def __init__(self, wasc: Wasc, found: Found, request: Request) -> None:
        self._wasc = wasc
        self._found = found
        self._cookies: Cookies | None = None
        self._session: Session | None = None
        self._env: Environ | None = None
        self._g: SimpleNamespace | None = None
        self.app: Application = found.app
        self.request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wasc, name)

    # --- this request ---

    @property
    def response(self) -> Response:
        """Status and header fields of the response; the body is what the handler returns."""
        return self.request.response

    @property
    def cookie(self) -> Cookies:
        """The client's cookies; what is set here goes into the response."""
        if self._cookies is None:
            is_secure = self.request.scheme == "https"
            self._cookies = Cookies(self.request.get_header("cookie"), is_secure)
        return self._cookies

    @property
    def session(self) -> Session:
        """What this client was given to keep, sealed in a cookie.

        Raises WrongUse in an app that has not called `app.use_session(True)`.
        """
        if self._session is None:
            if not self.app.has_session:
                raise WrongUse("was.session: write app.use_session (True) beside the app first")
            is_secure = self.request.scheme == "https"
            self._session = self._wasc.sessions.open(self.request.get_header("cookie"), is_secure)
        return self._session

    @property
    def g(self) -> SimpleNamespace:
        """What hooks and the handler of this request tell each other: `was.g.user = user`.

        Empty at first; an RPC document has one for each of its calls.
        """
        if self._g is None:
            self._g = SimpleNamespace()
        return self._g

    @property
    def env(self) -> Environ:
        """The request as CGI names (RFC 3875): `was.env["HTTP_USER_AGENT"]`."""
        if self._env is None:
            self._env = environ(self.request, self._wasc.httpserver, self._found.base)
        return self._env

    environ = env

    def render(self, name: str, /, **context: Any) -> str:
        """The template `templates/<name>`, rendered; it has `was` besides what is given.

        Raises jinja2.TemplateNotFound, or what the template raises.
        """
        return self.app.get_template(name).render(was=self, **context)

    def url_for(self, name: str, /, **values: Any) -> str:
        """The URL of a handler: `was.url_for("company", cid=555)` is "/company/555".

        name: of the function, or "module.function". Values that are no parameters of its rule
        become the query. Raises RouteError if there is no such handler, or a value is missing.
        """
        routes = self._found.table.named(name)
        if not routes:
            raise RouteError(f"url_for({name!r}): no handler has that name")
        fitting = [each for each in routes if all(key in values for key, _ in each.converters)]
        route = (fitting or routes)[0]
        parameters = {key for key, _ in route.converters}
        query = urlencode({k: v for k, v in values.items() if k not in parameters}, doseq=True)
        return self._found.base + path_of(route, values) + ("?" + query if query else "")

    ab = url_for

    @staticmethod
    def tojson(value: Any) -> str:
        """A value as JSON. Raises TypeError for what JSON cannot carry."""
        return serialize.to_json(value).decode()

    @staticmethod
    def toxml(value: dict[str, Any] | tuple[Any, ...]) -> str:
        """A dict with one key as an XML document, a tuple as the params of an XML-RPC call.

            was.toxml({"order": {"@id": "5", "item": ["tea", "milk"]}})

        "@id" is an attribute, a list an element for each of its values, "#text" what stands
        beside attributes. Raises TypeError for what XML cannot carry.
        """
        return serialize.to_xml(value)

    # --- this server ---

    @property
    def cluster(self) -> Mapping[str, Cluster]:
        """The same as `was.clusters`: the clusters of the conf by name, and "socketpool"."""
        return self.clusters

    def status(self) -> dict[str, Any]:
        """How the whole server is, as its status.json says it; and this worker, beside that.

        Of this worker, by the name that it has on `was`, each part and each registered object that
        has a `status()`: `was.status()["threads"]["parked"]`. The others are asked; who gives no
        answer within a second is told as such. Raises WrongUse in an async handler, which awaits
        `status_async`.
        """
        whole = self._wasc.whole_status
        told = {} if whole is None else self._wasc.engine.run(whole())
        return {**self._wasc.status(), **told}

    async def status_async(self) -> dict[str, Any]:
        """The same for an async handler."""
        whole = self._wasc.whole_status
        return {**self._wasc.status(), **({} if whole is None else await whole())}

    def restart(self) -> None:
        """Have the master replace this worker: its successor is ready before it leaves.

        Returns at once; this request and all others in hand are answered.
        """
        self._wasc.engine.want(Wish.RESTART)

    def shutdown(self) -> None:
        """Have the master stop the whole server, when all requests in hand are answered."""
        self._wasc.engine.want(Wish.SHUTDOWN)
