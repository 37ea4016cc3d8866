"""`was.cookie`: what the client sent, and what it is told to keep.

One per request, used by that request's handler alone. Rules of RFC 6265.

A value may be any text. What cannot stand in a cookie (section 4.1.1), and the percent sign, is
sent percent-encoded as UTF-8, as encodeURIComponent of JavaScript does, and decoded when it comes
back. Values of others are decoded likewise; those that are not percent-encoded UTF-8 are given
as they came.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

SESSION = "SESSION"  # the cookie of was.session, which was.cookie does not show
LONGEST = 400 * 24 * 3600  # seconds; browsers keep nothing longer (RFC 6265bis section 5.5)

Expires = float | datetime | Literal["now", "never"] | None
SameSite = Literal["Lax", "Strict", "None"] | None

_BLANKS = " \t"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NAME = re.compile(r"[!-:<>-~]+")  # what others call theirs, such as cart[1]
_ATTRIBUTE = re.compile(r"[ -:<-~]*")
_OCTETS = "!#$&'()*+-./:<=>?@[]^_`{|}~"  # besides letters and digits, which quote() keeps
_SAME_SITE = ("Lax", "Strict", "None", None)


class Cookies(MutableMapping[str, str]):
    """Cookies by name: a dict whose changes are sent with the response.

        was.cookie.set("username", username, expires=7 * 24 * 3600)
        was.cookie.get("username")

    What is set is visible at once. Of several cookies of one name the client's first counts,
    which has the longest path (section 5.4). `del` of one that is not there is fine.
    """

    __slots__ = ("_is_secure", "_lines", "_values")

    def __init__(self, header: str | None, is_secure: bool) -> None:
        """header: the request's Cookie field. is_secure: the client has come by TLS."""
        self._is_secure = is_secure
        self._values: dict[str, str] = {}
        self._lines: dict[tuple[str, str, str | None], str] = {}  # by name, path and domain
        for name, value in pairs(header or ""):
            if name != SESSION and name not in self._values and _NAME.fullmatch(name):
                self._values[name] = _decoded(value)

    def set(
        self,
        name: str,
        value: str = "",
        expires: Expires = None,
        path: str = "/",
        domain: str | None = None,
        *,
        max_age: float | None = None,
        secure: bool | None = None,
        httponly: bool = True,
        samesite: SameSite = "Lax",
    ) -> None:
        """Have the client keep a cookie; one of the same name, path and domain is replaced.

        expires: seconds from now, a datetime (UTC if it does not say), "never" (400 days, as
            long as browsers keep any), "now" or 0 to delete it; None: until the browser is closed.
        max_age: seconds from now as well; it counts if both are given.
        domain: also sent to all hosts below it; None: to this host only.
        secure: sent back by TLS only; None: if this request came by TLS.
        httponly: scripts in the page cannot read it.
        samesite: "Lax": not sent with what other sites load or post; "Strict": nor when a link
            there leads here; "None": always, which wants secure; None: as the browser likes.
        Raises TypeError for a value that is not a str, ValueError for a name that is not a token,
        a path or domain that holds a control character or a semicolon, or SameSite=None that is
        not secure.
        """
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"cookie name {name!r} is not a token (RFC 6265 section 4.1.1)")
        if not isinstance(value, str):
            raise TypeError(f"cookie {name}: the value is a {type(value).__name__}; give a str")
        if max_age is not None:
            expires = max_age
        self._set(name, value, expires, path, domain, secure, httponly, samesite)

    def remove(self, name: str, path: str = "/", domain: str | None = None) -> None:
        """Have the client forget a cookie. Path and domain must be those it was set with."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"cookie name {name!r}: no cookie can have it")
        self._set(name, "", "now", path, domain)

    def _set(
        self,
        name: str,
        value: str,
        expires: Expires,
        path: str,
        domain: str | None,
        secure: bool | None = None,
        httponly: bool = True,
        samesite: SameSite = "Lax",
    ) -> None:
        if name == SESSION:
            raise ValueError(f"the cookie {SESSION} is the session's; write was.session[...]")
        now = time.time()
        seconds = lifetime(expires, now)
        if secure is None:
            secure = self._is_secure
        encoded = "" if seconds == 0 else quote(value, _OCTETS, errors="surrogatepass")
        self._lines[name, path, domain] = line(
            name, encoded, seconds, now, path, domain, secure, httponly, samesite
        )
        if seconds == 0:
            self._values.pop(name, None)
        else:
            self._values[name] = value

    def has_key(self, name: str) -> bool:
        """Whether there is a cookie of this name."""
        return name in self._values

    def fields(self) -> list[tuple[str, str]]:
        """The header fields that tell the client of all changes; [] if there is none."""
        return [("Set-Cookie", each) for each in self._lines.values()]

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.remove(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def pairs(header: str) -> Iterator[tuple[str, str]]:
    """Names and values of a Cookie field, undecoded; a name without `=` has the value ""."""
    for piece in header.split(";"):
        name, _, value = piece.partition("=")
        yield name.strip(_BLANKS), value.strip(_BLANKS)


def line(
    name: str,
    value: str,
    seconds: int | None,
    now: float,
    path: str = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = True,
    samesite: SameSite = "Lax",
) -> str:
    """The text of a Set-Cookie field (section 4.1). Name and value must be fit for it.

    seconds: as `lifetime` gives it; sent as Expires for people, and as Max-Age, which clients
    with a wrong clock get right. Raises ValueError for an attribute that cannot be sent.
    """
    for what, text in (("path", path), ("domain", domain)):
        if text is not None and not _ATTRIBUTE.fullmatch(text):
            raise ValueError(
                f"cookie {name}: {what} {text!r} holds a semicolon, a line break or another"
                " character that is not printable ASCII"
            )
    if samesite not in _SAME_SITE:
        raise ValueError(
            f"cookie {name}: samesite is {samesite!r}; give 'Lax', 'Strict', 'None' or None"
        )
    if samesite == "None" and not secure:
        raise ValueError(
            f"cookie {name}: browsers drop SameSite=None without Secure; serve it by TLS, or"
            " write secure=True if a proxy in front does"
        )
    pieces = [f"{name}={value}", f"Path={path}"]
    if domain is not None:
        pieces.append(f"Domain={domain}")
    if seconds is not None:
        moment = round(now + seconds) if seconds else 0
        pieces += [f"Expires={formatdate(moment, usegmt=True)}", f"Max-Age={seconds}"]
    if secure:
        pieces.append("Secure")
    if httponly:
        pieces.append("HttpOnly")
    if samesite is not None:
        pieces.append(f"SameSite={samesite}")
    return "; ".join(pieces)


def lifetime(expires: Expires, now: float) -> int | None:
    """Whole seconds from now, 0 to `LONGEST`; None for as long as the browser runs.

    Raises ValueError for what is not `Expires`.
    """
    match expires:
        case None:
            return None
        case "never":
            return LONGEST
        case "now":
            return 0
        case datetime():
            aware = expires if expires.tzinfo else expires.replace(tzinfo=UTC)
            seconds = aware.timestamp() - now
        case int() | float():
            seconds = expires
        case _:
            raise ValueError(
                f'expires is {expires!r}; give seconds from now, a datetime, "never" or "now"'
            )
    return round(max(0, min(seconds, LONGEST)))


def _decoded(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':  # section 4.1.1 allows a pair around it
        value = value[1:-1]
    if "%" not in value and value.isascii():
        return value
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return value
