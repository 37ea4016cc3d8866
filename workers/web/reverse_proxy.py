"""The reverse proxy of one worker: requests below the prefix of a cluster go to its members.

Runs on the loop. Here is decided whether a request is passed on at all, and what of it; then it is
a `ProxyCall`'s.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Mapping
from hashlib import blake2b
from urllib.parse import quote

from skitai.request import Request, decode_path, split_target
from skitaid.workers.clients.cluster import Cluster
from skitaid.workers.clients.names import Names
from skitaid.workers.settings import Settings

from . import answers, proxy_fields
from .body import BodyOwner
from .connection import ClientConnection
from .framing import Framing, is_host
from .mounts import Mounts, Proxied
from .proxy_body import PassedBody
from .proxy_cache import Store
from .proxy_caching import Caching, Turn, with_conditions
from .proxy_call import ProxyCall
from .proxy_fields import Apart
from .proxy_passed import Passed
from .proxy_target import Odd, member_target
from .proxy_upstream import Upstream


class ReverseProxy:
    """clusters: as calls of apps know them, by their names."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        mounts: Mounts,
        clusters: Mapping[str, Cluster],
    ) -> None:
        names = Names()
        key = blake2b("".join(settings.secure_keys[:1]).encode(), digest_size=32).digest()
        self._mounts = mounts
        self.own: Collection[str] = ()  # paths of the server's own pages, which come first
        self._upstreams = {
            name: Upstream(
                loop, settings.http_clusters[name], clusters[name], names, key, settings.name
            )
            for name in mounts.clusters
        }
        self._pseudonym = pseudonym(settings)
        self._via = {
            version: b"Via: %b %b\r\n" % (version.encode(), self._pseudonym)
            for version in ("1.0", "1.1")
        }

    def sink(
        self, method: str, target: bytes, framing: Framing, owner: BodyOwner
    ) -> PassedBody | None:
        """For the body of a request that is to be passed on. Raises Refusal."""
        try:
            path = decode_path(split_target(target)[1])
        except ValueError:
            return None  # it will be refused for that
        proxied = None if path in self.own else self._mounts.proxied(path, method)
        if proxied is None:
            return None
        limit = self._upstreams[proxied.cluster].rules.max_request_size
        return PassedBody(framing, owner, limit)

    def pass_on(self, client: ClientConnection, request: Request, proxied: Proxied) -> None:
        """Answer a request, now or later. Its path is decoded."""
        upstream = self._upstreams[proxied.cluster]
        authority, target = split_target(request.target)
        if authority and not is_host(authority):
            answers.error(client, request, 400, "The host in the target is no name and no address.")
            return
        try:
            target = member_target(target, request.path, proxied.base, upstream.rules.keep_prefix)
        except Odd as error:
            answers.error(client, request, 400, str(error))
            return
        # Most clients send the same header again and again.
        passed = client.passed_before
        if type(passed) is not Passed or not passed.is_of(request, proxied) or authority:
            if self._is_answered(client, request):
                return
            passed = self._passed(client, request, proxied, authority)
            client.passed_before = None if passed.upgrade or authority else passed
        start = b"%b %b HTTP/1.1\r\nX-Request-ID: %b\r\n" % (
            request.method.encode(),
            target,
            request.id_bytes(),
        )
        body = request.incoming
        assert body is None or type(body) is PassedBody
        if upstream.caching is None or passed.upgrade:
            ProxyCall(upstream, client, request, start, passed, body).start()
        else:
            _by_cache(upstream.caching, upstream, client, request, start, passed, body)

    def _is_answered(self, client: ClientConnection, request: Request) -> bool:
        """Whether it goes no further than here."""
        if request.method == "TRACE":
            # What is added here is no business of whoever sends it.
            answers.error(client, request, 405, "TRACE is not passed on.")
        elif self._is_loop(request.fields):
            answers.error(client, request, 508, "The request has been here before.")
        elif request.method == "OPTIONS" and _max_forwards(request) == 0:
            answers.whole(client, request, 204, [], b"")
        else:
            return False
        return True

    def _passed(
        self, client: ClientConnection, request: Request, proxied: Proxied, authority: bytes
    ) -> Passed:
        rules = self._upstreams[proxied.cluster].rules
        lines, apart = proxy_fields.of_request(request.fields)
        if request.method == "OPTIONS" and b"max-forwards" in apart:
            lines.append(b"Max-Forwards: %d\r\n" % (_max_forwards(request) - 1))
        lines += [b"Via: %b\r\n" % each for each in apart.get(b"via", ())]
        lines.append(self._via[request.version])
        host = authority or (apart[b"host"][0].strip() if b"host" in apart else b"")
        lines.append(_forwarded(client, request, host, apart))
        prefix = "" if rules.keep_prefix else proxied.base
        if prefix:
            lines.append(b"X-Forwarded-Prefix: %b\r\n" % _quoted(prefix))
        if request.incoming is None and b"content-length" in apart:
            lines.append(b"Content-Length: 0\r\n")
        upgrade = _upgrade(client, request, apart)
        takes_trailers = not upgrade and _takes_trailers(request, apart)
        if upgrade:
            lines.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % upgrade)
        elif takes_trailers:
            lines.append(b"TE: trailers\r\nConnection: TE\r\n")
        return Passed(
            request.fields,
            request.method,
            request.version,
            proxied,
            b"Host: %b\r\n" % host if rules.keep_host and host else b"",
            b"".join(lines),
            upgrade,
            takes_trailers,
            prefix,
            request.caller.host.encode() or host,
        )

    def _is_loop(self, fields: proxy_fields.Fields) -> bool:
        """Whether we have passed this request on before (RFC 9110 section 7.6.3)."""
        vias = [value for name, value in fields if name.lower() == b"via"]
        hops = b",".join(vias).split(b",")
        return any(self._pseudonym in hop.split(None, 2)[1:2] for hop in hops)

    @property
    def stores(self) -> dict[str, Store]:
        """The caches, by the names of their clusters."""
        found = {name: each.caching for name, each in self._upstreams.items()}
        return {name: each.store for name, each in found.items() if each is not None}

    def close(self) -> None:
        """Close all connections to members. For the end of the worker."""
        for upstream in self._upstreams.values():
            upstream.close()


def pseudonym(settings: Settings) -> bytes:
    """How this server signs in Via: the same in all its workers, and no other server's."""
    known = f"{socket.gethostname()} {settings.ip} {settings.port} {settings.name}"
    mark = blake2b(known.encode(), digest_size=4).hexdigest()
    return f"{settings.name}-{mark}".encode()


def _by_cache(
    caching: Caching,
    upstream: Upstream,
    client: ClientConnection,
    request: Request,
    start: bytes,
    passed: Passed,
    body: PassedBody | None,
) -> None:
    # All that a member is told beside the client's own fields: what is not in the key could be
    # used to have an answer kept that is wrong for others.
    key = b"%b %b%b" % (request.caller.scheme.encode(), passed.called, request.target)

    def ask(turn: Turn | None, conditions: bytes | None) -> None:
        lines = passed
        if conditions is not None:
            lines = passed.with_lines(with_conditions(passed.lines, conditions))
        ProxyCall(upstream, client, request, start, lines, body, turn).start()

    if request.method in ("GET", "HEAD", "OPTIONS"):
        if body is None and request.method != "OPTIONS":
            caching.answer(client, request, key, passed.prefix.encode(), ask)
        else:
            ask(None, None)
    else:
        ask(caching.changing(key), None)


def _forwarded(client: ClientConnection, request: Request, host: bytes, apart: Apart) -> bytes:
    caller = request.caller
    if not client.is_peer_trusted:
        return proxy_fields.forwarded(client.peer, caller.scheme, host)
    host = caller.host.encode() or host
    return proxy_fields.extended(client.peer, caller.scheme, host, apart)


def _max_forwards(request: Request) -> int:
    """How often it may be passed on (RFC 9110 section 7.6.2)."""
    text = (request.field(b"max-forwards") or b"").strip()
    return int(text) if text.isdigit() and len(text) < 9 else 255


def _upgrade(client: ClientConnection, request: Request, apart: Apart) -> bytes:
    """The protocol that a request asks for, if it can get it; b"" for none."""
    wanted = apart.get(b"upgrade")
    if wanted is None or request.incoming is not None:
        return b""
    if b"h2c" in proxy_fields.tokens(wanted):
        # In HTTP/2 the client could ask the member for any path, of this cluster's or not.
        return b""
    named = proxy_fields.tokens(apart.get(b"connection", []))
    return wanted[0] if b"upgrade" in named and client.hold_for_upgrade() else b""


def _takes_trailers(request: Request, apart: Apart) -> bool:
    te = apart.get(b"te")
    return te is not None and request.version == "1.1" and b"trailers" in proxy_fields.tokens(te)


def _quoted(prefix: str) -> bytes:
    return quote(prefix, safe="/!$&'()*+,;=:@~").encode()
