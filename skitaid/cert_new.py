"""`skitaid cert new`: a private authority, and certificates that it issues for servers.

For machines among themselves and for trying things out: browsers believe such a certificate when
the authority, ca.pem, was added to those that they know. What is in the directory and is not ours
stays.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from skitaid import conf_values
from skitaid.certificate import as_pem, certificates_in
from skitaid.errors import SkitaidError

DAYS_OF_AUTHORITY = 3650
BACKDATED = datetime.timedelta(hours=1)  # for clients whose clocks are slow


class Made(msgspec.Struct, frozen=True):
    """authority: the file that clients are to believe, and whether it is a new one."""

    file: Path
    authority: Path
    is_new_authority: bool


class _Authority(msgspec.Struct, frozen=True):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new(directory: Path, names: Sequence[str], days: int) -> Made:
    """A certificate for hosts, with its key in one file that is named after the first of them.

    One of the same authority is replaced, at once, so that a server can be reloaded at any time.
    Raises `SkitaidError`.
    """
    hosts = [_host(name) for name in names]
    file = directory / f"{_file_name(names[0])}.pem"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        authority, is_new = _authority(directory)
        _check_ours(file, authority.certificate)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(authority, key, names[0], hosts, days)
        _write(file, as_pem([certificate]) + _key_pem(key), 0o600)
    except OSError as error:
        raise SkitaidError(f"{error.filename} cannot be written: {error.strerror}") from None
    return Made(file, directory / "ca.pem", is_new)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        conf_values.host(name.removeprefix("*."))
    except ValueError as error:
        raise SkitaidError(f"no certificate can be for that: {error}") from None
    return x509.DNSName(name.lower())


def _file_name(name: str) -> str:
    return name.lower().replace("*", "any").replace(":", "_")


def _authority(directory: Path) -> tuple[_Authority, bool]:
    """The one that is there, or a new one and True."""
    file, key_file = directory / "ca.pem", directory / "ca.key"
    if file.exists() and key_file.exists():
        return _read_authority(file, key_file), False
    if file.exists() or key_file.exists():
        there, missing = (file, key_file) if file.exists() else (key_file, file)
        raise SkitaidError(f"{there} is there without {missing}; is that an authority of yours?")
    made = _new_authority()
    _write(key_file, _key_pem(made.key), 0o600)
    _write(file, as_pem([made.certificate]), 0o644)
    return made, True


def _read_authority(file: Path, key_file: Path) -> _Authority:
    try:
        certificate = certificates_in(file.read_text("latin-1"))[0]
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (ValueError, TypeError, IndexError) as error:
        raise SkitaidError(f"{file} and {key_file} are no authority of ours: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SkitaidError(f"{key_file} is of another kind than the keys of our authorities")
    if key.public_key() != certificate.public_key():
        raise SkitaidError(f"{key_file} is not the key of {file}")
    return _Authority(certificate, key)


def _check_ours(file: Path, authority: x509.Certificate) -> None:
    if not file.exists():
        return
    try:
        certificates_in(file.read_text("latin-1"))[0].verify_directly_issued_by(authority)
    except Exception:  # whatever it is, it is not what may be replaced here
        raise SkitaidError(
            f"{file} was not made by this authority, so it stays; remove it, or name another host"
        ) from None


def _new_authority() -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Skitai private authority of {socket.gethostname()[:32]}")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(name, name, key, DAYS_OF_AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _Authority(certificate, key)


def _certificate(
    authority: _Authority,
    key: ec.EllipticCurvePrivateKey,
    name: str,
    hosts: list[x509.GeneralName],
    days: int,
) -> x509.Certificate:
    """RFC 5280 section 4.2; a common name is at most 64 characters, and read by nobody."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        _builder(_name(name[:64]), authority.certificate.subject, key, days)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(**used: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: used.get(name, False) for name in names})


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _write(file: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable for more than `mode` says."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "w") as new_file:
        new_file.write(text)
    os.replace(beside, file)
