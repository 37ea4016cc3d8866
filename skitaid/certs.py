"""`[certification]`: are the files there, and do they open?

Loading them is the only sure test, so this file loads them, and then says in plain words what
OpenSSL says in its own. It never asks for a passphrase: a server has nobody to ask.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from skitaid.conf_keys import Values
from skitaid.errors import Complaints
from skitaid.workers import settings as worker


def read(values: Values, directory: Path, complaints: Complaints) -> worker.Tls:
    """The files of `[certification]`; relative names are looked up in `directory`.

    The caller has seen to it that `certfile` is not empty.
    """
    tls = worker.Tls(
        certfile=str(directory / values["certfile"]),
        cafile=str(directory / values["cafile"]) if values["cafile"] else "",
        passphrase=values["passphrase"],
    )
    for key, check in (("certfile", _check_certificate), ("cafile", _check_authorities)):
        try:
            check(tls)
        except (ValueError, OSError) as error:  # ssl.SSLError is an OSError
            complaints.add(values.line_of(key), f"{key}: {_in_plain_words(error)}")
    return tls


def _check_certificate(tls: worker.Tls) -> None:
    pem = _content(tls.certfile)
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(f"{tls.certfile} holds no certificate in PEM form")
    if b"PRIVATE KEY-----" not in pem:
        raise ValueError(f"{tls.certfile} holds no private key; append it to the certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A callable keeps OpenSSL from prompting on the terminal when there is no passphrase.
        context.load_cert_chain(tls.certfile, password=lambda: tls.passphrase)
    except ssl.SSLError as error:
        if error.reason != "KEY_VALUES_MISMATCH" and b"ENCRYPTED" in pem:
            fault = "does not open" if tls.passphrase else "is needed for"
            raise ValueError(f"passphrase {fault} the private key in {tls.certfile}") from None
        raise


def _check_authorities(tls: worker.Tls) -> None:
    if tls.cafile:
        _content(tls.cafile)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(tls.cafile)


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
