"""One complete request, as a handler sees it. Made on the loop, read in the handler.

What every request needs is taken from the parser as it came; all else is computed when first
asked for, on the handler's thread.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import unquote

import msgspec

from skitai import request_id
from skitai.caller import Caller
from skitai.errors import BadWireData, HttpError
from skitai.fields import charset
from skitai.headers import Headers
from skitai.response import Channel, Response
from skitai.upload import Upload, UploadedFile
from skitai.wire import tree, urlencoded

if TYPE_CHECKING:
    from skitai.errand import Errand

_BLANKS = b" \t"  # not part of a field's value, but the parser leaves them at its end

FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"
XML = (b"application/xml", b"text/xml")
MULTIPART = b"multipart/form-data"

_UNREAD = object()  # a JSON body may well be null


class ClientChannel(Channel, Protocol):
    """The client's connection, from any thread."""

    has_ended: bool  # the client sends no more

    @property
    def in_hand(self) -> Request | None:
        """The request that is being answered."""


class Incoming(Protocol):
    """A body on its way."""

    is_whole: bool

    def leave(self) -> None:
        """Nobody wants it any more."""


class Timings(NamedTuple):
    """How long a request has taken so far, in seconds.

    waited: from its first byte to the start of its handler, its arrival included.
    running: since then.
    total: both.
    """

    waited: float
    running: float
    total: float


class Request:
    """A complete request.

    method: upper case, as it came ("GET"); `command` is the same in lower case.
    target: what stood on the request line, undecoded, with its query.
    path: percent-decoded once, with the mount prefix; set by the dispatcher, before anyone looks.
    fields: header fields in order, as they came.
    version: "1.1" or "1.0".
    caller: who has sent it; `remote_addr`, `scheme` and `host` are what handlers ask for.
    began, started: monotonic times of its first byte and of its handler's start, 0.0 not yet.
    returned: monotonic time at which its handler was done, if the response went on after that, as a
        stream does; 0.0 if it was over then.
    taken: monotonic time from which its handler is waited for: not before its body has come, nor
        before those in front of it on the connection were answered.
    timeout: seconds that its handler has, if its route says so; 0.0: as long as it takes; None:
        what the conf says.
    is_given_up: its client was sent away because it took too long.
    failures: where to put what its handler, or its methods, fail with unforeseen; None: nowhere.
    channel: the client's connection; None in tests without one.
    errand: what others are asked for its sake; None as long as nobody is.
    answered_with: `response`, None if nobody has asked for it: then the answer is a plain 200.
    body: as it came; b"" when there is none, or when it is an upload larger than max_body_size.
    upload: the parts of a multipart body, None for others.
    series: where its worker counts it; the worker's own business.
    incoming: its body, if it is passed on to a member as it comes, whole or not; None otherwise.
    member: who is asked in its place, "host:port"; b"" when it is answered here. asked: the
        monotonic time from which that member is waited for.
    """

    __slots__ = (
        "_args",
        "_id",
        "_json",
        "_lookup",
        "_sent_id",
        "_xml",
        "answered_with",
        "asked",
        "began",
        "body",
        "caller",
        "channel",
        "errand",
        "failures",
        "fields",
        "incoming",
        "is_given_up",
        "member",
        "method",
        "path",
        "returned",
        "series",
        "started",
        "taken",
        "target",
        "timeout",
        "upload",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        body: bytes,
        version: str,
        caller: Caller,
        began: float = 0.0,
        sent_id: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.path = ""
        self.fields = fields
        self.body = body
        self.upload: Upload | None = None
        self.incoming: Incoming | None = None
        self.member = b""
        self.asked = 0.0
        self.version = version
        self.caller = caller
        self.began = self.taken = began
        self.started = self.returned = 0.0
        self.series: Any = None
        self.timeout: float | None = None
        self.is_given_up = False
        # For tests: what was logged. Else it would hold frames that hold the request.
        self.failures: list[BaseException] | None = None
        self.errand: Errand | None = None
        self._sent_id = sent_id  # as the client sent it
        self._id = b""
        self.channel: ClientChannel | None = None
        self.answered_with: Response | None = None
        self._lookup: dict[bytes, bytes] | None = None
        self._args: dict[str, Any] | None = None
        self._json: Any = _UNREAD
        self._xml: dict[str, Any] | None = None

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
        if self.answered_with is None:
            self.answered_with = Response(self.channel if self.version == "1.1" else None)
        return self.answered_with

    @property
    def problem(self) -> HttpError | None:
        """What `was.response.error` was called with, in place of a page that was returned."""
        return None if self.answered_with is None else self.answered_with.problem

    def start_anew(self) -> Response:
        """Forget what was said of the response; an error page takes its place."""
        self.answered_with = None
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
        if self.errand is not None and self.errand.is_client_gone:
            return True
        return self.channel is not None and self.channel.in_hand is not self

    @property
    def remote_addr(self) -> str:
        """The client's IP address, "" on a unix socket.

        Of a client that a trusted proxy speaks for it is the one that the proxy names.
        """
        return self.caller.address

    @property
    def scheme(self) -> str:
        """How the client has come: "http" or "https", behind a trusted proxy too."""
        return self.caller.scheme

    @property
    def host(self) -> str:
        """What the client has called, with its port if there is one: "example.com:8080"."""
        named = self.caller.host or split_target(self.target)[0].decode("latin-1")
        return named or self.get_header("host") or ""

    @property
    def url(self) -> str:
        """All of it: "https://example.com/company/555?page=2"."""
        return f"{self.scheme}://{self.host}{split_target(self.target)[1].decode('latin-1')}"

    @property
    def timings(self) -> Timings:
        """How long it has taken so far."""
        now, started = monotonic(), self.started or self.began
        return Timings(started - self.began, now - started, now - self.began)

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
        """The body as it came, None when there is none.

        None also for a multipart body that is larger than max_body_size.
        """
        return self.body or None

    @property
    def headers(self) -> Headers:
        """All header fields, as a mapping that disregards case."""
        return Headers(self.fields, self.get_header)

    @property
    def content_type(self) -> str | None:
        """The Content-Type field as it came: "text/html; charset=utf-8"."""
        return self.get_header("content-type")

    @property
    def media_type(self) -> bytes:
        """The media type in lower case, without parameters; b"" when there is none."""
        value = self.field(b"content-type")
        return b"" if value is None else value.partition(b";")[0].strip().lower()

    @property
    def mimetype(self) -> str:
        """The same as text: "text/html"."""
        return self.media_type.decode("latin-1")

    get_headers = get_raw_header

    def get_content_type(self) -> str | None:
        """The media type in lower case, without parameters."""
        return self.mimetype or None

    def get_main_type(self) -> str | None:
        """What stands before the slash: "text"."""
        return self.mimetype.partition("/")[0] or None

    def get_sub_type(self) -> str | None:
        """What stands behind the slash: "html"."""
        return self.mimetype.partition("/")[2] or None

    def get_remote_addr(self) -> str:
        """The same as `remote_addr`."""
        return self.remote_addr

    def get_user_agent(self) -> str | None:
        """The User-Agent field."""
        return self.get_header("user-agent")

    @property
    def json(self) -> Any:
        """The value of a JSON body (application/json, or a type that ends in +json).

        None when there is no body, or one of another type. Raises HttpError 400 when it cannot
        be read.
        """
        if self._json is _UNREAD:
            self._json = self._read_json()
        return self._json

    def _read_json(self) -> Any:
        kind = self.media_type
        if not self.body or not (kind == JSON or kind.endswith(b"+json")):
            return None
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise HttpError(400, f"The body cannot be read as JSON: {error}.") from None

    @property
    def xml(self) -> dict[str, Any] | None:
        """The tree of an XML body (application/xml, text/xml, or a type that ends in +xml).

        `<a id="5"><b>tea</b></a>` is {"a": {"@id": "5", "b": "tea"}}, as xmltodict has it. None
        when there is no body, or one of another type. Raises HttpError 400 when it is not
        well-formed or has a document type, which may hold entities.
        """
        if self._xml is None:
            self._xml = self._read_xml()
        return self._xml

    def _read_xml(self) -> dict[str, Any] | None:
        kind = self.media_type
        if not self.body or not (kind in XML or kind.endswith(b"+xml")):
            return None
        parameters = (self.content_type or "").partition(";")[2]
        try:
            return tree.load(self.body, charset(parameters) or None)
        except BadWireData as error:
            raise HttpError(400, f"The body cannot be read as XML: {error}.") from None

    @property
    def files(self) -> dict[str, UploadedFile | list[UploadedFile]]:
        """The files of an upload by the names of their fields; a list where there are several.

        They are deleted after the request, unless they have been moved (`UploadedFile.save`).
        """
        files: dict[str, Any] = {}
        for name, value in self.upload.parts if self.upload else ():
            if isinstance(value, UploadedFile):
                urlencoded.add(files, name, value)
        return files

    @property
    def args(self) -> dict[str, Any]:
        """What comes with the request, by name: the query, then the fields of the body.

        Those are of a form, files included, or the members of a JSON object. A name that comes
        several times has a list, in order. Raises HttpError 400 when they cannot be read.
        """
        if self._args is None:
            self._args = self._read_args()
        return self._args

    def _read_args(self) -> dict[str, Any]:
        args: dict[str, Any] = {}
        _, question, query = self.target.partition(b"?")
        try:
            if question:
                urlencoded.load(query.decode("ascii"), args)
            if self.upload is None and self.body and self.media_type == FORM:
                urlencoded.load(self.body.decode("utf-8"), args)
        except ValueError as error:
            raise HttpError(400, f"The query or the form cannot be read: {error}.") from None
        if self.upload is not None:
            for name, value in self.upload.parts:
                urlencoded.add(args, name, value)
        elif self.body and isinstance(self.json, dict):
            for name, value in self.json.items():
                urlencoded.add(args, name, value)
        return args

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri} from {self.remote_addr or 'a unix socket'}>"


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """(host and port, path and query) of a request target.

    Only the absolute form names a host. It must be accepted from any client, and counts for more
    than the Host field (RFC 9112 section 3.2.2).
    """
    if target.startswith(b"/") or b"://" not in target:
        return b"", target
    rest = target.partition(b"://")[2]
    end = next((at for at, byte in enumerate(rest) if byte in b"/?#"), len(rest))
    path = rest[end:]
    return rest[:end].rpartition(b"@")[2], path if path.startswith(b"/") else b"/" + path


def decode_path(target: bytes) -> str:
    """The path of a request target, percent-decoded once. Raises ValueError if it is not UTF-8."""
    raw = target.partition(b"?")[0].decode("ascii")
    return raw if b"%" not in target else unquote(raw, errors="strict")
