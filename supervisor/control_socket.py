"""The unix socket on which a running master or fleet is asked: one packet asks, one answers.

SOCK_SEQPACKET keeps packets whole, so there is no framing and no half request. Runs in the
main thread on the process' `Waiter` and never blocks it: a request becomes an event with a
ticket, the answer is sent when it is decided on, and a caller that does not read its answer
loses it. Only root and the user who runs the server are heard; others are hung up on.

The socket's file belongs to whoever holds the pid file next to it, who may replace a stale one.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

from skitaid.supervisor.control_records import Refused
from skitaid.supervisor.unix_path import short_path
from skitaid.supervisor.waiting import E, Waiter

Q = TypeVar("Q")

PACKET_MAX = 131072  # bytes; a status with a long traceback fits, the kernel's limit is above
CALLERS_MAX = 32  # open connections; beyond it the oldest is hung up on
PEER = struct.Struct("3i")  # pid, uid, gid

log = logging.getLogger(__name__)


class ControlSocket(Generic[Q, E]):
    """Requests of type `Q` come in as events of type `E`."""

    def __init__(
        self,
        path: str,
        waiter: Waiter[E],
        requests: msgspec.json.Decoder[Q],
        asked: Callable[[int, Q], E],
        listener: socket.socket | None = None,
        callers: Mapping[int, socket.socket] = MappingProxyType({}),
    ) -> None:
        """Bind `path`, unless `listener` is bound to it; `asked(ticket, request)` makes the event.

        `callers` are those whom the program before this one owes an answer, by ticket.
        """
        self._path = path
        self._waiter = waiter
        self._decoder = requests
        self._asked = asked
        self._callers: dict[int, socket.socket] = {}  # by ticket, oldest first
        self._tickets = 0
        self.listener = listener or _bind(path)
        waiter.watch(self.listener, self._accept)
        for ticket, caller in callers.items():
            self._welcome(ticket, caller)

    def callers(self) -> dict[int, int]:
        """The descriptors of those who are connected, by ticket."""
        return {ticket: caller.fileno() for ticket, caller in self._callers.items()}

    def answer(self, ticket: int, reply: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
        """Reply and hang up. A caller that has gone meanwhile is not missed.

        descriptors: go with it; 250 at most.
        """
        caller = self._callers.get(ticket)
        if caller is None:
            return
        try:
            _send(caller, reply, descriptors)
        except (BrokenPipeError, ConnectionResetError, BlockingIOError):
            pass  # it went away, or never reads: its loss
        self._hang_up(ticket)

    def tell(self, ticket: int, reply: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
        """Say something before the answer. A caller that does not read it misses it."""
        caller = self._callers.get(ticket)
        if caller is None:
            return
        try:
            _send(caller, reply, descriptors)
        except (BrokenPipeError, ConnectionResetError, BlockingIOError):
            pass  # it has gone, which its end of file tells, or reads later than we speak

    def remove(self) -> None:
        """The server ends: nobody shall find the socket any more."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # somebody has cleaned up behind our back
        self.close()

    def close(self) -> None:
        """Let go of all descriptors; all that a forked child may do."""
        self.listener.close()
        for caller in self._callers.values():
            caller.close()

    def _accept(self) -> list[E]:
        try:
            caller, _ = self.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # it changed its mind
            return []
        except OSError:
            # Out of descriptors or memory: whoever serves must not die of being asked. The
            # caller stays in the backlog until there is room, which we can only make here.
            if self._callers:
                self._hang_up(min(self._callers))
            return []
        caller.setblocking(False)
        if _may_ask(caller):
            self._welcome(self._tickets + 1, caller)
        else:
            caller.close()
        return []

    def _welcome(self, ticket: int, caller: socket.socket) -> None:
        if len(self._callers) >= CALLERS_MAX:
            self._hang_up(min(self._callers))
        self._tickets = max(self._tickets, ticket)
        self._callers[ticket] = caller
        self._waiter.watch(caller, lambda: self._read(ticket))

    def _read(self, ticket: int) -> list[E]:
        try:
            packet = self._callers[ticket].recv(PACKET_MAX)
        except ConnectionResetError:
            packet = b""
        if not packet:
            self._hang_up(ticket)
            return []
        try:
            return [self._asked(ticket, self._decoder.decode(packet))]
        except msgspec.DecodeError as error:  # a caller of another version
            self.answer(ticket, Refused(f"this request is not understood: {error}"))
            return []

    def _hang_up(self, ticket: int) -> None:
        caller = self._callers.pop(ticket)
        self._waiter.forget(caller)
        caller.close()


def _send(caller: socket.socket, reply: msgspec.Struct, descriptors: Sequence[int]) -> None:
    data = msgspec.json.encode(reply)
    if descriptors:
        socket.send_fds(caller, [data], list(descriptors))
    else:
        caller.send(data)


def _bind(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        os.unlink(path)
    except FileNotFoundError:  # the usual case: nothing stale
        pass
    os.fchmod(listener.fileno(), 0o600)  # on Linux the file is created with the socket's mode
    with short_path(path) as short:
        listener.bind(short)
    listener.listen()
    listener.setblocking(False)
    return listener


def _may_ask(caller: socket.socket) -> bool:
    """File modes of sockets are not honoured everywhere and change; the kernel's word stands."""
    peer = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    pid, uid, _ = PEER.unpack(peer)
    if uid in (0, os.geteuid()):
        return True
    log.warning("refused a control request of pid %d, which belongs to user id %d", pid, uid)
    return False
