"""What answers on `redirect_port`: the same URL by https. Runs on the loop, and has no state."""

from __future__ import annotations

from skitai.pages import error_page
from skitai.request import Request
from skitai.serialize import HTML

from . import answers
from .connection import ClientConnection


class ToHttps:
    """The site of plain HTTP where another port speaks https."""

    takes_connect = False

    def __init__(self, port: int) -> None:
        """port: where https is spoken."""
        self._port = "" if port == 443 else f":{port}"

    def handle(self, connection: ClientConnection, request: Request) -> None:
        """301, as everybody follows it; 308 for what must not become a GET (RFC 9110 section
        15.4.9).
        """
        host = _without_port(request.host)
        if not host or not request.target.startswith(b"/"):
            sentence = "This port only leads to https, and the request does not say where."
            answers.error(connection, request, 400, sentence)
            return
        status = 301 if request.method in ("GET", "HEAD") else 308
        fields = [("Location", f"https://{host}{self._port}{request.uri}"), ("Content-Type", HTML)]
        answers.whole(connection, request, status, fields, error_page(status))


def _without_port(host: str) -> str:
    bracket = host.rfind("]")
    return host[: host.index(":", bracket + 1)] if ":" in host[bracket + 1 :] else host
