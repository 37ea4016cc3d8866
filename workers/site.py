"""The serving part of a worker, put together: listener, connections, dispatcher, threads, pools.

Runs on the loop. Nothing here decides; it only knows who needs whom.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Mapping
from importlib import metadata

from skitai.app import Application
from skitai.rcache import Memory, Store
from skitai.seal import Seal
from skitai.session import Sessions
from skitai.wasc import Server, Wasc

from . import control, in_hand, resources
from .admin.desk import Desk, Worker
from .admin.errors import Errors
from .apps import end, start
from .clients import reporting
from .clients.checks import Checks
from .clients.databases import Databases
from .clients.fanout import Fanout
from .clients.flights import Flights
from .clients.shared_store import SharedStore
from .doors import Doors
from .engine import WorkerEngine
from .handoff import Handoff
from .heartbeat import Handlers
from .in_hand import InHand
from .ledger import Pen, lone_pages
from .logs.access_log import AccessLog
from .member_report import MemberReport
from .member_table import MemberTable
from .overdue import Overdue, send_away, shortest
from .reloading import looking
from .scoreboard import Scoreboard, Slot, lone_slot
from .settings import Settings
from .slots import Slots
from .standing import Standing
from .tally import Tally
from .threads import HandlerThreads
from .web.acceptor import Acceptor
from .web.bodies import Bodies
from .web.connection import ClientConnection
from .web.connections import Connections
from .web.dispatch import Dispatcher
from .web.forward_proxy import ForwardProxy
from .web.forwarded import Proxies
from .web.mounts import Mounts
from .web.reverse_proxy import ReverseProxy, pseudonym
from .web.to_https import ToHttps
from .web.upload_directory import UploadDirectory
from .web.uploads import Uploads

VERSION = metadata.version("skitai")  # here, since a worker of another user may not be able to look


class WebSite:
    """What one worker serves."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        apps: Mapping[str, Application],
        scoreboard: Scoreboard | None = None,
        ordinal: int = 0,
        access_log: AccessLog | None = None,
        errors: Errors | None = None,
    ) -> None:
        """scoreboard: of the server, None for a worker without siblings, which has no admin pages.

        errors: those of this worker, as they are logged.

        Raises AppFailed for an app that does not start.
        """
        limits = settings.limits
        self._loop = loop
        self._scoreboard = scoreboard
        self._slot = lone_slot() if scoreboard is None else scoreboard[ordinal]
        self._limits = limits
        self._hsts = _hsts(settings)
        self._port = settings.port
        self._speaks_proxy_protocol = settings.proxy_protocol
        self._tell_master: Callable[[control.FromWorker], None] | None = None
        self._handoff = Handoff(loop)
        self._threads = HandlerThreads(
            loop, self._handoff, Slots(settings.threads), settings.threads_max, limits.queue
        )
        pen = Pen(lone_pages() if scoreboard is None else scoreboard.ledger[ordinal])
        self._tally = Tally(self._slot, pen, access_log)
        databases = Databases(
            loop, settings.database_clusters, f"skitai {settings.name}", self._tally.member
        )
        self._fanout = Fanout(
            loop, settings.http_clusters, self._threads.landed, databases, self._tally.member
        )
        self._fanout.stand(settings.standings)
        self._flights = Flights(
            loop,
            self._fanout,
            _store(loop, settings, self._handoff),
            self._handoff,
            self._threads.landed,
            self._threads.submit,
        )
        engine = WorkerEngine(loop, self._handoff, self._threads, self._flights, self._tell)
        self._apps = dict(apps)  # those imported anew take their places
        self._wasc = Wasc(
            engine,
            _server(settings),
            Sessions(Seal(settings.secure_keys), settings.session_timeout),
            settings.request_timeout,
        )
        self._wasc.starts_traces = settings.otel
        groups = {name: group.all for name, group in databases.groups.items()}
        clusters = {**self._fanout.clusters, **groups}
        caches = resources.AnswerCaches()
        resources.register(
            self._wasc,
            settings,
            self._threads,
            self._slot,
            self._apps,
            clusters,
            lambda: self._fanout.origins,
            self._flights,
            caches,
        )
        own = self._wasc.status().keys()
        start(self._apps, self._wasc)  # before the routes are read: apps add packages then
        mounts = Mounts(settings.routes, self._apps, self._tally.route)
        self._reverse_proxy: ReverseProxy | None = None
        if mounts.clusters:
            self._reverse_proxy = ReverseProxy(loop, settings, mounts, clusters)
            caches.stores = self._reverse_proxy.stores
        self._forward_proxy: ForwardProxy | None = None
        if settings.forwarding is not None:
            self._forward_proxy = ForwardProxy(loop, settings.forwarding, pseudonym(settings))
        self._dispatcher = Dispatcher(
            loop,
            settings,
            mounts,
            self._wasc,
            self._handoff,
            self._threads,
            looking(self._apps, mounts, self._wasc),
            self._reverse_proxy,
            self._forward_proxy,
            self._tally.route,
        )
        self._upload_directory = UploadDirectory(settings.upload_dir)
        self._uploads = Uploads(limits, self._upload_directory, self._handoff)
        self._proxies = Proxies(settings.trusted_proxies)
        proxies = (self._forward_proxy, self._reverse_proxy)
        passed_on = [each.sink for each in proxies if each is not None]
        self._choose_sink = Bodies(limits, self._uploads, passed_on).choose
        self._checks = Checks(
            loop,
            MemberTable() if scoreboard is None else scoreboard.members,
            settings.http_clusters,
            self._fanout.clusters,
            self._rank,
        )
        self._connections = Connections(loop, self._slot, settings.max_requests, self._tally)
        self._acceptors: list[Acceptor] = []
        self._overdue: Overdue | None = None
        self.desk = Desk(
            loop,
            settings,
            ordinal,
            self._tally,
            errors,
            Worker(
                VERSION,
                self._apps,
                mounts,
                clusters,
                self._flights.status,
                self.handlers,
                self.in_hand,
                lambda: {k: v for k, v in self._wasc.status().items() if k not in own},
            ),
            self._tell,
        )
        if scoreboard is not None:
            self._dispatcher.own = self.desk.pages(
                scoreboard, self._dispatcher.run, self._dispatcher.send
            )
            if self._reverse_proxy is not None:
                self._reverse_proxy.own = self._dispatcher.own
            self._wasc.whole_status = self.desk.whole_status
        if self._may_be_late(settings.request_timeout):
            self._overdue = Overdue(
                loop,
                settings.request_timeout,
                lambda: shortest(settings.request_timeout, self._apps.values()),
                settings.threads,
                self._connections,
                self._dispatcher.tasks,
            )

    async def prepare(self) -> None:
        """What is to be known before the first request."""
        await self._fanout.find_members()

    def stand(self, standings: list[Standing], *, is_forgiven: bool) -> None:
        """An operator has said something of members."""
        self._fanout.stand(standings, is_forgiven=is_forgiven)

    def members(self, cluster: str, start: int) -> tuple[int, list[MemberReport]]:
        """How many members a cluster has, and how a page of them is; 0 for an unknown cluster."""
        group = self._fanout.databases.groups.get(cluster)
        found = self._fanout.clusters.get(cluster) if group is None else group.all
        return reporting.page(found, start)

    def open(self, doors: Doors, tell_master: Callable[[control.FromWorker], None]) -> None:
        """Accept connections on bound and listening sockets.

        tell_master: called on the loop with what this worker or its apps want.
        """
        self._tell_master = tell_master
        self._connections.when_used_up = lambda: self._want_successor(
            "it has answered max_requests"
        )
        if self._overdue is not None:
            self._overdue.watch(self._want_successor)
        self._accept(doors.listener, self._connection, doors.tls)
        if doors.redirect is not None:
            self._accept(doors.redirect, self._redirected, None)
        self._checks.start()
        self.desk.start()
        self._upload_directory.sweep()

    def _accept(
        self,
        listener: socket.socket,
        protocol: Callable[[str], ClientConnection],
        tls: ssl.SSLContext | None,
    ) -> None:
        acceptor = Acceptor(
            self._loop,
            listener,
            protocol,
            tls,
            self._limits.header_timeout,
            self._connections,
            self._slot,
            self._siblings,
            self._is_proxy if self._speaks_proxy_protocol else None,
        )
        acceptor.open()
        self._acceptors.append(acceptor)

    def _may_be_late(self, request_timeout: float) -> bool:
        """Whether a request may take too long, now or when an app was imported anew."""
        apps = self._apps.values()
        has_time = shortest(request_timeout, apps) < math.inf
        return has_time or any(app.is_devel() for app in apps)

    def _is_proxy(self, address: str) -> bool:
        return self._proxies.speaking(address) is not None

    def _want_successor(self, reason: str) -> None:
        self._tell(control.WantRestart(reason))

    def _tell(self, record: control.FromWorker) -> None:
        if self._tell_master is not None:  # None: it does not serve yet
            self._tell_master(record)

    def _rank(self) -> int | None:
        """This worker's place among those that serve; None: it does not."""
        if self._scoreboard is None:
            return 0
        serving = self._scoreboard.serving()
        return next((i for i, slot in enumerate(serving) if slot is self._slot), None)

    def _siblings(self) -> list[Slot]:
        serving = self._scoreboard.serving() if self._scoreboard is not None else []
        return [slot for slot in serving if slot is not self._slot]

    def busy(self) -> int:
        """Connections with a request in hand."""
        return self._connections.busy()

    def handlers(self) -> Handlers:
        """What the handler threads are doing."""
        counts = self._threads.counts()
        return Handlers(counts.running, counts.parked, counts.queued)

    def clear_cache(self) -> None:
        """Forget all results that are kept."""
        self._flights.store.clear()

    def in_hand(self) -> list[InHand]:
        """Each with its age and what it is doing. From any thread."""
        return in_hand.records(self._connections.in_hand(), self._dispatcher.tasks)

    def requests_in_hand(self) -> str:
        """Each with its age and what it is doing, for the log. From any thread."""
        return in_hand.listing(self._connections.in_hand(), self._dispatcher.tasks)

    def drain(self, when_empty: Callable[[], None]) -> None:
        """Accept no more; close each connection when it is answered; then say so."""
        for acceptor in self._acceptors:
            acceptor.drain()
        self._connections.drain(when_empty)

    def send_away(self) -> None:
        """There is no time left: whoever waits for the beginning of an answer gets a 503."""
        for connection in self._connections.answering():
            request = connection.in_hand
            if request is not None and not connection.is_streaming:
                send_away(connection, request, "The server is leaving, and this took too long.")

    def close(self) -> None:
        """Close everything at once."""
        for acceptor in self._acceptors:
            acceptor.close()
        if self._overdue is not None:
            self._overdue.stop()
        self._checks.stop()
        self.desk.stop()
        self._dispatcher.cancel()
        self._flights.close()
        self._handoff.close()
        self._connections.abort()
        for proxy in (self._forward_proxy, self._reverse_proxy):
            if proxy is not None:
                proxy.close()

    def leave_nothing(self) -> None:
        """When all is closed: let the apps shut down, and remove what is on disk."""
        end(self._apps, self._wasc)
        self.desk.close()
        self._uploads.close()

    def _connection(self, client: str) -> ClientConnection:
        return ClientConnection(
            self._loop,
            self._dispatcher,
            self._connections,
            self._limits,
            self._choose_sink,
            self._proxies,
            self._hsts,
            client,
        )

    def _redirected(self, client: str) -> ClientConnection:
        """One of plain HTTP where https is spoken."""
        return ClientConnection(
            self._loop,
            ToHttps(self._port),
            self._connections,
            self._limits,
            self._choose_sink,
            self._proxies,
            client=client,
        )


def _hsts(settings: Settings) -> bytes:
    """The header line, b"" for none."""
    value = settings.tls.hsts if settings.tls else ""
    return f"Strict-Transport-Security: {value}\r\n".encode("ascii") if value else b""


def _store(loop: asyncio.AbstractEventLoop, settings: Settings, handoff: Handoff) -> Store:
    if settings.result_cache:
        return SharedStore(loop, settings.result_cache, settings.name, handoff)
    return Memory(settings.result_cache_entries, settings.result_cache_size)


def _server(settings: Settings) -> Server:
    is_tls = settings.tls is not None
    return Server(settings.name, settings.ip, settings.port, is_tls, VERSION)
