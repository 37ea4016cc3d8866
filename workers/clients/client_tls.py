"""The TLS side of asking: TLS 1.2 and newer, and certificates are verified.

A context takes milliseconds to make and is shared by all who want the same.
"""

from __future__ import annotations

import ssl

from skitaid.workers.settings import ClientTls


class Contexts:
    """One for each kind of trust; made when it is first wanted."""

    def __init__(self) -> None:
        self._contexts: dict[ClientTls, ssl.SSLContext] = {}

    def of(self, trust: ClientTls) -> ssl.SSLContext:
        """Raises ssl.SSLError or OSError for files that are not as they were at their check."""
        if trust not in self._contexts:
            self._contexts[trust] = client_context(trust)
        return self._contexts[trust]


def client_context(trust: ClientTls) -> ssl.SSLContext:
    """Raises ssl.SSLError or OSError."""
    context = ssl.create_default_context(cafile=trust.cafile or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.certfile:
        # A callable keeps OpenSSL from prompting on the terminal.
        context.load_cert_chain(trust.certfile, password=lambda: trust.passphrase)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
