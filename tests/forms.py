"""Forms as browsers send them, by the rules of the HTML standard (multipart/form-data encoding)."""

from __future__ import annotations

from dataclasses import dataclass

BOUNDARY = "----WebKitFormBoundaryq7Cx2m"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class File:
    """A file that a person has chosen; an input that was left empty has no name and no content."""

    name: str
    content: bytes
    kind: str = "application/octet-stream"


Entries = list[tuple[str, str | File]]


def encoded(entries: Entries, boundary: str = BOUNDARY) -> bytes:
    """The body of a form with these entries."""
    parts = b"".join(part(name, value, boundary) for name, value in entries)
    return parts + f"--{boundary}--\r\n".encode()


def part(name: str, value: str | File, boundary: str = BOUNDARY) -> bytes:
    """One entry."""
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="{escaped(name)}"'
    if isinstance(value, File):
        start += f'; filename="{escaped(value.name)}"\r\nContent-Type: {value.kind}'
        content = value.content
    else:
        content = value.encode()
    return start.encode() + b"\r\n\r\n" + content + b"\r\n"


def escaped(name: str) -> str:
    return name.replace("\n", "%0A").replace("\r", "%0D").replace('"', "%22")
