"""The CGI view of a request (RFC 3875 section 4.1): `was.env`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skitai.request import Request

if TYPE_CHECKING:
    from skitai.wasc import Server

_PLAIN = frozenset({"CONTENT_LENGTH", "CONTENT_TYPE"})  # these two stand without HTTP_
# A header of that name would become HTTP_PROXY, which programs take for a setting of their own.
_LEFT_OUT = frozenset({b"proxy"})

_PORTS = {"http": 80, "https": 443}  # of a server that listens on a file


class Environ(dict[str, str]):
    """Names and values; also as attributes. The process's own environment is not in it."""

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"was.env has no {name}") from None

    def has_key(self, name: str) -> bool:
        """Whether it is there."""
        return name in self

    def as_dict(self) -> dict[str, str]:
        """A copy."""
        return dict(self)


def environ(request: Request, server: Server, base: str, interface: str = "SSGI/1.0") -> Environ:
    """base: where the app is mounted. Of several fields of one name the first counts."""
    env = Environ(
        REQUEST_METHOD=request.method,
        SCRIPT_NAME=base,
        PATH_INFO=request.path[len(base) :],
        REQUEST_URI=request.uri,
        SERVER_NAME=_name(request.host) or server.ip,
        SERVER_PORT=str(server.port or _PORTS[request.scheme]),
        SERVER_SOFTWARE=server.name,
        SERVER_PROTOCOL=f"HTTP/{request.version}",
        GATEWAY_INTERFACE=interface,
        REMOTE_ADDR=request.remote_addr,
        REMOTE_SERVER=request.remote_addr,
    )
    if request.scheme == "https":
        env["HTTPS"] = "on"
    shown = request.caller.certificate
    if shown is not None:  # the names that Apache's mod_ssl has given them
        env.update(
            SSL_CLIENT_VERIFY="SUCCESS",
            SSL_CLIENT_S_DN=shown.subject,
            SSL_CLIENT_I_DN=shown.issuer,
            SSL_CLIENT_M_SERIAL=shown.serial,
        )
    query = request.uri.partition("?")[2]
    if query:
        env["QUERY_STRING"] = query
    for name, value in request.fields:
        if name.lower() in _LEFT_OUT or b"_" in name:  # X_Y would pass for X-Y
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        env.setdefault(key if key in _PLAIN else f"HTTP_{key}", value.decode("latin-1").strip())
    return env


def _name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.partition(":")[0]
