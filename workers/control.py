"""The records that cross the control pipe between the master and one worker.

The pipe is a SOCK_SEQPACKET pair, so one packet is one record and no framing is needed.
An empty read means that the other side is gone. Records are small (a traceback is cut to
`TEXT_MAX`), so a send on the non-blocking socket either succeeds whole or the other side
has stopped reading, which is an error worth seeing.
"""

from __future__ import annotations

import socket

import msgspec

from .member_report import MemberReport
from .standing import Standing

PACKET_MAX = 65536
TEXT_MAX = 32768


class Ready(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: apps are imported, connections are being accepted."""


class BootFailed(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: an app does not import. The worker exits with `EXIT_BOOT_FAILED`."""

    reason: str  # the traceback, or one sentence


class WantRestart(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: `was.restart()` was called, or the worker wants to be replaced itself."""

    reason: str


class WantShutdown(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: `was.shutdown()` was called: stop the whole server."""


class Draining(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: `Retire` was received; so many requests are still in flight."""

    in_flight: int


class Members(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: the answer to `TellMembers`."""

    ticket: int
    total: int  # members that the cluster has; 0 if this worker has no such cluster
    members: list[MemberReport]  # `PAGE` at most


class Retire(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: accept no more, finish what is in flight, then leave with 0."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: close everything and leave now with 0."""


class ReopenLogs(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: the log files were moved away; write to new ones."""


class SetMembers(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: an operator has said something of these members."""

    standings: list[Standing]
    is_forgiven: bool = False  # their failures so far do not count any more


class TellMembers(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: how are the members of a cluster, from the one at `start` on?"""

    ticket: int
    cluster: str
    start: int


FromWorker = Ready | BootFailed | Draining | WantRestart | WantShutdown | Members
FromMaster = Retire | Stop | ReopenLogs | SetMembers | TellMembers

EXIT_CLEAN = 0
EXIT_BOOT_FAILED = 1

_encoder = msgspec.msgpack.Encoder()
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_from_master: msgspec.msgpack.Decoder[FromMaster] = msgspec.msgpack.Decoder(FromMaster)


def cut(text: str) -> str:
    """The end of a text, as much of it as a record may hold."""
    return text.encode("utf-8", "replace")[-TEXT_MAX:].decode("utf-8", "ignore")


def pair() -> tuple[socket.socket, socket.socket]:
    """The two non-blocking ends of a new control pipe: (master's, worker's)."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.setblocking(False)
    theirs.setblocking(False)
    return mine, theirs


def send(sock: socket.socket, record: FromWorker | FromMaster) -> None:
    """Send one record. Raises `BrokenPipeError` or `ConnectionResetError` if the peer is gone."""
    sock.send(_encoder.encode(record))


def receive_from_worker(sock: socket.socket) -> FromWorker | None:
    """The next record of a worker; None when it is gone. Raises `BlockingIOError` if none waits."""
    data = _receive(sock)
    return _from_worker.decode(data) if data else None


def receive_from_master(sock: socket.socket) -> FromMaster | None:
    """The next record of the master; None when it is gone. Raises `BlockingIOError` if none."""
    data = _receive(sock)
    return _from_master.decode(data) if data else None


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(PACKET_MAX)
    except ConnectionResetError:
        return b""
