"""Certificates of `[certification]` and of clusters: are the files there, and do they open?

Loading them is the only sure test, so this file loads them, and then says in plain words what
OpenSSL says in its own. It never asks for a passphrase: a server has nobody to ask.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

from skitaid.conf_keys import Values
from skitaid.errors import Complaints
from skitaid.workers import settings as worker


def read(values: Values, directory: Path, complaints: Complaints) -> worker.Tls:
    """The files of `[certification]`; relative names are looked up in `directory`.

    The caller has seen to it that `certfile` is not empty.
    """
    certfile, cafile = _files(values, directory, complaints)
    return worker.Tls(certfile, cafile, values["passphrase"])


def of_members(values: Values, directory: Path, complaints: Complaints) -> worker.ClientTls:
    """The same of a cluster, where none of them has to be there."""
    certfile, cafile = _files(values, directory, complaints)
    return worker.ClientTls(cafile, certfile, values["passphrase"], values["verify"])


def _files(values: Values, directory: Path, complaints: Complaints) -> tuple[str, str]:
    """(certfile, cafile), absolute; "" for one that is not written."""

    def file_of(key: str, check: Callable[[str], None]) -> str:
        file = str(directory / values[key]) if values[key] else ""
        try:
            if file:
                check(file)
        except (ValueError, OSError) as error:  # ssl.SSLError is an OSError
            complaints.add(values.line_of(key), f"{key}: {_in_plain_words(error)}")
        return file

    opens = partial(_check_certificate, passphrase=values["passphrase"])
    return file_of("certfile", opens), file_of("cafile", _check_authorities)


def _check_certificate(certfile: str, passphrase: str) -> None:
    pem = _content(certfile)
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(f"{certfile} holds no certificate in PEM form")
    if b"PRIVATE KEY-----" not in pem:
        raise ValueError(f"{certfile} holds no private key; append it to the certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A callable keeps OpenSSL from prompting on the terminal when there is no passphrase.
        context.load_cert_chain(certfile, password=lambda: passphrase)
    except ssl.SSLError as error:
        if error.reason != "KEY_VALUES_MISMATCH" and b"ENCRYPTED" in pem:
            fault = "does not open" if passphrase else "is needed for"
            raise ValueError(f"passphrase {fault} the private key in {certfile}") from None
        raise


def _check_authorities(cafile: str) -> None:
    _content(cafile)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cafile)


def _content(file: str) -> bytes:
    """Raises `OSError` with what went wrong and on which file."""
    return Path(file).read_bytes()


def _in_plain_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "its private key belongs to another certificate"
        return f"OpenSSL cannot read it ({error.reason or error})"
    if isinstance(error, OSError):
        return f"{error.filename} cannot be read: {error.strerror}"
    return str(error)
