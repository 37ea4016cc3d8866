"""Call handles: what `was.wget`, `was.rpc`, `was.map` and `was.lb` give back.

How to wait for them is in `skitai.handle`, what they send in `skitai.asks`.
"""

from __future__ import annotations

from typing import Any, Self

from skitai import asks, decoding
from skitai.asks import NONE_GIVEN, Given, Headers, Params
from skitai.collecting import Filter
from skitai.decoding import Decode
from skitai.engine import Ask, Engine, Members, Origin
from skitai.errand import Errand
from skitai.errors import WrongUse
from skitai.handle import DEFAULT_TIMEOUT, Handle
from skitai.keeping import Keeping
from skitai.wire import jsonrpc, xmlrpc

Call = tuple[Any, ...]  # the name of a method, and its arguments


class HttpHandle(Handle):
    """A plain HTTP request, sent when the handle is made."""

    def __init__(
        self,
        engine: Engine,
        target: Origin | Members,
        ask: Ask,
        filter: Filter | None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        errand: Errand | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        super().__init__(engine, target, filter, timeout=timeout, errand=errand, keeping=keeping)
        self._send(ask, decoding.http)


class PathHandle(Handle):
    """A path at a cluster: `s.get({"page": 2})`, `s.post(json=order)` send a request.

    The arguments are those of `was.wget`; a request that is one of several on this handle may
    have header fields of its own.
    """

    def __init__(
        self,
        engine: Engine,
        target: Members,
        path: bytes,
        given: Given,
        filter: Filter | None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        errand: Errand | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        super().__init__(engine, target, filter, timeout=timeout, errand=errand, keeping=keeping)
        self._path = path
        self._given = given

    def request(
        self,
        method: str | None,
        params: Params = None,
        *,
        json: Any = None,
        multipart: bool = False,
        headers: Headers | None = None,
    ) -> Self:
        """Send a request; gives the handle. method: None is POST with params or json, GET without.

        Raises WrongUse, TypeError or OSError for what cannot be sent.
        """
        given = self._given if headers is None else self._given.joined(asks.given(headers, None))
        ask = asks.http(
            self._path,
            method,
            params,
            json,
            multipart=multipart,
            given=given,
            passed=self._passed(given.names),
        )
        self._send(ask, decoding.http)
        return self

    def get(self, params: Params = None, **more: Any) -> Self:
        """Send a GET; params are the query."""
        return self.request("GET", params, **more)

    def head(self, params: Params = None, **more: Any) -> Self:
        """Send a HEAD; params are the query."""
        return self.request("HEAD", params, **more)

    def post(self, params: Params = None, **more: Any) -> Self:
        """Send a POST; params are a form, or the body."""
        return self.request("POST", params, **more)

    def put(self, params: Params = None, **more: Any) -> Self:
        """Send a PUT; params are a form, or the body."""
        return self.request("PUT", params, **more)

    def patch(self, params: Params = None, **more: Any) -> Self:
        """Send a PATCH; params are a form, or the body."""
        return self.request("PATCH", params, **more)

    def delete(self, params: Params = None, **more: Any) -> Self:
        """Send a DELETE; params are the query."""
        return self.request("DELETE", params, **more)

    def options(self, params: Params = None, **more: Any) -> Self:
        """Send an OPTIONS; params are the query."""
        return self.request("OPTIONS", params, **more)


class RpcHandle(Handle):
    """A remote object: `s.search("Mozart")`, `s.catalog.search("Mozart")` send a call.

    XML-RPC takes positional arguments, JSON-RPC positional or named ones.
    """

    def __init__(
        self,
        engine: Engine,
        target: Origin | Members,
        path: bytes,
        is_xml: bool,
        filter: Filter | None,
        *,
        given: Given = NONE_GIVEN,
        timeout: float = DEFAULT_TIMEOUT,
        errand: Errand | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        super().__init__(engine, target, filter, timeout=timeout, errand=errand, keeping=keeping)
        self._path = path
        self._is_xml = is_xml
        self._given = given

    def __getattr__(self, name: str) -> Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return Method(self, name)

    def multicall(self, *calls: Call) -> Self:
        """Send several calls as one request: `s.multicall(("add", 1, 2), ("search", "Mozart"))`.

        Gives the handle. The data of its result is a list with a value for each call, or an
        RpcFault in its place.
        It is `system.multicall` in XML-RPC, a batch in JSON-RPC.
        """
        if not calls:
            raise WrongUse('multicall without calls; write s.multicall(("add", 1, 2), ...)')
        pairs = [(name, tuple(args)) for name, *args in calls]
        if self._is_xml:
            self._post(b"text/xml", xmlrpc.dump_multicall(pairs), decoding.xml_multicall)
        else:
            load = decoding.json_batch(len(pairs))
            self._post(b"application/json-rpc", jsonrpc.dump_batch(pairs), load)
        return self

    def _call_method(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._is_xml:
            if kwargs:
                raise WrongUse(f"XML-RPC has no named arguments, but {name} was given some")
            self._post(b"text/xml", xmlrpc.dump_call(name, args), decoding.xml_rpc)
            return
        if args and kwargs:
            raise WrongUse(f"JSON-RPC takes positional or named arguments; {name} was given both")
        body = jsonrpc.dump_call(name, kwargs or args)
        self._post(b"application/json-rpc", body, decoding.json_rpc)

    def _post(self, kind: bytes, body: bytes, decode: Decode) -> None:
        given = self._given
        self._send(asks.post(self._path, kind, body, given, self._passed(given.names)), decode)


class Method:
    """A dotted method name on its way to being called."""

    __slots__ = ("_handle", "_name")

    def __init__(self, handle: RpcHandle, name: str) -> None:
        self._handle = handle
        self._name = name

    def __getattr__(self, name: str) -> Method:
        return Method(self._handle, f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> RpcHandle:
        """Send the call; gives the handle. Raises TypeError for what the format cannot carry."""
        self._handle._call_method(self._name, args, kwargs)
        return self._handle
