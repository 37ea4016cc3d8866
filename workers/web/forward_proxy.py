"""The forward proxy of one worker: `proxy = yes`. Who may use it, for what, and how he is told.

Runs on the loop. A request with an http or https URL is passed on like one to a cluster, by a
`ProxyCall`, to a cluster of one member that is made for its host; CONNECT gets a tunnel.

It says nothing of its clients to others: no address, no password. What a client itself sends with
its request goes on as it came, but for the fields that are for this connection.
"""

from __future__ import annotations

import asyncio
import hmac
import random
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterable

from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML
from skitaid.workers.clients.balance import Load, digest
from skitaid.workers.clients.client_tls import Contexts
from skitaid.workers.clients.cluster import Cluster, ClusterMember
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.http_connection import HttpConnection
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.settings import (
    ClientLimits,
    ClientTls,
    Forwarding,
    HttpCluster,
    Member,
    Passing,
)

from . import answers, forward_names, proxy_fields, reply
from .body import BodyOwner
from .connection import ClientConnection
from .forward_names import Forbidden
from .forward_rules import Odd, Target, absolute_target, connect_target, may_ask, may_connect
from .forward_tunnel import ForwardTunnel
from .forwarded import Proxies
from .framing import Framing
from .mounts import Proxied
from .proxy_body import PassedBody
from .proxy_call import ProxyCall
from .proxy_fields import Apart
from .proxy_passed import Passed
from .proxy_upstream import Upstream

CONNECT_TIMEOUT = 10.0  # seconds for name, TCP and TLS; servers are far, unlike members
ORIGINS_MAX = 256  # servers whose connections are kept
RULES = Passing(keep_prefix=True, keep_host=True, keep_location=True)
_NO_ROUTE = Proxied("", "")
CHALLENGE = ("Proxy-Authenticate", 'Basic realm="Skitai", charset="UTF-8"')

# Of what `proxy_fields` sets apart: these are the client's own words to the server.
_END_TO_END = (
    *(b"x-forwarded-for", b"forwarded", b"x-forwarded-proto", b"x-forwarded-host"),
    *(b"x-forwarded-prefix", b"x-forwarded-port", b"x-request-id", b"via"),
)


class ForwardProxy:
    """Answers requests whose target is no path."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Forwarding,
        pseudonym: bytes,
    ) -> None:
        """pseudonym: how this server signs in Via."""
        self._loop = loop
        self._connect_ports = frozenset(settings.connect_ports)
        self._clients = Proxies(settings.clients)
        self._credentials = [each.encode() for each in settings.credentials]
        self._names = forward_names.names(settings.destinations)
        self._pseudonym = pseudonym
        self._contexts = Contexts()
        self._origins: dict[tuple[str, int, bool], Upstream] = {}

    def sink(
        self, method: str, target: bytes, framing: Framing, owner: BodyOwner
    ) -> PassedBody | None:
        """For the body of a request that is to be passed on. Raises Refusal."""
        if target.startswith(b"/") or b"://" not in target.partition(b"?")[0]:
            return None
        return PassedBody(framing, owner, RULES.max_request_size)

    def answer(self, client: ClientConnection, request: Request) -> bool:
        """Whether the target is one for a proxy; then it is answered, now or later."""
        is_connect = request.method == "CONNECT"
        if not is_connect and b"://" not in request.target.partition(b"?")[0]:
            return False  # `OPTIONS *`, or nonsense
        if is_connect and not client.hold_for_upgrade():
            # What is behind it was read as requests already.
            self._refuse(client, request, 400, "CONNECT must come behind no other request.")
            return True
        if self._may_use(client, request):
            self._pass_on(client, request, is_connect)
        return True

    def close(self) -> None:
        """Close all connections to servers. For the end of the worker."""
        for upstream in self._origins.values():
            _close(upstream)

    # --- who ---

    def _may_use(self, client: ClientConnection, request: Request) -> bool:
        """Else the client is told."""
        caller = request.caller
        # A proxy of ours that says for nobody that it asks is no client: behind it may be anybody.
        if caller.is_trusted or self._clients.speaking(caller.address) is None:
            self._refuse(client, request, 403, "This proxy is not for you.")
        elif self._credentials and not self._knows(request.field(b"proxy-authorization")):
            self._refuse(client, request, 407, "This proxy wants a password.", [CHALLENGE])
        else:
            return True
        return False

    def _knows(self, given: bytes | None) -> bool:
        """Whether these are credentials of RFC 7617 that we know. All are compared, in one time."""
        scheme, _, token = (given or b"").partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            told = b64decode(token.strip(), validate=True)
        except NoBase64:
            return False
        matches = [hmac.compare_digest(told, each) for each in self._credentials]
        return any(matches)

    # --- what ---

    def _pass_on(self, client: ClientConnection, request: Request, is_connect: bool) -> None:
        try:
            read = connect_target if is_connect else absolute_target
            target = read(request.target)
        except Odd as error:
            self._refuse(client, request, 400, str(error))
            return
        may = may_connect if is_connect else may_ask
        if not may(target.port, self._connect_ports):
            what = "make tunnels to" if is_connect else "ask"
            sentence = f"This proxy does not {what} port {target.port}."
            self._refuse(client, request, 403, sentence)
        elif is_connect:
            self._tunnel(client, request, target)
        elif request.method == "TRACE":
            # What a client sends may have passed others, who have added secrets of theirs.
            self._refuse(client, request, 405, "TRACE is not passed on.")
        else:
            self._ask(client, request, target)

    def _tunnel(self, client: ClientConnection, request: Request, target: Target) -> None:
        def refuse(status: int, sentence: str) -> None:
            self._refuse(client, request, status, sentence)

        timeout = RULES.tunnel_timeout
        tunnel = ForwardTunnel(self._loop, self._names, client, CONNECT_TIMEOUT, timeout, refuse)
        tunnel.start(request, target.host, target.port)

    def _ask(self, client: ClientConnection, request: Request, target: Target) -> None:
        lines, apart = proxy_fields.of_request(request.fields)
        if self._is_loop(apart.get(b"via", ())):
            self._refuse(client, request, 508, "The request has been here before.")
            return
        if request.method == "OPTIONS" and b"max-forwards" in apart:
            left = _number(apart[b"max-forwards"][0])
            if left == 0:  # RFC 9110 section 7.6.2
                answers.whole(client, request, 204, [], b"")
                return
            lines.append(b"Max-Forwards: %d\r\n" % (left - 1))
        lines = [line for line in lines if line[:6].lower() != b"proxy-"]
        lines += _again(apart)
        lines.append(b"Via: %b %b\r\n" % (request.version.encode(), self._pseudonym))
        body = request.incoming
        assert body is None or isinstance(body, PassedBody)
        if body is None and b"content-length" in apart:
            lines.append(b"Content-Length: 0\r\n")
        upgrade = b""
        if body is None and _wants_upgrade(apart) and client.hold_for_upgrade():
            upgrade = apart[b"upgrade"][0]
            lines.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % upgrade)
        passed = Passed(
            request.fields,
            request.method,
            request.version,
            _NO_ROUTE,
            b"Host: %b\r\n" % target.authority,
            b"".join(lines),
            upgrade,
            takes_trailers=False,
            prefix="",
        )
        _Asking(self, client, request, passed, body).start(target)

    def _is_loop(self, vias: Iterable[bytes]) -> bool:
        """Whether we have passed this request on before (RFC 9110 section 7.6.3)."""
        hops = b",".join(vias).split(b",")
        return any(self._pseudonym in hop.split(None, 2)[1:2] for hop in hops)

    def _refuse(
        self,
        client: ClientConnection,
        request: Request,
        status: int,
        sentence: str,
        more: Iterable[tuple[str, str]] = (),
    ) -> None:
        """The connection ends: what was meant for a tunnel must not be read as a request."""
        keep_alive = client.keep_alive and request.method != "CONNECT"
        data = reply.whole(
            status,
            [("Content-Type", HTML), *more],
            error_page(status, sentence),
            keep_alive=keep_alive,
            version=request.version,
            is_head=request.method == "HEAD",
        )
        client.respond(request, data, keep_alive)

    # --- servers ---

    def origin(self, target: Target) -> Upstream:
        """A server as a cluster of itself, whose connections are kept."""
        key = (target.host, target.port, target.is_tls)
        upstream = self._origins.pop(key, None)
        if upstream is None:
            self._forget_some()
            upstream = self._new_origin(target)
        self._origins[key] = upstream  # the one that was wanted last is behind all others
        return upstream

    def _forget_some(self) -> None:
        if len(self._origins) < ORIGINS_MAX:
            return
        for key, upstream in list(self._origins.items()):
            if all(member.load.in_flight == 0 for member in upstream.cluster.members):
                _close(upstream)
                del self._origins[key]
                return

    def _new_origin(self, target: Target) -> Upstream:
        tls = self._contexts.of(ClientTls()) if target.is_tls else None
        address = Address(target.host, target.port, tls=tls)
        limits = ClientLimits(connect_timeout=CONNECT_TIMEOUT)
        # Calls of apps never come here, so this keeper never opens anything.
        keeper: ConnectionKeeper[HttpConnection] = ConnectionKeeper(
            self._loop, address, 1, limits, self._names
        )
        member = ClusterMember(keeper, Load(1, identity=digest(keeper.node.encode())))
        conf = HttpCluster(
            keeper.node,
            (Member(target.host, target.port),),
            target.is_tls,
            "p2c",
            "",
            limits=limits,
            passing=RULES,
        )
        cluster = Cluster("", [member], "p2c", random.Random())
        return Upstream(self._loop, conf, cluster, self._names, b"")

    async def check(self, target: Target) -> None:
        """Raises Forbidden for a server that may not be asked; what else is wrong shows later."""
        try:
            await self._names.places(target.host, target.port)
        except Forbidden:
            raise
        except (OSError, ValueError):
            return


class _Asking:
    """A request from its arrival until its server is known to be allowed. `connection.Passer`, and
    `proxy_body.Taker`, which takes nothing yet.
    """

    def __init__(
        self,
        proxy: ForwardProxy,
        client: ClientConnection,
        request: Request,
        passed: Passed,
        body: PassedBody | None,
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._request = request
        self._passed = passed
        self._body = body
        self._task: asyncio.Task[None] | None = None

    def start(self, target: Target) -> None:
        self._client.passing = self
        if self._body is not None:
            self._body.give_to(self)
        self._task = asyncio.get_running_loop().create_task(self._run(target))

    async def _run(self, target: Target) -> None:
        client, request = self._client, self._request
        try:
            await self._proxy.check(target)
        except Forbidden:
            client.passing = None
            if self._body is not None:
                self._body.leave()
            sentence = f"{target.host} may not be reached by this proxy."
            answers.error(client, request, 403, sentence)
            return
        start = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), target.origin_form)
        origin = self._proxy.origin(target)
        ProxyCall(origin, client, request, start, self._passed, self._body).start()

    def body_came(self) -> None:
        """It waits."""

    def body_broke(self) -> None:
        self._give_up()
        self._client.drop(self._request)

    def _give_up(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._client.passing = None
        if self._body is not None:
            self._body.leave()

    def client_left(self, is_lost: bool) -> None:
        self._give_up()
        if not is_lost:
            self._client.abort()

    def client_slow(self, is_slow: bool) -> None:
        """There is no response yet."""


def _again(apart: Apart) -> list[bytes]:
    return [
        b"%b: %b\r\n" % (name.title(), value)
        for name in _END_TO_END
        for value in apart.get(name, ())
    ]


def _wants_upgrade(apart: Apart) -> bool:
    connection = apart.get(b"connection", [])
    return b"upgrade" in apart and b"upgrade" in proxy_fields.tokens(connection)


def _number(value: bytes) -> int:
    text = value.strip()
    return int(text) if text.isdigit() and len(text) < 9 else 0


def _close(upstream: Upstream) -> None:
    upstream.close()
    for member in upstream.cluster.members:
        member.keeper.close()
