"""Who sends a request that came through proxies of ours. Rules only, pure.

A proxy puts down from whom it had the request: in a list, X-Forwarded-For, to which each one
adds at the right end. Whatever stands left of what our own proxies wrote may be the client's
invention. So the list is read from the right as long as its addresses are those of trusted
proxies, and the first that is not is the client's. What is no IP address ends the reading as
well: the client is then the last one known. If all are trusted, it is the leftmost.

- Any X-Forwarded field of these three makes `Forwarded` (RFC 7239) count for nothing: a proxy
  that writes the former lets the client's own `Forwarded` pass.
- Of X-Forwarded-Proto and X-Forwarded-Host the last value counts, which the nearest proxy wrote
  or let pass. Of `Forwarded` it is the element that names the client.
- What is no scheme or no host is passed over, and the connection and the Host field count.
- Several lines of one field are one list, in their order (RFC 9110 section 5.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from skitai.caller import Caller

UNIX = "unix:"  # in place of an address: whoever connects to a unix socket
REMEMBERED = 1024  # addresses that were looked up last

_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_BRACKETED = re.compile(r"\[([^]]*)\](?::[0-9]+)?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+")
# A parameter of Forwarded, section 4: name=value; addresses are also sent without their quotes.
_PAIR = r'[ \t]*([\w!#$%&\'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^ \t",;]*))[ \t]*'
_PARAMETER = re.compile(_PAIR, re.ASCII)
_ELEMENT = re.compile(f"{_PAIR}(?:;{_PAIR})*", re.ASCII)
_QUOTED_PAIR = re.compile(r"\\(.)")

_FOR, _PROTO, _HOST_FIELD = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"
_FORWARDED = b"forwarded"
_READ = frozenset((_FOR, _PROTO, _HOST_FIELD, _FORWARDED))

Fields = Sequence[tuple[bytes, bytes]]


class Proxies:
    """The proxies that are believed: `trusted_proxies` of the conf."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """trusted: addresses, networks ("10.0.0.0/8"), or "unix:"."""
        names = frozenset(trusted)
        self._is_unix_trusted = UNIX in names
        self._networks = [ip_network(each) for each in names if each != UNIX]
        self._look_up = lru_cache(REMEMBERED)(self._look_up_now)

    def speaking(self, address: str) -> Proxies | None:
        """Ourselves, if one that connects from there is trusted."""
        if not address:
            return self if self._is_unix_trusted else None
        return self if self._networks and self._look_up(address)[1] else None

    def caller(self, direct: Caller, fields: Fields) -> Caller:
        """Whose request it is. direct: the proxy that we have it from."""
        lists: dict[bytes, str] = {}
        for name, value in fields:
            key = name.lower()
            if key in _READ:
                text = value.decode("latin-1")
                lists[key] = f"{lists[key]},{text}" if key in lists else text
        if not lists:
            return direct
        if lists.keys() != {_FORWARDED}:
            address = self._address(_backwards(lists.get(_FOR, "")), direct.address)
            scheme, host = (_last(lists.get(key, "")) for key in (_PROTO, _HOST_FIELD))
        else:
            address, scheme, host = self._element(lists[_FORWARDED], direct.address)
        scheme = scheme.lower()
        return Caller(
            address,
            scheme if scheme in ("http", "https") else direct.scheme,
            host if _HOST.fullmatch(host) else "",
        )

    def _address(self, nodes: Iterable[str], known: str) -> str:
        """The first from the right that is not trusted. known: to the right of them all."""
        for node in nodes:
            address, is_trusted = self._look_up(node)
            if not address:
                break
            known = address
            if not is_trusted:
                break
        return known

    def _element(self, text: str, known: str) -> tuple[str, str, str]:
        """(address, scheme, host) of the element of Forwarded that names the client."""
        scheme = host = ""
        for element in _elements(text):
            scheme, host = element.get("proto", ""), element.get("host", "")
            address, is_trusted = self._look_up(element.get("for", ""))
            known = address or known
            if not is_trusted:
                break
        return known, scheme, host

    def _look_up_now(self, node: str) -> tuple[str, bool]:
        """(address in its usual form, whether it is trusted); "" for what is no IP address."""
        bare = node.strip()
        found = _BRACKETED.fullmatch(bare) or _WITH_PORT.fullmatch(bare)
        try:
            address = ip_address(found[1] if found else bare)
        except ValueError:
            return "", False  # "unknown", "_hidden", a name, rubbish
        if isinstance(address, IPv6Address):
            if address.scope_id is not None:  # any text at all may be behind a "%"
                return "", False
            address = address.ipv4_mapped or address
        return str(address), any(address in network for network in self._networks)


NOBODY = Proxies(())


def _elements(text: str) -> Iterator[dict[str, str]]:
    """The elements of a Forwarded list, the last first, as far as they are well-formed.

    From the right, since a quote that a client leaves open must not swallow what proxies added.
    A comma within quotes is none: what is behind it has an odd quote, so it is no element.
    """
    comma = end = len(text)
    while comma >= 0:
        comma = text.rfind(",", 0, comma)
        if _ELEMENT.fullmatch(text, comma + 1, end):
            pairs = _PARAMETER.findall(text, comma + 1, end)
            yield {
                name.lower(): _QUOTED_PAIR.sub(r"\1", quoted) or bare
                for name, quoted, bare in pairs
            }
            end = comma


def _backwards(text: str) -> Iterator[str]:
    """What is between the commas, the last first; no more is split than is asked for."""
    while text:
        text, _, last = text.rpartition(",")
        yield last


def _last(text: str) -> str:
    return text.rpartition(",")[2].strip()
