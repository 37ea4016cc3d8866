"""URLs and cluster addresses, as app code writes them, to what the engine needs. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from skitai.engine import Origin
from skitai.errors import WrongUse

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE = "/%:@!$&'()*+,;=~-._"  # RFC 3986 section 3.3; % since it was encoded already
_USERINFO = re.compile(r"^([^/?#]*//)([^/?#]*)@")
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


@lru_cache(maxsize=1024)  # an app asks the same few addresses again and again
def parse_url(url: str) -> tuple[Origin, bytes]:
    """(server, request target) of an absolute URL. Raises WrongUse with what is wrong.

    Characters beyond ASCII are percent-encoded as UTF-8 in the path and by IDNA in the name.
    User and password are left out, see `login`; no message repeats them.
    """
    if "@" in url:
        url = _USERINFO.sub(r"\1", url)
    if _UNSENDABLE.search(url):
        raise WrongUse(f"the URL {url!r} holds a blank or a control character; percent-encode it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WrongUse(f"the URL {url!r} names no server: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise WrongUse(f"the URL {url!r} does not start with http:// or https://")
    if port == 0:
        raise WrongUse(f"the URL {url!r} has port 0, which nobody can listen on")
    host = _host(parts.hostname or "", url)
    origin = Origin(host, port or _DEFAULT_PORTS[parts.scheme], tls=parts.scheme == "https")
    return origin, request_target(parts.path, parts.query)


def login(url: str) -> tuple[str, str] | None:
    """User and password of `http://user:password@host/`, percent-decoded; None without them."""
    found = _USERINFO.match(url)
    if found is None:
        return None
    user, _, password = found[2].partition(":")
    return unquote(user), unquote(password)


@lru_cache(maxsize=1024)
def request_target(path: str, query: str = "") -> bytes:
    """The origin-form of RFC 9112 section 3.2.1; what may not stand in it is percent-encoded."""
    target = quote(path or "/", safe=_SAFE)
    if query:
        target += "?" + quoted_query(query)
    return target.encode("ascii")


def quoted_query(query: str) -> str:
    """A query as it may stand in a target; what is percent-encoded already stays so."""
    return quote(query, safe=_SAFE + "?[]")


def _host(host: str, url: str) -> str:
    if not host:
        raise WrongUse(f"the URL {url!r} names no host")
    if ":" in host:  # IPv6
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise WrongUse(f"the host of the URL {url!r} cannot be looked up: {error}") from None


class ClusterAddress(NamedTuple):
    """What "name/rpc2", "@name/page?id=5" or "name" means.

    is_xml, is_json: calls of methods, by XML-RPC or by JSON-RPC.
    """

    name: str
    target: bytes
    is_xml: bool
    is_json: bool


@lru_cache(maxsize=1024)
def parse_cluster(address: str) -> ClusterAddress:
    """Raises WrongUse for an address without a name."""
    place, _, query = address.removeprefix("@").partition("?")
    name, slash, rest = place.partition("/")
    if not name:
        raise WrongUse(f'"{address}" names no cluster; write it as "mysearch/rpc2"')
    path = slash + rest or "/rpc3"
    return ClusterAddress(name, request_target(path, query), is_xml_rpc(path), is_json_rpc(path))


def is_xml_rpc(path: str) -> bool:
    """Whether a path ends in /rpc2, in any case."""
    return path.rstrip("/").lower().endswith("/rpc2")


def is_json_rpc(path: str) -> bool:
    """Whether a path ends in /rpc3, in any case."""
    return path.rstrip("/").lower().endswith("/rpc3")
