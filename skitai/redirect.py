"""Where a redirect leads (RFC 9110 section 15.4). Pure: an ask and its answer in, the next out.

    301, 302    the same again; a POST becomes a GET, as all browsers have it
    303         GET; HEAD stays HEAD
    307, 308    the same again, with its body

300 and 304 are answers, and so is a redirect without a Location.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urljoin

from msgspec.structs import replace

from skitai import address
from skitai.engine import Ask, Origin
from skitai.errors import SkitaiError, WrongUse

CODES = frozenset((301, 302, 303, 307, 308))

# What is for one origin only. Another port or scheme is another origin (RFC 6454 section 4).
_CREDENTIALS = (b"authorization", b"cookie", b"proxy-authorization")
# What tells of a body, and goes with it (RFC 9110 section 15.4).
_OF_BODY = (b"content-", b"transfer-encoding", b"expect")

_SHOWN = 200  # characters of a Location in a message


class Hop(NamedTuple):
    """What to ask next, and whom."""

    origin: Origin
    ask: Ask


class NotFollowed(SkitaiError):
    """The redirect leads nowhere; the message is the end of a sentence on its sender."""


def hop(
    ask: Ask, origin: Origin, code: int, fields: Iterable[tuple[bytes, bytes]], followed: int
) -> Hop | None:
    """The next hop of an ask that `origin` answered so; None: it is no redirect.

    Credentials stay behind when the origin changes, and those in a Location are passed over.
    followed: redirects before this one. Raises
    NotFollowed when those are as many as the ask allows, when it leads from https to http, or
    to something that cannot be asked.
    """
    location = _location(fields) if code in CODES else ""
    if not location:
        return None
    method, target, _ = ask.start.split(b" ")
    try:
        next_origin, next_target = address.parse_url(urljoin(_url(origin, target), location))
    except (ValueError, WrongUse) as error:
        raise NotFollowed(f"redirects to what cannot be asked: {_shown(str(error))}") from None
    shown = _shown(_url(next_origin, next_target))
    if followed >= ask.follow:
        raise NotFollowed(f"redirects to {shown}, after {followed} redirects already")
    if origin.tls and not next_origin.tls:
        raise NotFollowed(f"redirects from https to {shown}, which is not followed")
    is_read = method in (b"GET", b"HEAD")
    if (code == 303 and not is_read) or (code in (301, 302) and method == b"POST"):
        ask = replace(ask, fields=_without(ask.fields, _OF_BODY), body=b"", idempotent=True)
        method = b"GET"
    if next_origin != origin:
        ask = replace(ask, fields=_without(ask.fields, _CREDENTIALS))
    return Hop(next_origin, replace(ask, start=b"%b %b HTTP/1.1\r\n" % (method, next_target)))


def _url(origin: Origin, target: bytes) -> str:
    return f"{'https' if origin.tls else 'http'}://{origin.node}{target.decode('ascii')}"


def _location(fields: Iterable[tuple[bytes, bytes]]) -> str:
    """As browsers read it: UTF-8, and a blank means %20."""
    value = next((value for name, value in fields if name.lower() == b"location"), b"")
    return value.decode("utf-8", "replace").strip().replace(" ", "%20")


def _without(lines: bytes, starts: tuple[bytes, ...]) -> bytes:
    kept = [each for each in lines.split(b"\r\n") if not each.lower().startswith(starts)]
    return b"\r\n".join(kept)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
