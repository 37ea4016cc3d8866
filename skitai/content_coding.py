"""Content codings of what members answer (RFC 9110 section 8.4): removed, with a cap. Pure.

Slow, so it is for the thread that waits, never for the loop. gzip and deflate come with Python;
br and zstd are taken, and asked for, when they can be imported (`skitai[compress]`).

A few bytes may stand for gigabytes, so bodies are decoded in small pieces, and the size is looked
at after each: no more than `MOST` and one piece's worth is ever held.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from skitai.errors import SkitaiError

try:
    import brotli
except ImportError:
    brotli = None
try:
    import zstandard
except ImportError:
    zstandard = None

MOST = 64 * 1024 * 1024  # bytes of a decoded body, as of one that is not coded
CODINGS_MAX = 5  # on top of each other; nobody sends more than two and means well

_PIECE = 1024  # bytes of input at a time: with zstd at the worst 32 MiB of output, with gzip 1
_BROTLI_STEP = 1024 * 1024  # bytes of output at a time
_ZSTD_WINDOW = 8 * 1024 * 1024  # bytes; a sender may not use more (RFC 9659)


class BadContentCoding(SkitaiError):
    """A body that cannot be decoded; the message is the end of a sentence on its sender."""


def decoded(body: bytes, codings: list[str], most: int = MOST) -> bytes | None:
    """The body without its codings; None: it has one that is not known here.

    codings: in the order in which they were applied. A body without a byte stays as it is: an
    answer to HEAD, or a 304. Raises BadContentCoding for a body that is broken, cut off, or
    would have more than `most` bytes.
    """
    if not all(coding in _DECODERS for coding in codings):
        return None
    if len(codings) > CODINGS_MAX:
        raise BadContentCoding(f"sent a body that is coded {len(codings)} times over")
    for coding in reversed(codings):
        if body:
            body = _joined(coding, body, most)
    return body


def names(fields: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The codings of a body by its header fields, in the order in which they were applied."""
    values = [value for name, value in fields if name.lower() == b"content-encoding"]
    tokens = b",".join(values).decode("latin-1").lower().split(",")
    return [token for each in tokens if (token := each.strip()) not in ("", "identity")]


def _joined(coding: str, body: bytes, most: int) -> bytes:
    pieces, size = [], 0
    try:
        for piece in _DECODERS[coding](body):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise BadContentCoding(f"sent {coding} that stands for more than {most} bytes")
    except _ERRORS as error:
        raise BadContentCoding(f"sent something that is not {coding}: {error}") from None
    except EOFError:
        raise BadContentCoding(f"sent {coding} that ends too soon") from None
    return b"".join(pieces)


class _Decoder(Protocol):
    """One member of a gzip body, one frame of a zstd one."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _members(body: bytes, decoder: Callable[[], _Decoder]) -> Iterator[bytes]:
    """Members one behind the other, as gzip (RFC 1952 section 2.2) and zstd allow."""
    at = 0
    while at < len(body):
        member = decoder()
        while not member.eof:
            if at >= len(body):
                raise EOFError
            piece = body[at : at + _PIECE]
            at += len(piece)
            yield member.decompress(piece)
        at -= len(member.unused_data)


def _gzip(body: bytes) -> Iterator[bytes]:
    return _members(body, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS))


def _deflate(body: bytes) -> Iterator[bytes]:
    """zlib's format (RFC 9110 section 8.4.1.2), or the bare one that some send in its place."""
    # RFC 1950 section 2.2: the low bits are the method, and the two bytes a multiple of 31.
    is_zlib = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    bits = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
    return _members(body, lambda: zlib.decompressobj(bits))


def _brotli(body: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    for at in range(0, len(body), _PIECE):
        yield decoder.process(body[at : at + _PIECE], output_buffer_limit=_BROTLI_STEP)
        while not decoder.can_accept_more_data():
            yield decoder.process(b"", output_buffer_limit=_BROTLI_STEP)
    if not decoder.is_finished():
        raise EOFError


def _zstd(body: bytes) -> Iterator[bytes]:
    frames = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    return _members(body, frames.decompressobj)


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {"gzip": _gzip, "deflate": _deflate}
_ERRORS: tuple[type[Exception], ...] = (zlib.error,)
if brotli is not None:
    _DECODERS["br"] = _brotli
    _ERRORS += (brotli.error,)
if zstandard is not None:
    _DECODERS["zstd"] = _zstd
    _ERRORS += (zstandard.ZstdError,)

# What an ask says that its sender can decode.
ACCEPTED = f"Accept-Encoding: {', '.join(_DECODERS)}\r\n".encode()

_DECODERS["x-gzip"] = _gzip  # RFC 9110 section 8.4.1.3
