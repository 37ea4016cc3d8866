"""The reverse proxy of one worker: requests below the prefix of a cluster go to its members.

Runs on the loop. Here is decided whether a request is passed on at all, and what of it; then it is
a `ProxyCall`'s.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from hashlib import blake2b
from urllib.parse import quote

from skitai.request import Request, decode_path, split_target
from skitaid.workers.clients.cluster import Cluster
from skitaid.workers.clients.names import Names
from skitaid.workers.settings import Settings

from . import answers, proxy_fields
from .body import BodyOwner
from .connection import ClientConnection
from .framing import Framing
from .mounts import Mounts, Proxied
from .proxy_body import PassedBody
from .proxy_call import Passed, ProxyCall
from .proxy_fields import Apart
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
        self._upstreams = {
            name: Upstream(loop, settings.http_clusters[name], clusters[name], names, key)
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
        proxied = self._mounts.proxied(path, method)
        if proxied is None:
            return None
        limit = self._upstreams[proxied.cluster].rules.max_request_size
        return PassedBody(framing, owner, limit)

    def pass_on(self, client: ClientConnection, request: Request, proxied: Proxied) -> None:
        """Answer a request, now or later. Its path is decoded."""
        upstream = self._upstreams[proxied.cluster]
        rules = upstream.rules
        fields = proxy_fields.of_request(request.fields)
        apart = fields.apart
        try:
            authority, target = split_target(request.target)
            target = member_target(target, request.path, proxied.base, rules.keep_prefix)
        except Odd as error:
            answers.error(client, request, 400, str(error))
            return
        if request.method == "TRACE":
            # What is added here is no business of whoever sends it.
            answers.error(client, request, 405, "TRACE is not passed on.")
            return
        lines = fields.lines
        if b"max-forwards" in apart and request.method == "OPTIONS":
            left = _number(apart[b"max-forwards"][0])
            if left == 0:  # RFC 9110 section 7.6.2
                answers.whole(client, request, 204, [], b"")
                return
            lines.append(b"Max-Forwards: %d\r\n" % (left - 1))
        if b"via" in apart:
            if self._is_loop(apart[b"via"]):
                answers.error(client, request, 508, "The request has been here before.")
                return
            lines += [b"Via: %b\r\n" % each for each in apart[b"via"]]
        lines.append(self._via[request.version])
        lines.append(b"X-Request-ID: %b\r\n" % request.id_bytes())
        host = authority or (apart[b"host"][0].strip() if b"host" in apart else b"")
        lines.append(_forwarded(client, request, host, apart))
        prefix = "" if rules.keep_prefix else proxied.base
        if prefix:
            lines.append(b"X-Forwarded-Prefix: %b\r\n" % _quoted(prefix))
        body = request.incoming
        if body is None and b"content-length" in apart:
            lines.append(b"Content-Length: 0\r\n")
        assert body is None or isinstance(body, PassedBody)
        upgrade = b""
        takes_trailers = False
        if b"connection" in apart:
            named = proxy_fields.tokens(apart[b"connection"])
            wants = b"upgrade" in apart and b"upgrade" in named and body is None
            if wants and client.hold_for_upgrade():
                upgrade = apart[b"upgrade"][0]
                lines.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % upgrade)
        if b"te" in apart and not upgrade and request.version == "1.1":
            takes_trailers = b"trailers" in proxy_fields.tokens(apart[b"te"])
            if takes_trailers:
                lines.append(b"TE: trailers\r\nConnection: TE\r\n")
        passed = Passed(
            b"%b %b HTTP/1.1\r\n" % (request.method.encode(), target),
            b"Host: %b\r\n" % host if rules.keep_host and host else b"",
            b"".join(lines),
            upgrade,
            takes_trailers,
            prefix,
        )
        ProxyCall(upstream, client, request, passed, body).start()

    def close(self) -> None:
        """Close all connections to members. For the end of the worker."""
        for upstream in self._upstreams.values():
            upstream.close()

    def _is_loop(self, vias: list[bytes]) -> bool:
        """Whether we have passed this request on before (RFC 9110 section 7.6.3)."""
        hops = b",".join(vias).split(b",")
        return any(self._pseudonym in hop.split(None, 2)[1:2] for hop in hops)


def pseudonym(settings: Settings) -> bytes:
    """How this server signs in Via: the same in all its workers, and no other server's."""
    known = f"{socket.gethostname()} {settings.ip} {settings.port} {settings.name}"
    mark = blake2b(known.encode(), digest_size=4).hexdigest()
    return f"{settings.name}-{mark}".encode()


def _forwarded(client: ClientConnection, request: Request, host: bytes, apart: Apart) -> bytes:
    caller = request.caller
    if not client.is_peer_trusted:
        return proxy_fields.forwarded(client.peer, caller.scheme, host)
    host = caller.host.encode() or host
    return proxy_fields.extended(client.peer, caller.scheme, host, apart)


def _number(value: bytes) -> int:
    text = value.strip()
    return int(text) if text.isdigit() and len(text) < 9 else 0


def _quoted(prefix: str) -> bytes:
    return quote(prefix, safe="/!$&'()*+,;=:@~").encode()
