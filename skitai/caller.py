"""Who sends a request: as the connection shows it, or as trusted proxies say. Made on the loop."""

from __future__ import annotations

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """The other end of a connection, or a client behind it.

    address: IP address, "" when there is none (a unix socket).
    scheme: "http" or "https".
    host: what the client has called, as a proxy says; "" means that the Host field says it.
    is_trusted: one of `trusted_proxies`, which speaks for nobody else: no client is behind it.
    """

    address: str
    scheme: str = "http"
    host: str = ""
    is_trusted: bool = False
