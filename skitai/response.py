"""What a handler says about its response besides the body: status and header fields."""

from __future__ import annotations

from typing import Protocol

from skitai.errors import HttpError
from skitai.fields import checked, checked_text
from skitai.pages import phrase

INTERIM = frozenset({100, 102, 103})  # 101 would end HTTP on this connection


class Channel(Protocol):
    """The client's connection, as a handler may touch it, from its thread."""

    def interim(self, response: Response, data: bytes) -> None:
        """Send at once, unless the response has begun or its client has gone."""


class Response:
    """Status and header fields of the response. Names are matched without regard to case."""

    __slots__ = ("_channel", "_fields", "_reason", "_status", "problem")

    def __init__(self, channel: Channel | None = None) -> None:
        """channel: None for a client that takes no interim responses, HTTP/1.0 above all."""
        self._channel = channel
        self.problem: HttpError | None = None  # what `error` was called with
        self._status = 200
        self._reason = ""
        self._fields: list[tuple[str, str]] = []

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """All header fields set, in order. They are set one by one, so that each is checked."""
        return tuple(self._fields)

    @property
    def status(self) -> int:
        """The status code, 200 unless it is set. Raises ValueError when set outside 200..599."""
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if not isinstance(status, int):  # an app may not be typed
            raise TypeError(f"response status {status!r} is no int; the words are the reason")
        if not 200 <= status <= 599:
            raise ValueError(f"response status {status} is not between 200 and 599")
        self._status = status

    @property
    def reason(self) -> str:
        """The reason phrase; "" means the standard one."""
        return self._reason

    @reason.setter
    def reason(self, reason: str) -> None:
        self._reason = checked_text("the reason phrase", reason)

    def start(
        self, status: int, reason: str = "", headers: list[tuple[str, str]] | None = None
    ) -> None:
        """Set status, phrase and further header fields; what the handler returns is still the body.

        Raises ValueError for a status outside 200..599 or text that would break the header.
        """
        self.status = status
        self.reason = reason
        for name, value in headers or ():
            self.set(name, value)

    reply = start

    def error(self, status: int, detail: str = "") -> str:
        """Answer with the page for a status, whatever the handler or hook returns after this.

        That is the server's, unless the app has an `errorhandler` for it. Header fields that were
        set stay, but on the server's page for those that describe a body. Returns "", so that it
        can be written as `return was.response.error(404)`. Raises ValueError, as HttpError.
        """
        self.problem = HttpError(status, detail)
        return ""

    @property
    def may_be_empty(self) -> bool:
        """Whether a handler that returns nothing has meant it: 204, a redirect, another status."""
        return self._status != 200

    def instant(self, status: int, headers: list[tuple[str, str]] | None = None) -> None:
        """Send an interim response now: 100, 102, or 103 with Link fields (RFC 8297).

        A client of HTTP/1.0 takes none, and gets none. Raises ValueError for another status.
        """
        if status not in INTERIM:
            raise ValueError(f"instant({status}): interim responses are 100, 102 and 103")
        lines = [f"HTTP/1.1 {status} {phrase(status)}"]
        lines += [": ".join(checked(name, value)) for name, value in headers or ()]
        if self._channel is not None:
            self._channel.interim(self, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def set(self, name: str, value: str) -> None:
        """Add a header field, beside others of the same name. Raises ValueError, as `start`."""
        self._fields.append(checked(name, str(value)))

    def update(self, name: str, value: str) -> None:
        """Set a header field in place of all others of the same name."""
        self.delete(name)
        self.set(name, value)

    def delete(self, name: str) -> None:
        """Remove all header fields of this name; none is fine too."""
        wanted = name.lower()
        self._fields = [pair for pair in self._fields if pair[0].lower() != wanted]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first header field of this name."""
        wanted = name.lower()
        return next((value for key, value in self._fields if key.lower() == wanted), default)

    def has_key(self, name: str) -> bool:
        """Whether a header field of this name is set."""
        return self.get(name) is not None

    __setitem__ = update
    __delitem__ = delete
    __contains__ = has_key

    def __getitem__(self, name: str) -> str | None:
        return self.get(name)
