"""What workers are forked with, by generation, and the listening sockets that they share.

A socket is bound once, for the first generation that has its address, and stays for all later
ones that have it too. The master's own copy is closed with the last generation that may still
fork workers for it; workers that drain have copies of their own. While one generation
takes the place of another, the addresses of two sockets may overlap (`overlap`).
"""

from __future__ import annotations

import logging
import socket
from itertools import chain

import msgspec
from msgspec import field

from skitaid.supervisor.listeners import CannotListen, let_go, listen
from skitaid.supervisor.overlap import mute, unshare
from skitaid.supervisor.privileges import hand_over_logs
from skitaid.supervisor.settings import Settings
from skitaid.supervisor.spawn import Closeable, Nursery, RunWorker
from skitaid.workers.doors import Doors
from skitaid.workers.scoreboard import Scoreboard
from skitaid.workers.web.tls import server_context

Address = tuple[str, int]

log = logging.getLogger(__name__)


class Nurseries(msgspec.Struct):
    """Of one master."""

    run_worker: RunWorker
    scoreboard: Scoreboard
    _listeners: dict[Address, socket.socket] = field(default_factory=dict)
    _nurseries: dict[int, Nursery] = field(default_factory=dict)
    _addresses: dict[int, tuple[Address, ...]] = field(default_factory=dict)

    def __getitem__(self, generation: int) -> Nursery:
        return self._nurseries[generation]

    def adopt(self, ip: str, port: int, listener: socket.socket) -> None:
        """A socket that is bound already."""
        self._listeners[ip, port] = listener

    def listeners(self) -> dict[Address, socket.socket]:
        """All that are bound."""
        return dict(self._listeners)

    def bind(self, settings: Settings) -> None:
        """Have the sockets for these settings. Raises `CannotListen`."""
        try:
            for address in settings.addresses:
                if address not in self._listeners:
                    self._listeners[address] = listen(
                        *address,
                        self._of_port(address[1]),
                        settings.unix_mode,
                        settings.identity,
                    )
        except CannotListen:
            self.let_go()  # nobody would accept what comes to the other one
            raise

    def prepare(self, generation: int, settings: Settings) -> None:
        """Workers of this generation will be forked; its address is bound."""
        _hand_over_logs(settings)
        self._addresses[generation] = settings.addresses
        listener, *others = (self._listeners[address] for address in settings.addresses)
        tls = server_context(settings.worker.tls) if settings.worker.tls else None
        doors = Doors(listener, others[0] if others else None, tls)
        self._nurseries[generation] = Nursery(self.run_worker, settings, doors, self.scoreboard)

    def forget(self, generation: int) -> None:
        """No more workers of it; addresses that nobody needs any more are let go.

        To be called before its last worker is told to drain.
        """
        del self._nurseries[generation], self._addresses[generation]
        for ip, port in self._unneeded():
            if len(self._of_port(port)) > 1:
                mute(self._listeners[ip, port])
        self.let_go()
        if len(self._listeners) == 1:
            unshare(self._listeners.values())

    def let_go(self) -> None:
        """Close the sockets of addresses that no generation has."""
        for address in self._unneeded():
            let_go(address[0])
            self._listeners.pop(address).close()

    def not_inherited(self, generation: int) -> list[Closeable]:
        """What a worker of this generation does not need: the sockets of other addresses."""
        mine = self._addresses[generation]
        return [sock for address, sock in self._listeners.items() if address not in mine]

    def _unneeded(self) -> set[Address]:
        return self._listeners.keys() - set(chain.from_iterable(self._addresses.values()))

    def _of_port(self, port: int) -> list[socket.socket]:
        """Those that may overlap; a file has no port, and overlaps with nothing."""
        return [sock for (_, other), sock in self._listeners.items() if other == port != 0]

    def close(self) -> None:
        """The server ends. Workers that drain have copies of their own."""
        while self._listeners:
            (ip, _), listener = self._listeners.popitem()
            let_go(ip)
            listener.close()


def _hand_over_logs(settings: Settings) -> None:
    """Nothing about logs, not even a disk that has become read-only, ends a server."""
    try:
        hand_over_logs(settings.identity, settings.worker.logs.directory)
    except OSError as error:
        log.error("the logs cannot be given to who writes them: %s", error)
