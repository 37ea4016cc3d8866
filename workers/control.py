"""The records that cross the control pipe between the master and one worker.

The pipe is a SOCK_SEQPACKET pair, so one packet is one record and no framing is needed.
An empty read means that the other side is gone. Records are small (a traceback is cut to
`TEXT_MAX`), so a send on the non-blocking socket either succeeds whole or the other side
has stopped reading, which is an error worth seeing.

What is not small, an answer to a question, is written to a memfd, and its descriptor goes with the
record (unix(7), SCM_RIGHTS). So the master passes on what it never reads, and no pipe is full of
it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from .member_report import MemberReport
from .standing import Standing, State

PACKET_MAX = 65536
TEXT_MAX = 32768
BY_SIGNAL = 0  # in place of the number of a survey
DESCRIPTORS_MAX = 250  # with one packet; the kernel's SCM_MAX_FD is 253


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


class Wish(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: an operator at the status page wants something done with the server."""

    what: Literal["reload", "restart", "stop", "more", "fewer", "clear"]
    who: str  # for the log: "admin from 10.0.0.7"


class WishForMember(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: an operator at the status page wants to change a member."""

    cluster: str  # without the @
    node: str
    state: State
    who: str  # as of `Wish`


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


class ClearCache(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: forget all results that are kept."""


class SetMembers(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: an operator has said something of these members."""

    standings: list[Standing]
    is_forgiven: bool = False  # their failures so far do not count any more


class TellMembers(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: how are the members of a cluster, from the one at `start` on?"""

    ticket: int
    cluster: str
    start: int


class Report(msgspec.Struct, tag=True, frozen=True):
    """What does the worker know that is not in shared memory? Answered with `admin.report`."""


class InHand(msgspec.Struct, tag=True, frozen=True):
    """Which requests has it in hand? Answered with `admin.document.InFlight` records."""


class Stacks(msgspec.Struct, tag=True, frozen=True):
    """Where is each of its threads? Answered with text, also by one whose loop hangs."""


Question = Report | InHand | Stacks


class Ask(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: ask all workers this. Answered with `Answers`."""

    ticket: int  # the worker's own, given back with the answer
    question: Question


class Inquire(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: somebody asks this. Answered with `Told`."""

    survey: int
    question: Question


class Told(msgspec.Struct, tag=True, frozen=True):
    """Worker to master: the answer is in the descriptor that comes with this.

    survey: `BY_SIGNAL` for stacks, which are asked for by a signal.
    """

    survey: int


class WorkerFacts(msgspec.Struct, frozen=True):
    """What the master knows of one of its workers."""

    ordinal: int
    pid: int
    state: str  # "booting", "ready", "retiring" or "stopping"
    age: float  # seconds since its fork
    generation: int


class Facts(msgspec.Struct, frozen=True):
    """What the master knows of its server. Times are Unix times."""

    pid: int
    address: str
    state: str  # "starting", "serving" or "stopping"
    started: float
    processes: int
    generation: int
    crashes: int
    last_error: str
    last_error_at: float | None
    last_change_at: float | None  # of the last reload or restart; None: there was none
    last_change_error: str
    workers: list[WorkerFacts]


class Answers(msgspec.Struct, tag=True, frozen=True):
    """Master to worker: what all have answered, in descriptors that come with this.

    told: the ordinals of those who have, in the order of the descriptors. silent: of those who have
    not in time. is_last: False if there were more answers than one packet can carry.
    """

    ticket: int
    facts: Facts
    told: list[int]
    silent: list[int]
    is_last: bool = True


FromWorker = (
    Ready
    | BootFailed
    | Draining
    | WantRestart
    | WantShutdown
    | Wish
    | WishForMember
    | Members
    | Ask
    | Told
)
FromMaster = Retire | Stop | ReopenLogs | ClearCache | SetMembers | TellMembers | Inquire | Answers

EXIT_CLEAN = 0
EXIT_BOOT_FAILED = 1

_encoder = msgspec.msgpack.Encoder()
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_from_master: msgspec.msgpack.Decoder[FromMaster] = msgspec.msgpack.Decoder(FromMaster)


def cut(text: str, size: int = TEXT_MAX) -> str:
    """The end of a text, as much of it as a record may hold. size: bytes."""
    return text.encode("utf-8", "replace")[-size:].decode("utf-8", "ignore")


def pair() -> tuple[socket.socket, socket.socket]:
    """The two non-blocking ends of a new control pipe: (master's, worker's)."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.setblocking(False)
    theirs.setblocking(False)
    return mine, theirs


def send(
    sock: socket.socket, record: FromWorker | FromMaster, descriptors: Sequence[int] = ()
) -> None:
    """Send one record. Raises `BrokenPipeError` or `ConnectionResetError` if the peer is gone.

    descriptors: `DESCRIPTORS_MAX` at most; they stay open here.
    """
    data = _encoder.encode(record)
    if descriptors:
        socket.send_fds(sock, [data], list(descriptors))
    else:
        sock.send(data)


def receive_from_worker(
    sock: socket.socket, descriptors: list[int] | None = None
) -> FromWorker | None:
    """The next record of a worker; None when it is gone. Raises `BlockingIOError` if none waits.

    descriptors: those that come with it are put there, for the caller to close.
    """
    data = _receive(sock, descriptors)
    return _from_worker.decode(data) if data else None


def receive_from_master(
    sock: socket.socket, descriptors: list[int] | None = None
) -> FromMaster | None:
    """The next record of the master; None when it is gone. Raises `BlockingIOError` if none."""
    data = _receive(sock, descriptors)
    return _from_master.decode(data) if data else None


def _receive(sock: socket.socket, descriptors: list[int] | None) -> bytes:
    try:
        data, received, _, _ = socket.recv_fds(
            sock, PACKET_MAX, DESCRIPTORS_MAX, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return b""
    if descriptors is not None:
        descriptors += received
    else:
        close_all(received)
    return data


def write_down(data: bytes) -> int:
    """A descriptor of a new memfd that holds it."""
    descriptor = os.memfd_create("skitaid-answer")
    with open(descriptor, "wb", closefd=False) as memory:
        memory.write(data)
    return descriptor


def read_all(descriptor: int) -> bytes:
    """What is in it, wherever others may have read it up to."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def close_all(descriptors: Iterable[int]) -> None:
    """They were not wanted, or are read."""
    for descriptor in descriptors:
        os.close(descriptor)
