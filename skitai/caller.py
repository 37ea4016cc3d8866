"""Who sends a request: as the connection shows it, or as trusted proxies say. Made on the loop."""

from __future__ import annotations

import msgspec


class ClientCertificate(msgspec.Struct, frozen=True):
    """What a client has shown, and an authority in `client_ca` has signed.

    subject, issuer: as of RFC 4514: "CN=alice,O=Example". serial: hexadecimal digits.
    """

    subject: str
    issuer: str
    serial: str


class Caller(msgspec.Struct, frozen=True):
    """The other end of a connection, or a client behind it.

    address: IP address, "" when there is none (a unix socket).
    scheme: "http" or "https".
    host: what the client has called, as a proxy says; "" means that the Host field says it.
    certificate: of the client itself, so not of one that a proxy speaks for.
    is_trusted: one of `trusted_proxies`, which speaks for nobody else: no client is behind it.
    """

    address: str
    scheme: str = "http"
    host: str = ""
    is_trusted: bool = False
    certificate: ClientCertificate | None = None
