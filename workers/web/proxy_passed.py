"""The header of a request on its way to a member. Pure.

Kept with the client's connection until the next request, which most often has the same header.
"""

from __future__ import annotations

from skitai.request import Request

from .mounts import Proxied
from .proxy_fields import Fields


class Passed:
    """What members get.

    fields, method, version, proxied: what it was made of. host: the Host line, b"" for the
    member's own. lines: all others, up to the framing of the body. upgrade: the other protocol that
    is asked for, b"" for none. prefix: what was taken off the path. called: by the client.
    """

    __slots__ = (
        "called",
        "fields",
        "host",
        "lines",
        "method",
        "prefix",
        "proxied",
        "takes_trailers",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        fields: Fields,
        method: str,
        version: str,
        proxied: Proxied,
        host: bytes,
        lines: bytes,
        upgrade: bytes,
        takes_trailers: bool,
        prefix: str,
        called: bytes = b"",
    ) -> None:
        self.fields = fields
        self.method = method
        self.version = version
        self.proxied = proxied
        self.called = called
        self.host = host
        self.lines = lines
        self.upgrade = upgrade
        self.takes_trailers = takes_trailers
        self.prefix = prefix

    def with_lines(self, lines: bytes) -> Passed:
        """The same, with these."""
        return Passed(
            self.fields,
            self.method,
            self.version,
            self.proxied,
            self.host,
            lines,
            self.upgrade,
            self.takes_trailers,
            self.prefix,
            self.called,
        )

    def is_of(self, request: Request, proxied: Proxied) -> bool:
        """Whether the same would become of this request, from the same client."""
        return (
            self.fields == request.fields
            and self.proxied is proxied
            and self.method == request.method
            and self.version == request.version
        )
