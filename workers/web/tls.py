"""The TLS side of a listener: contexts for the certificates of a conf.

Contexts are made in the master, when it reads a conf and before it forks; workers use them. No file
is opened here, since OpenSSL is given what was read from them.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from skitai.caller import ClientCertificate
from skitaid.workers.settings import Certificate, Tls

# For TLS 1.2: forward secrecy, and encryption that authenticates (RFC 9325 section 4.2). Those of
# TLS 1.3 are all so.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

Choose = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]


def server_context(tls: Tls) -> ssl.SSLContext:
    """The context of a listener. Raises ssl.SSLError for what OpenSSL does not take."""
    first = _context(tls, tls.certificates[0])
    others = {
        name: context
        for certificate in reversed(tls.certificates[1:])
        for context in [_context(tls, certificate)]
        for name in certificate.names
    }
    if others:
        for name in tls.certificates[0].names:
            others.pop(name, None)
        first.sni_callback = _choice(others, tls.certificates[0].names)
    return first


def _choice(others: Mapping[str, ssl.SSLContext], first: Collection[str]) -> Choose:
    """What puts the context for a host in place of the first one; `first` is what that is for.

    It must not know the first context, which holds it.
    """

    def choose(tunnel: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
        name = name_for(host or "", first, others)
        if name in others:
            tunnel.context = others[name]

    return choose


def name_for(host: str, *certified: Collection[str]) -> str:
    """The name among those certified that a host goes by (RFC 6125 section 6.4): its own, or else
    that of all names at its place; "" for none.
    """
    host = host.lower().rstrip(".")
    candidates = (host, f"*.{host.partition('.')[2]}")
    return next((each for each in candidates if any(each in names for names in certified)), "")


def _context(tls: Tls, certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # A client that renegotiates (TLS 1.2) has us compute for it as often as it likes.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    with _as_file(certificate.chain + certificate.key) as file:
        # A callable keeps OpenSSL from prompting on the terminal when there is no passphrase.
        context.load_cert_chain(file, password=lambda: certificate.passphrase)
    if tls.client_ca:
        # Into a context that has them for this only: whoever is in the chain of our own
        # certificate may not vouch for clients.
        context.load_verify_locations(cadata=tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        if tls.is_client_cert_optional:
            context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_certificate(transport: asyncio.BaseTransport) -> ClientCertificate | None:
    """The one that the client has shown, which was verified in the handshake; None for none."""
    if not transport.get_extra_info("peercert"):
        return None
    from cryptography import x509  # noqa: PLC0415  # the master has, to read the authorities

    shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    certificate = x509.load_der_x509_certificate(shown)
    return ClientCertificate(
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        f"{certificate.serial_number:X}",
    )


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """OpenSSL, as Python has it, loads keys from files only; this one is in memory."""
    with open(os.memfd_create("skitaid-certificate", os.MFD_CLOEXEC), "w") as memory:
        memory.write(text)
        memory.flush()
        yield f"/proc/self/fd/{memory.fileno()}"
