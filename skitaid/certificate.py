"""What a file of certificates says: for which names, until when, issued by whom. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
_KEY = re.compile(
    r"-----BEGIN (?P<kind>(?:[A-Z]+ )*PRIVATE KEY)-----.*?-----END (?P=kind)-----\n?", re.DOTALL
)


def certificates_in(pem: str) -> list[x509.Certificate]:
    """All in a PEM, in their order. Raises ValueError for one that is broken."""
    return [x509.load_pem_x509_certificate(each.encode()) for each in _CERTIFICATE.findall(pem)]


def key_in(pem: str) -> str:
    """The first private key in a PEM, as it stands there; "" for none."""
    found = _KEY.search(pem)
    return found[0] if found else ""


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The hosts that it is for, lower case: its alternative names (RFC 6125), as its common name
    is read by nobody any more but where there are none.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(each.value).lower() for each in common)
    hosts = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*(host.lower() for host in hosts), *(str(address) for address in addresses))


def chain_of(
    certificates: Sequence[x509.Certificate], authorities: Iterable[x509.Certificate]
) -> list[x509.Certificate]:
    """What a server sends: its certificate with those that stand behind it, completed by their
    issuers among the authorities. Not by the root: who verifies must have that one already.
    """
    chain = list(certificates)
    left = list(authorities)
    while issuer := next((each for each in left if _has_issued(each, chain[-1])), None):
        if issuer.issuer == issuer.subject:
            break
        left.remove(issuer)
        chain.append(issuer)
    return chain


def as_pem(certificates: Iterable[x509.Certificate]) -> str:
    """One text of all."""
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in certificates)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
