"""The HTTP proxy by which servers named by a URL are asked, as the environment says. Pure.

    http_proxy=http://user:password@proxy:3128    for http://, which the proxy asks for us
    https_proxy=http://proxy:3128                 for https://, through CONNECT
    no_proxy=localhost,.example.com,10.0.0.7:80   servers and domains that are asked directly

Upper case counts where lower case is not set, but for HTTP_PROXY: under CGI anybody can set that
one by a header field (httpoxy, CVE-2016-5385). This machine itself is always asked directly.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from skitai.engine import Origin


class Proxy(NamedTuple):
    """field: the Proxy-Authorization line, with CRLF; b"" without a login."""

    host: str
    port: int
    field: bytes

    @property
    def node(self) -> str:
        """ "host:port"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Proxies(NamedTuple):
    """What the environment says. direct: entries of no_proxy, in lower case."""

    http: Proxy | None
    https: Proxy | None
    direct: tuple[str, ...]

    def of(self, origin: Origin) -> Proxy | None:
        """The proxy by which a server is asked; None: directly."""
        proxy = self.https if origin.tls else self.http
        return None if proxy is None or self._is_direct(origin) else proxy

    def _is_direct(self, origin: Origin) -> bool:
        host = origin.host.lower().rstrip(".")
        return _is_here(host) or any(_covers(each, host, origin) for each in self.direct)


def from_environment(environ: Mapping[str, str]) -> Proxies:
    """Raises ValueError, without the value, for a variable that names no HTTP proxy."""
    direct = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    return Proxies(
        _proxy("http_proxy", environ.get("http_proxy", "")),
        _proxy("https_proxy", environ.get("https_proxy", environ.get("HTTPS_PROXY", ""))),
        tuple(entry.lower() for entry in direct.replace(",", " ").split()),
    )


def _proxy(variable: str, url: str) -> Proxy | None:
    if not url:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme != "http":
        raise ValueError(f"{variable} of the environment is not of the form http://host:port")
    return Proxy(host, port or 80, _field(parts.username, parts.password))


def _field(user: str | None, password: str | None) -> bytes:
    if user is None:
        return b""
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return b"Proxy-Authorization: Basic %b\r\n" % base64.b64encode(pair)


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(entry: str, host: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    name = entry.removeprefix("*").removeprefix(".")
    if name in (host, f"{host}:{origin.port}", origin.node):
        return True
    return host.endswith(f".{name}")
