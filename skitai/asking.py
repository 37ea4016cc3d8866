"""The way to other servers: the part of `was` that makes call handles."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Literal

from skitai import address, asks
from skitai.asks import Given, Headers, Login, Params
from skitai.calls import HttpHandle, PathHandle, RpcHandle
from skitai.collecting import Filter
from skitai.engine import Members, Reach
from skitai.errand import Errand
from skitai.errors import WrongUse
from skitai.handle import DEFAULT_TIMEOUT, Gathered, Waiting
from skitai.keeping import Keeping, wanted
from skitai.request import Request

if TYPE_CHECKING:
    from skitai.wasc import Wasc


class Asking:
    """What it sends is sent for the sake of the request in hand; see `skitai.errand`."""

    __slots__ = ()

    if TYPE_CHECKING:
        _wasc: Wasc
        request: Request

    def wget(
        self,
        url: str,
        params: Params = None,
        *,
        headers: Headers | None = None,
        method: str | None = None,
        multipart: bool = False,
        login: Login | None = None,
        json: Any = None,
        timeout: float = DEFAULT_TIMEOUT,
        follow: bool | int = False,
        filter: Filter | None = None,
        cache: float | None = None,
        stale: float = 0.0,
    ) -> HttpHandle:
        """Ask for a web page: GET, or POST of a form when there are params.

            s = was.wget("https://www.python.org")
            result = s.getwait(timeout=2)

        params: with POST, PUT and PATCH the body: a mapping is a form, a str or bytes is sent as
            it is, an open file or an iterator of bytes as what it gives. Else, and beside json, the
            query: a mapping, or a str.
        headers: more header fields, or others than ours. With `Transfer-Encoding: chunked` a body
            that an iterator makes is sent while it is made.
        method: GET, or POST with params or json, if it is not given.
        multipart: params is a form with files: strings, and files open for reading.
        login: "user:password" or a pair, for Basic authentication; those of the URL otherwise.
        json: a value to be sent as JSON.
        timeout: seconds that `getwait` waits if it is not told otherwise.
        follow: how many redirects are followed; True is 10.
        filter: see `Handle`.
        cache: seconds for which a normal answer with status 200 is kept for whoever asks the same;
            of all who ask it meanwhile, one does. None: nothing is kept, unless the result's own
            `cache` is called.
        stale: seconds after that in which the old answer is given while a new one is fetched.
        Raises WrongUse for what cannot be asked, TypeError for what JSON cannot carry, OSError for
        a file that cannot be read.
        """
        origin, target = address.parse_url(url)
        given = asks.given(headers, login or address.login(url))
        errand = self._errand()
        ask = asks.http(
            target,
            method,
            params,
            json,
            multipart=multipart,
            given=given,
            follow=follow,
            passed=errand.lines(given.names),
        )
        engine = self._wasc.engine
        keeping = wanted(cache, stale)
        return HttpHandle(
            engine, origin, ask, filter, timeout=timeout, errand=errand, keeping=keeping
        )

    def rpc(
        self,
        url: str,
        *,
        headers: Headers | None = None,
        login: Login | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        filter: Filter | None = None,
        cache: float | None = None,
        stale: float = 0.0,
    ) -> RpcHandle:
        """A remote object at a URL: JSON-RPC if the path ends in /rpc3, else XML-RPC.

            s = was.rpc("https://www.example.com/rpc2")
            s.query("Beethoven")
            result = s.getwait(timeout=2)

        For the arguments see `wget`.
        """
        origin, target = address.parse_url(url)
        is_xml = not address.is_json_rpc(target.partition(b"?")[0].decode())
        return RpcHandle(
            self._wasc.engine,
            origin,
            target,
            is_xml,
            filter,
            given=asks.given(headers, login or address.login(url)),
            timeout=timeout,
            errand=self._errand(),
            keeping=wanted(cache, stale),
        )

    def map(
        self,
        cluster: str,
        params: Params = None,
        *,
        headers: Headers | None = None,
        method: str | None = None,
        multipart: bool = False,
        login: Login | None = None,
        json: Any = None,
        timeout: float = DEFAULT_TIMEOUT,
        filter: Filter | None = None,
        cache: float | None = None,
        stale: float = 0.0,
    ) -> Any:
        """All members of a cluster at once: take their results with `getswait`.

            s = was.map("mysearch/rpc2")
            s.search(keyword)
            for result in s.getswait(timeout=2): ...

            s = was.map("mysearch/status")
            s.get()

        cluster: "name/rpc2" for XML-RPC, "name/rpc3" or "name" for JSON-RPC: an `RpcHandle`. With
            any other path a `PathHandle`; its request is sent at once if there are params, method
            or json.
        For the other arguments see `wget`.
        """
        members = Members(address.parse_cluster(cluster).name, Reach.ALL)
        given = asks.given(headers, login)
        keeping = wanted(cache, stale)
        return self._cluster(
            cluster, members, given, timeout, filter, method, params, json, multipart, keeping
        )

    def lb(
        self,
        cluster: str,
        params: Params = None,
        *,
        headers: Headers | None = None,
        method: str | None = None,
        multipart: bool = False,
        login: Login | None = None,
        json: Any = None,
        timeout: float = DEFAULT_TIMEOUT,
        hedge: float | Literal["p95"] | None = None,
        key: str | int | bytes | None = None,
        filter: Filter | None = None,
        cache: float | None = None,
        stale: float = 0.0,
    ) -> Any:
        """One member of a cluster, chosen by load; another one when it cannot be reached.

        hedge: seconds after which a second member is asked as well, or "p95" for the time in which
            19 of 20 calls are answered; the first normal answer counts. So a call may be made
            twice. None: as the conf says.
        key: with `balance = hash` in the conf calls with the same key go to the same member.
        For the rest see `map`. Raises WrongUse for a hedge that is neither.
        """
        if hedge not in (None, "p95") and not (
            isinstance(hedge, int | float) and 0.0 <= hedge < inf
        ):
            raise WrongUse(f'hedge = {hedge!r} is neither a number of seconds nor "p95"')
        members = Members(
            address.parse_cluster(cluster).name,
            Reach.ONE,
            hedge,
            key if key is None or isinstance(key, bytes) else str(key).encode(),
        )
        given = asks.given(headers, login)
        keeping = wanted(cache, stale)
        return self._cluster(
            cluster, members, given, timeout, filter, method, params, json, multipart, keeping
        )

    def gather(self, *handles: Waiting) -> Gathered:
        """Wait for several handles together, with one deadline.

            a, b = was.wget(url), was.map("mysearch/status", method="GET")
            results = was.gather(a, b).getswait(timeout=2)

        The results are one after the other; `a.getwait()` and `b.getswait()` do not wait any more.
        Raises WrongUse without handles.
        """
        if not handles:
            raise WrongUse("was.gather() of nothing; write was.gather(a, b)")
        return Gathered(self._wasc.engine, self._errand(), handles)

    # --- inside ---

    def _errand(self) -> Errand:
        request = self.request
        return request.errand or Errand(
            self._wasc.engine,
            request,
            self._wasc.request_timeout,
            starts_trace=self._wasc.starts_traces,
        )

    def _cluster(
        self,
        cluster: str,
        members: Members,
        given: Given,
        timeout: float,
        filter: Filter | None,
        method: str | None,
        params: Params,
        json: Any,
        multipart: bool,
        keeping: Keeping | None,
    ) -> RpcHandle | PathHandle:
        _, target, is_xml, is_json = address.parse_cluster(cluster)
        engine, errand = self._wasc.engine, self._errand()
        is_sent = not (method is None and params is None and json is None)
        if not (is_xml or is_json):
            page = PathHandle(
                engine,
                members,
                target,
                given,
                filter,
                timeout=timeout,
                errand=errand,
                keeping=keeping,
            )
            if is_sent:
                page.request(method, params, json=json, multipart=multipart)
            return page
        if is_sent:
            raise WrongUse(f'"{cluster}" is called: s.method(...); params are for other paths')
        return RpcHandle(
            engine,
            members,
            target,
            is_xml,
            filter,
            given=given,
            timeout=timeout,
            errand=errand,
            keeping=keeping,
        )
