"""multipart/form-data (RFC 7578): the bytes of a body in, fields and pieces of files out.

Pure. The text of fields is kept until a field is complete, within the limits; of files nothing
is kept. What is found does not depend on how the body is cut into pieces. Whatever is malformed
is 400, whatever is over a limit 413; nothing is repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from multipart import ParserError, ParserLimitReached, PushMultipartParser

from skitaid.workers.settings import Limits

from .framing import Refusal

# RFC 2046 section 5.1.1. Outside of quotes clients send more than a token may have.
_PARAMETER = re.compile(rb';[ \t]*boundary="?([^";]*)', re.IGNORECASE)
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]+")  # in lower case

# Of one without a type, or with one that is none; RFC 7578 section 4.4 means fields.
OF_A_FILE = "application/octet-stream"


class Field(NamedTuple):
    """A field, complete."""

    name: str
    text: str


class FileBegins(NamedTuple):
    """A file; its bytes follow, in pieces, then FileEnds."""

    name: str
    remote: str
    mimetype: str


class FileEnds(NamedTuple):
    """It had so many bytes."""

    size: int


Event = Field | FileBegins | FileEnds | bytes


def boundary_of(content_type: bytes) -> bytes:
    """What separates the parts. Raises Refusal."""
    found = _PARAMETER.findall(content_type)
    if not found:
        raise Refusal(400, "The Content-Type of a multipart body has no boundary.")
    boundary: bytes = found[0].rstrip(b" \t")
    if len(found) > 1 or not _BOUNDARY.fullmatch(boundary):
        raise Refusal(400, "The boundary in Content-Type is none (RFC 2046 section 5.1.1).")
    return boundary


class PartReader:
    """Reads one body."""

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        self._limits = limits
        self._parser: Any = PushMultipartParser(boundary)
        self._first = b"--" + boundary
        self._start: bytes | None = b""  # of the body, until it is seen to be right
        self._count = 0
        self._part: Any = None  # whose header has come, but not its end
        self._size = 0  # of its content
        self._text: bytearray | None = None  # its content if it is a field
        self._text_size = 0  # of all fields
        self._is_announced = False  # FileBegins is out

    def feed(self, data: bytes) -> Iterator[Event]:
        """What is found in the next bytes; all of it must be taken. Raises Refusal."""
        if self._start is not None:
            data = self._start = self._start + data
            if len(data) < len(self._first) + 2:
                return
            # A text before the first boundary would be allowed, but nobody sends one, and who
            # names another boundary need not send gigabytes until we are sure.
            if not data.startswith((self._first, b"\r\n" + self._first)):
                raise Refusal(400, "The body does not begin with the boundary of its type.")
            self._start = None
        try:
            for event in self._parser.parse(data):
                if isinstance(event, bytes):
                    yield from self._content(event)
                elif event is None:
                    yield from self._end_part()
                else:
                    self._begin_part(event)
        except (ParserError, ParserLimitReached) as error:
            raise Refusal(400, f"The multipart body cannot be read: {error.args[0]}.") from None

    def end(self) -> None:
        """The body is over. Raises Refusal if it is cut off."""
        try:
            self._parser.close()
        except ParserError:
            raise Refusal(400, "The multipart body is cut off: it has no last boundary.") from None

    def _begin_part(self, part: Any) -> None:
        self._count += 1
        if self._count > self._limits.upload_parts:
            limit = self._limits.upload_parts
            raise Refusal(413, f"The upload has more than {limit} parts (max_upload_parts).")
        if not part.name:
            raise Refusal(400, "A part has no name in its Content-Disposition.")
        self._part = part
        self._size = 0
        self._text = bytearray() if part.filename is None else None
        self._is_announced = False

    def _content(self, piece: bytes) -> Iterator[Event]:
        self._size += len(piece)
        if self._text is not None:
            self._text += piece
            self._check_field(len(piece))
            return
        if self._size > self._limits.upload_file_size:
            limit = self._limits.upload_file_size
            raise Refusal(413, f"A file is larger than {limit} bytes (max_upload_file_size).")
        if not self._is_announced:
            yield self._file_begins()
        yield piece

    def _check_field(self, more: int) -> None:
        limits = self._limits
        if self._size > limits.upload_field_size:
            limit = limits.upload_field_size
            raise Refusal(413, f"A field is larger than {limit} bytes (max_upload_field_size).")
        self._text_size += more
        if self._text_size > limits.body_size:  # they are in memory, as if it were no upload
            limit = limits.body_size
            raise Refusal(413, f"All fields are larger than {limit} bytes (max_body_size).")

    def _end_part(self) -> Iterator[Event]:
        if self._text is not None:
            yield Field(self._part.name, self._decoded(self._text))
        elif not self._size and not self._part.filename:
            yield Field(self._part.name, "")  # an input for a file that was left empty
        else:
            if not self._is_announced:
                yield self._file_begins()
            yield FileEnds(self._size)

    def _file_begins(self) -> FileBegins:
        self._is_announced = True
        part = self._part
        kind = part.content_type or ""
        if not _MEDIA_TYPE.fullmatch(kind):  # apps show it, and send it on in headers
            kind = OF_A_FILE
        return FileBegins(part.name, bare_name(part.filename), kind)

    def _decoded(self, text: bytearray) -> str:
        # What browsers send is UTF-8, whatever the page is in. Clients that say otherwise mean
        # this; other names of encodings are not looked up for a stranger.
        charset = "latin-1" if (self._part.charset or "").lower() == "iso-8859-1" else "utf-8"
        try:
            return text.decode(charset)
        except UnicodeDecodeError:
            raise Refusal(400, f"The field {self._part.name} is not UTF-8.") from None


def bare_name(name: str) -> str:
    """A file name without directories and control characters (RFC 7578 section 4.2).

    What some browsers send as a path is cut to its last part; "" if that is no name.
    """
    last = _CONTROL.sub("", name.replace("\\", "/").rpartition("/")[2]).strip()
    return "" if last in (".", "..") else last
