"""Clients of HTTPS for tests, and certificates of an authority of their own."""

from __future__ import annotations

import datetime
import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import trustme
from served import Reply
from waits import PATIENCE


def write_pem(file: Path, issued: trustme.LeafCert) -> None:
    """Certificate, what stands between it and the root, and the key, in one file."""
    issued.private_key_and_cert_chain_pem.write_to_path(str(file))


def in_days(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client that believes this authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def dial(
    port: int,
    context: ssl.SSLContext,
    host: str = "localhost",
    session: ssl.SSLSession | None = None,
) -> ssl.SSLSocket:
    """A connection to a host by that name; the caller closes it."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    try:
        return context.wrap_socket(plain, server_hostname=host, session=session)
    except BaseException:
        plain.close()
        raise


def answer(
    stream: socket.socket, path: str = "/", method: str = "GET", fields: Mapping[str, str] = {}
) -> Reply:
    """One request on a connection that is there."""
    lines = {"Host": "localhost", **fields}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    stream.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
    response = http.client.HTTPResponse(stream, method=method)
    response.begin()
    with closing(response):
        return Reply(response.status, response.headers, response.read())


def fetch(port: int, context: ssl.SSLContext, path: str = "/", host: str = "localhost") -> Reply:
    """One request on a connection of its own."""
    with dial(port, context, host) as stream:
        return answer(stream, path, fields={"Host": f"[{host}]" if ":" in host else host})


def names_shown(port: int, context: ssl.SSLContext, host: str) -> set[str]:
    """The hosts of the certificate that a client gets who names this one, whatever it is for."""
    with dial(port, context, host) as stream:
        certificate = stream.getpeercert() or {}
    return {str(value) for _, value in certificate["subjectAltName"]}
