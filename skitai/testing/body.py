"""The body of a request that a test makes: what a browser would send, and what a worker would
make of it before a handler sees it.

Forms with files are not parsed: their parts go straight to where a worker puts them, and files to
a directory of their own, which is removed after the request.
"""

from __future__ import annotations

import io
import json
import mimetypes
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from skitai.errors import WrongUse
from skitai.upload import Upload, UploadedFile
from skitai.wire import urlencoded

File = str | os.PathLike[str] | IO[bytes] | tuple[str, bytes | str] | tuple[str, bytes | str, str]
Files = Mapping[str, File | list[File]]
Data = Mapping[str, Any] | str | bytes

_BOUNDARY = b"----boundary of skitai.testing"
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers do


class Body(NamedTuple):
    """kind: the content type, "" if none is known. upload: the parts of a form with files."""

    kind: str
    data: bytes
    upload: Upload | None = None


class _File(NamedTuple):
    remote: str
    content: bytes
    kind: str


def of_data(data: Data | None) -> Body:
    """Of a form, or as it is. Raises WrongUse for another type."""
    match data:
        case None:
            return Body("", b"")
        case bytes():
            return Body("", data)
        case str():
            return Body("", data.encode())
        case Mapping():
            return Body("application/x-www-form-urlencoded", urlencoded.dump(data))
    raise WrongUse(f"data is a {type(data).__name__}; give a mapping for a form, a str or bytes")


def of_json(value: Any) -> Body:
    """Of a JSON value. Raises TypeError for what JSON cannot carry."""
    return Body("application/json", json.dumps(value).encode())


def of_files(data: Data | None, files: Files) -> Body:
    """Of a form with files. Raises WrongUse, or OSError for a file that cannot be read."""
    if data is not None and not isinstance(data, Mapping):
        raise WrongUse("with files=, data is a mapping: the other fields of the form")
    parts: list[tuple[str, str | _File]] = []
    for name, value in (data or {}).items():
        values = value if isinstance(value, list | tuple) else [value]
        parts += [(name, str(each)) for each in values]
    for name, file in files.items():
        each_file = file if isinstance(file, list) else [file]
        parts += [(name, _read(each)) for each in each_file]
    raw = _multipart(parts)
    return Body(f'multipart/form-data; boundary="{_BOUNDARY.decode()}"', raw, _stored(parts))


def _read(file: Any) -> _File:
    match file:
        case str() | os.PathLike():
            return _typed(os.path.basename(file), Path(file).read_bytes())
        case (str(name), str() | bytes() as content):
            return _typed(name, content)
        case (str(name), str() | bytes() as content, str(kind)):
            return _File(name, _bytes(content), kind)
        case io.IOBase():
            return _typed(os.path.basename(getattr(file, "name", "")), file.read())
    raise WrongUse(
        f"a file is {file!r}; give its path, an open file, or (name, content) or"
        " (name, content, content type)"
    )


def _typed(name: str, content: str | bytes) -> _File:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _File(name, _bytes(content), kind)


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _multipart(parts: list[tuple[str, str | _File]]) -> bytes:
    """As it is sent (RFC 7578)."""
    pieces: list[bytes] = []
    for name, part in parts:
        head = f'Content-Disposition: form-data; name="{name.translate(_ESCAPES)}"'
        if isinstance(part, _File):
            head += f'; filename="{part.remote.translate(_ESCAPES)}"\r\nContent-Type: {part.kind}'
        content = part.content if isinstance(part, _File) else part.encode()
        pieces.append(b"--%b\r\n%b\r\n\r\n%b\r\n" % (_BOUNDARY, head.encode(), content))
    return b"".join(pieces) + b"--%b--\r\n" % _BOUNDARY


def _stored(parts: list[tuple[str, str | _File]]) -> Upload:
    """As a worker leaves it to the request."""
    directory = tempfile.mkdtemp(prefix="skitai-testing-")
    stored: list[tuple[str, str | UploadedFile]] = []
    for number, (name, part) in enumerate(parts):
        if isinstance(part, str):
            stored.append((name, part))
        elif not part.remote and not part.content:  # an input for a file that was left empty
            stored.append((name, ""))
        else:
            local = Path(directory, str(number))
            local.write_bytes(part.content)
            remote = part.remote.replace("\\", "/").rpartition("/")[2]
            kind = part.kind.partition(";")[0].strip().lower()
            stored.append((name, UploadedFile(kind, str(local), remote, len(part.content))))
    return Upload(stored, partial(shutil.rmtree, directory))
