"""How a value is written: one small function per type, text in, value out.

Each raises `ValueError` with the end of a sentence that begins with the key. Functions for
secrets never show what they were given.
"""

from __future__ import annotations

import grp
import ipaddress
import os
import pwd
import re
from collections.abc import Callable
from typing import Literal

from skitaid.workers import settings as worker
from skitaid.workers.clients import resp

SECRET_MIN = 6  # characters; the original's rule, far below the random keys that init writes

STICKY = "SKITAIMEMBER"  # the cookie of `sticky = yes`

_SHOWN_MAX = 60  # characters of a value in a message
_WHOLE = re.compile(r"[0-9]{1,15}")  # int() takes signs, blanks, underscores and more
_UNITS_OF_TIME = {"": 1, "s": 1, "m": 60, "h": 3600}
_UNITS_OF_SIZE = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh]?)")
_SIZE = re.compile(r"([0-9]{1,15})([kmg]?)", re.IGNORECASE)
_SWITCH = {
    **dict.fromkeys(("yes", "true", "on", "1"), True),
    **dict.fromkeys(("no", "false", "off", "0"), False),
}
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_UMASK = re.compile(r"0?[0-7]{3}")
_CHECK = re.compile(r"(/[!-~]*) +every +([!-~]+)")
_ADMIN_PATH = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def text(value: str) -> str:
    """Anything, "" too."""
    return value


def whole(least: int) -> Callable[[str], int]:
    """A whole number, `least` or more."""

    def parse(value: str) -> int:
        if not _WHOLE.fullmatch(value):
            raise ValueError(f"{shown(value)} is not a whole number")
        return int(_at_least(least, int(value), value))

    return parse


def files(value: str) -> tuple[str, ...]:
    """Names of files with commas between them."""
    return tuple(each.strip() for each in value.split(",") if each.strip())


def size(least: int) -> Callable[[str], int]:
    """Bytes: `65536`, `64k`, `5m`, `1g`; `least` bytes or more."""

    def parse(value: str) -> int:
        found = _SIZE.fullmatch(value)
        if not found:
            raise ValueError(f"{shown(value)} is not a size; write bytes, or like 64k, 5m, 1g")
        return int(_at_least(least, int(found[1]) * _UNITS_OF_SIZE[found[2].lower()], value))

    return parse


def size_or_no(value: str) -> int:
    """Bytes as in `size`, 64k or more, or `no`, which is 0."""
    if value.lower() in ("no", "0"):
        return 0
    try:
        return size(64 * 1024)(value)
    except ValueError as error:
        raise ValueError(f"{error}; or write no") from None


def seconds(least: float) -> Callable[[str], float]:
    """Seconds: `15`, `0.5`, or like `30s`, `5m`, `1h`; `least` seconds or more."""

    def parse(value: str) -> float:
        found = _TIME.fullmatch(value)
        if not found:
            raise ValueError(f"{shown(value)} is not a time; write seconds, or like 30s, 5m, 1h")
        return _at_least(least, float(found[1]) * _UNITS_OF_TIME[found[2]], value)

    return parse


def whole_seconds(least: int) -> Callable[[str], int]:
    """Seconds as in `seconds`, without a fraction."""

    def parse(value: str) -> int:
        number = seconds(least)(value)
        if number != int(number):
            raise ValueError(f"{shown(value)} is not a whole number of seconds")
        return int(number)

    return parse


def switch(value: str) -> bool:
    """`yes`, `true`, `on`, `1`, or `no`, `false`, `off`, `0`."""
    try:
        return _SWITCH[value.lower()]
    except KeyError:
        raise ValueError(f"{shown(value)} is neither yes nor no") from None


def tls(value: str) -> bool | Literal["verify-full"]:
    """`yes` or `no`, or `verify-full`."""
    try:
        return "verify-full" if value.lower() == "verify-full" else switch(value)
    except ValueError as error:
        raise ValueError(f"{error}, nor verify-full") from None


def port(value: str) -> int:
    """A TCP port, 1..65535."""
    if not _WHOLE.fullmatch(value) or not 1 <= int(value) <= 65535:
        raise ValueError(f"{shown(value)} is not a port; ports are 1 to 65535")
    return int(value)


def port_or_none(value: str) -> int:
    """A TCP port, or `0` for none."""
    return 0 if value == "0" else port(value)


def host(value: str) -> str:
    """An IPv4 address, an IPv6 address without brackets, or a host name."""
    if ":" in value or _DIGITS_AND_DOTS.fullmatch(value):
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError(f"{shown(value)} is not an IP address") from None
    elif len(value) > 253 or not _HOST_NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} is neither an IP address nor a host name")
    return value


def listen_address(value: str) -> str:
    """A host as above, "" for all interfaces, or `unix:` and an absolute path."""
    if value.startswith("unix:"):
        if not value.startswith("unix:/"):
            raise ValueError(f"{shown(value)} is no file; write unix: and an absolute path")
        return f"unix:{os.path.normpath(value.removeprefix('unix:'))}"
    return host(value) if value else ""


def server_name(value: str) -> str:
    """Letters, digits and `_.-`: it appears in headers, process titles and logs."""
    if not _SERVER_NAME.fullmatch(value):
        raise ValueError(
            f"{shown(value)} is not a server name; use up to 64 letters, digits, _ . and -"
        )
    return value


def proxies(value: str) -> tuple[str, ...]:
    """Addresses, networks like `10.0.0.0/8`, and `unix:`, with commas or blanks between them."""
    return tuple(_network(each) for each in value.replace(",", " ").split())


def _network(value: str) -> str:
    if value == "unix:":
        return value
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            f"{shown(value)} is neither an IP address, a network like 10.0.0.0/8, nor unix:"
        ) from None
    raise ValueError(f"{shown(value)} is an address within a network; did you mean {network}?")


def admin_path(value: str) -> str:
    """A path like `/skitai`, without a slash at its end."""
    if not _ADMIN_PATH.fullmatch(value):
        raise ValueError(f"{shown(value)} is no path like /skitai, of letters, digits, _ . and -")
    return value


def networks(value: str) -> tuple[str, ...]:
    """The same without `unix:`."""
    found = proxies(value)
    if "unix:" in found:
        raise ValueError("unix: is no network")
    return found


def ports(value: str) -> tuple[int, ...]:
    """Ports, with commas or blanks between them."""
    return tuple(port(each) for each in value.replace(",", " ").split())


def credentials(value: str) -> tuple[str, ...]:
    """`user:password`, several with blanks between them."""
    found = tuple(value.split())
    for each in found:
        name, colon, secret = each.partition(":")
        if not name or not colon or len(secret) < SECRET_MIN:
            raise ValueError(
                f"write user:password, with {SECRET_MIN} characters or more in a password"
                " (a blank separates several)"
            )
    return found


def user(value: str) -> str:
    """A user of this machine, or "" for whoever it is."""
    try:
        return value and pwd.getpwnam(value).pw_name
    except KeyError:
        raise ValueError(f"this machine has no user {shown(value)}") from None


def group(value: str) -> str:
    """A group of this machine, or "" for the user's own."""
    try:
        return value and grp.getgrnam(value).gr_name
    except KeyError:
        raise ValueError(f"this machine has no group {shown(value)}") from None


def mode(value: str) -> int:
    """Of a file, in octal digits: `660`, `0666`."""
    if not _UMASK.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a mode; write octal digits like 660 or 0666")
    return int(value, 8)


def umask(value: str) -> int:
    """Three octal digits, or with a leading 0: `022`, `0027`."""
    if not _UMASK.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a umask; write octal digits like 022 or 0027")
    return int(value, 8)


def secure_keys(value: str) -> tuple[str, ...]:
    """One key, or several with blanks between them."""
    keys = tuple(value.split())
    if not keys or min(map(len, keys)) < SECRET_MIN:
        raise ValueError(
            f"a key needs at least {SECRET_MIN} characters (a blank separates several keys);"
            " without this line a random key is made at every start"
        )
    return keys


def password(value: str) -> str:
    """A password of a few characters, or "" for none."""
    if value and len(value) < SECRET_MIN:
        raise ValueError(f"it needs at least {SECRET_MIN} characters")
    return value


def cache_url(value: str) -> str:
    """A server for the result cache; it may hold a password, so it is not shown."""
    if not value:
        return ""
    resp.parse_url(value)
    return value


def hsts(value: str) -> str:
    """Strict-Transport-Security (RFC 6797 section 6.1), as it is sent: a time, and perhaps
    `includeSubDomains` and `preload` behind it; "" for `0`, which sends nothing.
    """
    time, *words = value.split()
    known = {"includesubdomains": "includeSubDomains", "preload": "preload"}
    try:
        directives = [known[word.lower()] for word in words]
    except KeyError:
        raise ValueError(
            f"{shown(value)} is not a time, with includeSubDomains and preload behind it"
        ) from None
    age = whole_seconds(0)(time)
    return "; ".join([f"max-age={age}", *directives]) if age else ""


def hedge(value: str) -> float | Literal["p95"] | None:
    """When a second member is asked: seconds, `p95`, or `no`."""
    if value.lower() in ("no", "p95"):
        return "p95" if value.lower() == "p95" else None
    try:
        return seconds(0.001)(value)
    except ValueError as error:
        raise ValueError(f"{error}; or write p95, or no") from None


def cookie_name(value: str) -> str:
    """A cookie's name (RFC 6265 section 4.1.1), `yes` for one of ours, or `no`."""
    if value.lower() in _SWITCH:
        return STICKY if _SWITCH[value.lower()] else ""
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"{shown(value)} is no name of a cookie; write yes, a name, or no")
    return value


def check(value: str) -> worker.Check | None:
    """How members are checked: `/path every 5s`, or `no`."""
    if value.lower() == "no":
        return None
    found = _CHECK.fullmatch(value)
    if not found:
        raise ValueError(f"{shown(value)} is not of the form /path every 5s; or write no")
    return worker.Check(found[1], seconds(1)(found[2]))


def one_of(**words: str) -> Callable[[str], str]:
    """One of a few words, each given with what it means: `one_of(pgsql="postgresql")`."""

    def parse(value: str) -> str:
        try:
            return words[value.lower()]
        except KeyError:
            known = ", ".join(dict.fromkeys(words.values()))
            raise ValueError(f"{shown(value)} is none of {known}") from None

    return parse


def is_loopback(address: str) -> bool:
    """Whether only this machine can connect to a server that listens there. "" is everywhere."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def shown(value: str) -> str:
    """The value as a message shows it."""
    if not value:
        return "an empty value"
    return value if len(value) <= _SHOWN_MAX else value[:_SHOWN_MAX] + "…"


def _at_least(least: float, number: float, value: str) -> float:
    if number < least:
        raise ValueError(f"{shown(value)} is too small; the least is {least:g}")
    return number
