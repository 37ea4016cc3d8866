"""The asking side of a control socket. Blocks the caller, which is a command, never a server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

import msgspec

from skitaid.supervisor.control_records import Progress
from skitaid.supervisor.control_socket import PACKET_MAX
from skitaid.supervisor.unix_path import short_path

R = TypeVar("R")

_progress = msgspec.json.Decoder(Progress)


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
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(timeout)
        try:
            with short_path(path) as short:
                sock.connect(short)
            sock.send(msgspec.json.encode(request))
            packet = _receive(sock, told)
        except TimeoutError as error:
            raise NoAnswer(f"{path} gave no answer within {timeout:g} s") from error
        except OSError as error:
            raise NoAnswer(f"nobody answers at {path}: {error.strerror}") from error
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
