"""The TLS side of a listener: TLS 1.2 and newer, with the ciphers that OpenSSL calls secure."""

from __future__ import annotations

import ssl

from skitaid.workers.settings import Tls


def server_context(tls: Tls) -> ssl.SSLContext:
    """The context for `[certification]`. Raises ssl.SSLError or OSError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certfile, password=lambda: tls.passphrase)
    if tls.cafile:  # completes the chain that is sent, up to an authority that clients know
        context.load_verify_locations(tls.cafile)
    context.set_alpn_protocols(["http/1.1"])
    return context
