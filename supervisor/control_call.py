"""The asking side of a control socket. Blocks the caller, which is a command, never a server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from skitaid.supervisor.control_records import Inquire, Progress
from skitaid.supervisor.control_socket import PACKET_MAX
from skitaid.supervisor.unix_path import short_path
from skitaid.workers.control import DESCRIPTORS_MAX, Answers, Question, close_all, read_all

R = TypeVar("R")

_progress = msgspec.json.Decoder(Progress)
_answers = msgspec.json.Decoder(Answers)


class NoAnswer(Exception):
    """Nobody answers at the socket. The message is one sentence for the operator."""


def ask(
    path: str,
    request: msgspec.Struct,
    replies: msgspec.json.Decoder[R],
    timeout: float | None,
    told: Callable[[str], None] = lambda text: None,
) -> R:
    """Send one request, wait `timeout` seconds (None: as long as it takes) for its reply.

    `told` is called with each line of progress that comes before it. Raises `NoAnswer`.
    """
    with _connected(path, request, timeout) as sock:
        packet = _receive(sock, told)
    return _decoded(path, packet, replies)


def inquire(path: str, question: Question, timeout: float) -> tuple[Answers, dict[int, bytes]]:
    """What all workers of a server say to a question, by ordinal. Raises `NoAnswer`."""
    told: dict[int, bytes] = {}
    with _connected(path, Inquire(question), timeout) as sock:
        while True:
            packet, descriptors, _, _ = socket.recv_fds(
                sock, PACKET_MAX, DESCRIPTORS_MAX, socket.MSG_CMSG_CLOEXEC
            )
            data = [read_all(each) for each in descriptors]
            close_all(descriptors)
            answers = _decoded(path, packet, _answers)
            told.update(zip(answers.told, data, strict=True))
            if answers.is_last:
                return answers, told


@contextmanager
def _connected(
    path: str, request: msgspec.Struct, timeout: float | None
) -> Iterator[socket.socket]:
    """A connection on which something was asked. Raises `NoAnswer`, for its receiver too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(timeout)
        try:
            with short_path(path) as short:
                sock.connect(short)
            sock.send(msgspec.json.encode(request))
            yield sock
        except TimeoutError as error:
            raise NoAnswer(f"{path} gave no answer within {timeout:g} s") from error
        except OSError as error:
            raise NoAnswer(f"nobody answers at {path}: {error.strerror}") from error


def _decoded(path: str, packet: bytes, replies: msgspec.json.Decoder[R]) -> R:
    if not packet:
        raise NoAnswer(f"{path} was closed without an answer")
    try:
        return replies.decode(packet)
    except msgspec.DecodeError as error:
        raise NoAnswer(f"{path} answers as another version does: {error}") from error


def _receive(sock: socket.socket, told: Callable[[str], None]) -> bytes:
    """The answer, after all the progress that comes before it."""
    while True:
        packet = sock.recv(PACKET_MAX)
        try:
            told(_progress.decode(packet).text)
        except msgspec.DecodeError:  # it is the answer
            return packet
