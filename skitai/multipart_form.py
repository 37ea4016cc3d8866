"""Forms with files, as they are sent: multipart/form-data (RFC 7578). Pure, but for its files."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from skitai.file_body import FileBody, FilePart, part_of
from skitai.upload import UploadedFile

_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers do (WHATWG HTML)
_BINARY = "application/octet-stream"


def encoded(fields: Mapping[str, Any]) -> tuple[bytes, FileBody]:
    """(content type, body) of a form.

    fields: a value is text, bytes, an open file, a file that a client has uploaded, or a list of
        such, which gives its name several times; anything else is sent as its str. An open file
        is named by its `name`, and its type is that of its name.
    Raises OSError for a file that cannot be read.
    """
    boundary = secrets.token_hex(16)  # 128 bits: no need to look whether a file holds it
    parts: list[bytes | FilePart] = []
    for name, value in fields.items():
        for each in value if isinstance(value, list | tuple) else (value,):
            head, content = _part(name, each)
            parts += (f"--{boundary}\r\n{head}\r\n\r\n".encode(), content, b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}".encode(), FileBody(_joined(parts))


def _part(name: str, value: Any) -> tuple[str, bytes | FilePart]:
    """(header, content)"""
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if isinstance(value, UploadedFile):
        with value.open() as file:
            return _file(head, value.filename, value["mimetype"] or _BINARY, part_of(file))
    if hasattr(value, "read"):
        given = getattr(value, "name", None)  # a descriptor's number for a file without a name
        remote = PurePath(given).name if isinstance(given, str) else name
        kind = mimetypes.guess_type(remote)[0] or _BINARY
        return _file(head, remote, kind, part_of(value))
    return head, value if isinstance(value, bytes) else str(value).encode()


def _file(
    head: str, remote: str, kind: str, content: bytes | FilePart
) -> tuple[str, bytes | FilePart]:
    return f'{head}; filename="{_quoted(remote)}"\r\nContent-Type: {kind}', content


def _quoted(name: str) -> str:
    return name.translate(_ESCAPES)


def _joined(parts: list[bytes | FilePart]) -> list[bytes | FilePart]:
    """The same with bytes beside bytes made one: each part is written by itself."""
    joined: list[bytes | FilePart] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return joined
