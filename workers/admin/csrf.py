"""Whether a form comes from a page of ours, and not from another site by an operator's browser.

A browser sends the password along with whatever form is sent here, from wherever. So a form carries
a token that only our pages know, and what the browser says of its origin must not contradict. Pure;
the clock is handed in.

The token is made of the server's securekeys, which all workers have, and of the password: one
of yesterday's password is worth nothing. It holds for half a day, or a whole one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from skitai.request import Request

LIFETIME = 12 * 3600.0  # seconds; one of the last such time is good too
_PURPOSE = b"skitai admin form 1"


class Tokens:
    """Of one server. keys: at least one; the first makes tokens, all know them."""

    def __init__(self, keys: Sequence[str], password: str) -> None:
        secret = hashlib.sha256(password.encode("utf-8", "surrogateescape")).digest()
        self._keys = [
            hmac.digest(key.encode("utf-8", "surrogateescape"), _PURPOSE + secret, "sha256")
            for key in keys
        ]

    def make(self, now: float) -> str:
        """For a form of ours. now: Unix time."""
        return _token(self._keys[0], int(now // LIFETIME))

    def is_good(self, token: str, now: float) -> bool:
        """Whether one of our forms has it; in constant time."""
        period = int(now // LIFETIME)
        given = token.encode("utf-8", "replace")
        good = [
            hmac.compare_digest(given, _token(key, each).encode())
            for key in self._keys
            for each in (period, period - 1)
        ]
        return any(good)


def _token(key: bytes, period: int) -> str:
    return hmac.digest(key, b"%d" % period, "sha256").hex()


def is_foreign(request: Request) -> bool:
    """Whether the browser says that another site has sent this.

    By Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/) and Origin (RFC 6454 section 7), if
    they are there. Of the origin only host and port are compared: behind a proxy the scheme is not
    always the one that the browser sees.
    """
    site = request.field(b"sec-fetch-site")
    if site is not None and site not in (b"same-origin", b"none"):
        return True
    origin = request.field(b"origin")
    if origin is None:
        return False
    scheme, _, host = origin.decode("latin-1").lower().partition("://")
    return _with_port(host, scheme) != _with_port(request.host.lower(), scheme)


def _with_port(host: str, scheme: str) -> str:
    has_port = host.rpartition(":")[2].isdigit() and not host.endswith("]")
    return host if has_port else f"{host}:{443 if scheme == 'https' else 80}"
