"""When the certificate that clients are shown expires; read as a worker starts, like itself."""

from __future__ import annotations

import time

from cryptography import x509

from skitaid.workers.settings import Tls

from .document import Certificate


def certificates(tls: Tls | None) -> list[Certificate]:
    """That of `[certification]`. Raises OSError or ValueError, as loading it for TLS would."""
    if tls is None:
        return []
    with open(tls.certfile, "rb") as pem:
        shown = x509.load_pem_x509_certificates(pem.read())[0]
    not_after = shown.not_valid_after_utc.timestamp()
    return [Certificate(tls.certfile, _names(shown), not_after, not_after - time.time())]


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return [certificate.subject.rfc4514_string()]
    return [str(name.value) for name in extension.value]
