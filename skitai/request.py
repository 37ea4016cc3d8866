"""One complete request, as a handler sees it. Made on the loop, read in the handler.

What every request needs is taken from the parser as it came; all else is computed when first
asked for, on the handler's thread.
"""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import unquote

from skitai import request_id
from skitai.errors import HttpError
from skitai.response import Channel, Response
from skitai.wire import urlencoded

_BLANKS = b" \t"  # not part of a field's value, but the parser leaves them at its end

FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data"


class ClientChannel(Channel, Protocol):
    """The client's connection, from any thread."""

    @property
    def in_hand(self) -> Request | None:
        """The request that is being answered."""


class Request:
    """A complete request.

    method: upper case, as it came ("GET"); `command` is the same in lower case.
    target: what stood on the request line, undecoded, with its query.
    path: percent-decoded once, with the mount prefix; set by the dispatcher, before anyone looks.
    fields: header fields in order, as they came.
    version: "1.1" or "1.0".
    peer: address of the client, "" when it is not known (a unix socket).
    began, started: monotonic times of its first byte and of its handler's start, 0.0 not yet.
    is_given_up: its client was sent away because it took too long.
    channel: the client's connection; None in tests without one.
    """

    __slots__ = (
        "_args",
        "_id",
        "_lookup",
        "_response",
        "_sent_id",
        "began",
        "body",
        "channel",
        "fields",
        "is_given_up",
        "method",
        "path",
        "peer",
        "started",
        "target",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        body: bytes,
        version: str,
        peer: str,
        began: float = 0.0,
        sent_id: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.path = ""
        self.fields = fields
        self.body = body
        self.version = version
        self.peer = peer
        self.began = began
        self.started = 0.0
        self.is_given_up = False
        self._sent_id = sent_id  # as the client sent it
        self._id = b""
        self.channel: ClientChannel | None = None
        self._response: Response | None = None
        self._lookup: dict[bytes, bytes] | None = None
        self._args: dict[str, Any] | None = None

    @property
    def command(self) -> str:
        """The method in lower case: "get", "post"."""
        return self.method.lower()

    @property
    def id(self) -> str:
        """Its name in the logs: the client's X-Request-ID if that is plain and short, else new."""
        return self.id_bytes().decode("ascii")

    def id_bytes(self) -> bytes:
        """The id as it is written to logs."""
        if not self._id:
            self._id = (self._sent_id and request_id.given(self._sent_id)) or request_id.made()
        return self._id

    @property
    def uri(self) -> str:
        """The request target with its query, undecoded."""
        return self.target.decode("latin-1")

    def field(self, name: bytes) -> bytes | None:
        """The first header field of this lower-case name, as bytes."""
        if self._lookup is None:
            self._lookup = {key.lower(): value for key, value in reversed(self.fields)}
        value = self._lookup.get(name)
        return None if value is None else value.rstrip(_BLANKS)

    def get_header(self, name: str, default: str | None = None) -> str | None:
        """The first header field of this name, case ignored."""
        value = self.field(name.lower().encode("latin-1", "replace"))
        return default if value is None else value.decode("latin-1")

    def get_raw_header(self) -> list[str]:
        """All header fields as "Name: value", in order."""
        lines = (name + b": " + value.rstrip(_BLANKS) for name, value in self.fields)
        return [line.decode("latin-1") for line in lines]

    @property
    def response(self) -> Response:
        """Status and header fields of the response to it."""
        if self._response is None:
            self._response = Response(self.channel if self.version == "1.1" else None)
        return self._response

    @property
    def answered_with(self) -> Response | None:
        """The same, None if nobody has asked for it: then it is a plain 200."""
        return self._response

    def start_anew(self) -> Response:
        """Forget what was said of the response; an error page takes its place."""
        self._response = None
        return self.response

    def set_response(self, status: int, reason: str = "") -> None:
        """The same as `was.response.start`."""
        self.response.start(status, reason)

    def __setitem__(self, name: str, value: str) -> None:
        """The same as `was.response[name] = value`."""
        self.response.update(name, value)

    @property
    def gone(self) -> bool:
        """Whether its client has left: nobody waits for the answer any more."""
        return self.channel is not None and self.channel.in_hand is not self

    def split_uri(self) -> tuple[str, str | None, str | None, str | None]:
        """(path, params, query, fragment), undecoded; with their ";", "?" and "#", None if absent.

        Params belong to the last path segment (RFC 2396 section 3.3); HTTP clients send no
        fragment, but a target may hold one.
        """
        rest, hash_, fragment = self.uri.partition("#")
        rest, question, query = rest.partition("?")
        at = rest.find(";", rest.rfind("/") + 1)
        path, params = (rest, None) if at < 0 else (rest[:at], rest[at:])
        return path, params, question + query or None, hash_ + fragment or None

    def get_body(self) -> bytes | None:
        """The body as it came, None when there is none."""
        return self.body or None

    @property
    def content_type(self) -> bytes:
        """The media type in lower case, without parameters; b"" when there is none."""
        value = self.field(b"content-type")
        return b"" if value is None else value.partition(b";")[0].strip().lower()

    @property
    def args(self) -> dict[str, Any]:
        """The fields of query and form; a name that comes several times has a list, in order.

        Raises HttpError 400 when they cannot be read.
        """
        if self._args is None:
            self._args = self._read_args()
        return self._args

    def _read_args(self) -> dict[str, Any]:
        args: dict[str, Any] = {}
        _, question, query = self.target.partition(b"?")
        if self.content_type == MULTIPART:
            raise HttpError(415, "Multipart forms cannot be read yet; send it urlencoded.")
        try:
            if question:
                urlencoded.load(query.decode("ascii"), args)
            if self.body and self.content_type == FORM:
                urlencoded.load(self.body.decode("utf-8"), args)
        except ValueError as error:
            raise HttpError(400, f"query or form cannot be read: {error}") from None
        return args

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri} from {self.peer or 'a unix socket'}>"


def decode_path(target: bytes) -> str:
    """The path of a request target, percent-decoded once. Raises ValueError if it is not UTF-8."""
    raw = target.partition(b"?")[0].decode("ascii")
    return raw if b"%" not in target else unquote(raw, errors="strict")
