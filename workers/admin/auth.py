"""Who may see the admin pages: Basic authentication (RFC 7617) with one user, and what it takes.

Runs on the loop. Rules and a small book of addresses that have failed; no I/O, and the clock is
handed in. In this order:

- An address outside `admin_allow` is refused, whatever it knows.
- So is plain HTTP from beyond this machine, unless `admin_insecure = yes`: a password that
  crosses a network in the clear is not secret any more. A request that came through a proxy which
  nobody trusts is from beyond, even if the proxy is on this machine.
- Who sends no password is asked for one, which is no failure: browsers begin like that.
- A wrong one is answered late, each time later. Until then nothing else from that address is
  looked at, not even the right password: a guess in parallel would come for free otherwise.

User and password are compared whole and in constant time, and nothing says which was wrong. The
book is this worker's own: each of the server's workers is as patient as the others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from ipaddress import ip_address, ip_network

import msgspec

from skitai.request import Request
from skitaid.workers.settings import Admin

USER = "admin"
FIRST_DELAY = 0.25  # seconds, for the first wrong password; doubled for each further one
LONGEST_DELAY = 4.0  # seconds; a thousand guesses take more than an hour
FORGOTTEN_AFTER = 600.0  # seconds without a wrong password
ADDRESSES_MAX = 4096  # that are remembered; then those go that were heard of the longest ago

CHALLENGE = ("WWW-Authenticate", 'Basic realm="Skitai", charset="UTF-8"')

_LOCAL = frozenset({"", "127.0.0.1", "::1"})  # "": a unix socket
_OF_PROXIES = (
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-real-ip",  # all that many a conf of nginx sets
    b"forwarded",
    b"via",
)


class Refused(msgspec.Struct, frozen=True):
    """What to answer, and after how many seconds. why: for the log; "" is not worth a line."""

    status: int
    detail: str  # for the client
    why: str = ""
    delay: float = 0.0
    fields: tuple[tuple[str, str], ...] = ()


class _Failures(msgspec.Struct):
    """Of one address."""

    count: int
    last: float
    free_at: float  # nothing is looked at until then


class Auth:
    """The book of one worker."""

    def __init__(self, settings: Admin) -> None:
        """settings: with a password."""
        self._expected = (_digest(USER.encode()), _digest(settings.password.encode()))
        self._networks = [ip_network(each) for each in settings.allow if each != "unix:"]
        self._is_everybody_allowed = not settings.allow
        self._is_unix_allowed = "unix:" in settings.allow
        self._is_insecure = settings.insecure
        self._failures: dict[str, _Failures] = {}  # by address, the last heard of is last

    def judge(self, request: Request, now: float) -> Refused | None:
        """Why a request is refused; None: it may. now: monotonic."""
        address = request.caller.address
        if not self._is_allowed(address):
            return Refused(403, "This address is not let in.", "its address is not in admin_allow")
        if not (self._is_insecure or self._is_private(request)):
            return Refused(403, _PLAIN, "it came over plain HTTP from beyond this machine")
        given = request.field(b"authorization")
        if given is None:
            return Refused(401, "User and password, please.", fields=(CHALLENGE,))
        known = self._failures.get(_place(address))
        if known is not None and now < known.free_at:
            wait = max(1, round(known.free_at - now + 0.5))
            return Refused(429, "Too many tries.", fields=(("Retry-After", f"{wait}"),))
        if self._is_right(given):
            self._failures.pop(_place(address), None)
            return None
        return self._wrong(_place(address), now)

    def _is_allowed(self, address: str) -> bool:
        if self._is_everybody_allowed:
            return True
        if not address:
            return self._is_unix_allowed
        ip = ip_address(address)
        return any(ip in network for network in self._networks)

    def _is_private(self, request: Request) -> bool:
        """Whether nobody on the way can have read the password."""
        if request.caller.scheme == "https":
            return True
        is_local = (
            request.caller.address in _LOCAL or ip_address(request.caller.address).is_loopback
        )
        return is_local and not any(request.field(name) is not None for name in _OF_PROXIES)

    def _is_right(self, given: bytes) -> bool:
        user, password = _credentials(given)
        right_user = hmac.compare_digest(_digest(user), self._expected[0])
        right_password = hmac.compare_digest(_digest(password), self._expected[1])
        return right_user & right_password  # both are looked at, whatever the first one says

    def _wrong(self, place: str, now: float) -> Refused:
        known = self._failures.pop(place, None)
        count = 1 if known is None or now - known.last > FORGOTTEN_AFTER else known.count + 1
        delay = min(FIRST_DELAY * 2.0 ** min(count - 1, 10), LONGEST_DELAY)
        if len(self._failures) >= ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]
        self._failures[place] = _Failures(count, now, now + delay)
        why = f"wrong user or password, for the {count}. time in a row"
        return Refused(401, "Wrong user or password.", why, delay, (CHALLENGE,))


_PLAIN = (
    "The admin pages are served over HTTPS, or to this machine. Behind a proxy of yours, name it in"
    " trusted_proxies; admin_insecure = yes turns this off."
)


def _place(address: str) -> str:
    """Where failures are noted. Whoever has one IPv6 address has 2**64 (RFC 6177)."""
    return f"{ip_network((address, 64), strict=False)}" if ":" in address else address


def _digest(value: bytes) -> bytes:
    """Of one length whatever the value's, which compare_digest would tell."""
    return hashlib.sha256(value).digest()


def _credentials(given: bytes) -> tuple[bytes, bytes]:
    """(user, password) of an Authorization field; empty ones for what is no Basic credentials."""
    scheme, _, token = given.partition(b" ")
    if scheme.lower() != b"basic":
        return b"", b""
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).partition(b":")
    except binascii.Error:
        return b"", b""
    return (user, password) if colon else (b"", b"")
