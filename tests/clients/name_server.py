"""A name server on an address of its own: it answers for one name, over UDP, as it is told.

    with NameServer("search.test") as names:
        names.addresses = ["127.0.0.1", "127.0.0.2"]
        names.write_resolv_conf(path)

The system's resolver knows no other port than 53, so this takes an address of 127.0.0.0/8 that
nobody else has. Only root can.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from pathlib import Path
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL = 1  # seconds


class NameServer:
    """addresses: what the name stands for now; None: the server is out of order."""

    def __init__(self, name: str) -> None:
        self._name = f"{name}."
        self.addresses: list[str] | None = []
        self._socket = _bound()
        self._thread = threading.Thread(target=self._answer_all, name="name server", daemon=True)

    def write_resolv_conf(self, path: Path) -> None:
        """What makes a process ask us."""
        path.write_text(f"nameserver {self._socket.getsockname()[0]}\noptions timeout:1\n")

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _answer_all(self) -> None:
        while True:
            packet, client = self._socket.recvfrom(4096)
            if not packet:
                return
            with contextlib.suppress(OSError):  # who asked has gone
                self._socket.sendto(self._answer(packet), client)

    def _answer(self, packet: bytes) -> bytes:
        query = dns.message.from_wire(packet)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question, addresses = query.question[0], self.addresses
        if addresses is None:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif question.name.to_text() != self._name:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(self._name, TTL, "IN", "A", *addresses))
        return answer.to_wire()


def _bound() -> socket.socket:
    while True:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind((f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.53", 53))
        except OSError:  # somebody has it
            sock.close()
        else:
            return sock
