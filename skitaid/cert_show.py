"""`skitaid cert show`: what is in a file of certificates, as people read it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from skitaid.certificate import certificates_in, key_in, names_of
from skitaid.errors import SkitaidError
from skitaid.supervisor.expiry import DAY


def show(file: Path) -> str:
    """Some lines for each certificate in the file, and one on its key. Raises `SkitaidError`."""
    try:
        pem = file.read_text("latin-1")
        certificates = certificates_in(pem)
    except OSError as error:
        raise SkitaidError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SkitaidError(f"{file} holds a certificate that makes no sense: {error}") from None
    if not certificates:
        raise SkitaidError(f"{file} holds no certificate in PEM form")
    blocks = ["\n".join(_lines(each)) for each in certificates]
    return "\n\n".join([*blocks, "private key: " + _key(key_in(pem))])


def _lines(certificate: x509.Certificate) -> Iterator[str]:
    yield f"certificate for {', '.join(names_of(certificate)) or 'no host'}"
    yield f"  subject      {certificate.subject.rfc4514_string()}"
    yield f"  issued by    {certificate.issuer.rfc4514_string()}"
    yield f"  from         {_date(certificate.not_valid_before_utc.timestamp())}"
    until = certificate.not_valid_after_utc.timestamp()
    left = until - time.time()
    days = f"{int(left // DAY)} days left" if left > 0 else "OVER"
    yield f"  until        {_date(until)}, {days}"
    yield f"  public key   {_kind(certificate)}"
    yield f"  SHA-256      {certificate.fingerprint(hashes.SHA256()).hex(':')}"


def _date(unix_time: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(unix_time))


def _kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA, {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC, {key.curve.name}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")


def _key(pem: str) -> str:
    if not pem:
        return "not in this file"
    return "in this file, encrypted" if "ENCRYPTED" in pem else "in this file"
