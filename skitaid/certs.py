"""Certificates of `[certification]` and of clusters: are the files there, and do they open?

Loading them is the only sure test, so this file loads them, and then says in plain words what
OpenSSL says in its own. It never asks for a passphrase: a server has nobody to ask.

Those of the server are read here for good. The master does it, so a key may be readable for root
alone; and a file that breaks later breaks no worker that is forked after that.

What reads X.509 is a fifth of all that a start imports, so it is imported by the first certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from skitaid.conf_keys import Values
from skitaid.errors import Complaints
from skitaid.workers import settings as worker
from skitaid.workers.web.tls import server_context

T = TypeVar("T")


def read(values: Values, directory: Path, hsts: str, complaints: Complaints) -> worker.Tls | None:
    """What `[certification]` names; relative names are looked up in `directory`.

    The caller has seen to it that there is a certfile. None if anything was wrong.
    """
    reading = _Reading(values, directory, complaints)
    certfiles = values["certfile"]
    keyfiles = values["keyfile"] or ("",) * len(certfiles)
    if len(keyfiles) != len(certfiles):
        there = f"{len(keyfiles)} for {len(certfiles)} in certfile"
        complaints.add(
            values.line_of("keyfile"), f"keyfile: each certfile has its own, not {there}"
        )
        return None
    authorities = reading.authorities("cafile")
    client_ca = reading.authorities("client_ca")
    if "client_cert" in values.lines and not values["client_ca"]:
        message = "client_cert: it has no effect without client_ca, which says whose are good"
        complaints.add(values.line_of("client_cert"), message)
    pairs = zip(certfiles, keyfiles, strict=True)
    certificates = [reading.certificate(*pair, authorities or "") for pair in pairs]
    good = tuple(each for each in certificates if each)
    if len(good) < len(certificates) or authorities is None or client_ca is None:
        return None
    return worker.Tls(good, client_ca, values["client_cert"] == "optional", hsts)


def of_members(values: Values, directory: Path, complaints: Complaints) -> worker.ClientTls:
    """The same of a cluster, where none of them has to be there."""
    reading = _Reading(values, directory, complaints)
    certfile = str(directory / values["certfile"]) if values["certfile"] else ""
    if certfile:
        reading.certificate(certfile, "", "")
    reading.authorities("cafile")
    cafile = str(directory / values["cafile"]) if values["cafile"] else ""
    return worker.ClientTls(cafile, certfile, values["passphrase"], values["verify"])


class _Reading:
    """The files of one section. What is wrong is complained about, and None is returned."""

    def __init__(self, values: Values, directory: Path, complaints: Complaints) -> None:
        self._values = values
        self._directory = directory
        self._complaints = complaints

    def certificate(
        self, certfile: str, keyfile: str, authorities: str
    ) -> worker.Certificate | None:
        """keyfile: "" for a key in certfile. authorities: PEM, for the chain."""
        key: str | None = ""
        if keyfile:
            key = self._told("keyfile", lambda: _key(self._directory / keyfile))
        if key is None:
            return None
        file, passphrase = self._directory / certfile, self._values["passphrase"]
        return self._told("certfile", lambda: _certificate(file, key, passphrase, authorities))

    def authorities(self, key: str) -> str | None:
        """The PEM that `key` names, "" for none."""
        if not self._values[key]:
            return ""
        return self._told(key, lambda: _authorities(self._directory / self._values[key]))

    def _told(self, key: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (ValueError, OSError) as error:  # ssl.SSLError is an OSError
            self._complaints.add(self._values.line_of(key), f"{key}: {_in_plain_words(error)}")
            return None


def _certificate(file: Path, key: str, passphrase: str, authorities: str) -> worker.Certificate:
    """key: "" if it is in the same file."""
    from skitaid import certificate  # noqa: PLC0415  # as the top of this file tells

    pem = _content(file)
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(f"{file} holds no certificate in PEM form")
    if not key and "PRIVATE KEY-----" not in pem:
        raise ValueError(f"{file} holds no private key; append it to the certificate")
    _check_opens(file, pem, key, passphrase)
    try:
        certificates = certificate.certificates_in(pem)
        names = certificate.names_of(certificates[0])
        chain = certificate.as_pem(
            certificate.chain_of(certificates, certificate.certificates_in(authorities))
        )
    except ValueError as error:
        raise ValueError(f"{file} holds a certificate that makes no sense: {error}") from None
    until = certificates[0].not_valid_after_utc.timestamp()
    return worker.Certificate(
        str(file), names, until, chain, key or certificate.key_in(pem), passphrase
    )


def _check_opens(file: Path, pem: str, key: str, passphrase: str) -> None:
    try:
        server_context(worker.Tls((worker.Certificate(str(file), (), 0.0, pem, key, passphrase),)))
    except ssl.SSLError as error:
        if error.reason != "KEY_VALUES_MISMATCH" and "ENCRYPTED" in (key or pem):
            fault = "does not open" if passphrase else "is needed for"
            raise ValueError(f"passphrase {fault} the private key in {file}") from None
        raise


def _key(file: Path) -> str:
    from skitaid import certificate  # noqa: PLC0415  # as the top of this file tells

    key = certificate.key_in(_content(file))
    if not key:
        raise ValueError(f"{file} holds no private key in PEM form")
    return key


def _authorities(file: Path) -> str:
    pem = _content(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cadata=pem)
    return pem


def _content(file: Path) -> str:
    """Raises `OSError` with what went wrong and on which file."""
    return file.read_text("latin-1")


def _in_plain_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "its private key belongs to another certificate"
        return f"OpenSSL cannot read it ({error.reason or error})"
    if isinstance(error, OSError):
        return f"{error.filename} cannot be read: {error.strerror}"
    return str(error)
