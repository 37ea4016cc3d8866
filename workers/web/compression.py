"""Bodies made smaller. Pure, and slow: some milliseconds for 64 KiB, so not for the loop.

gzip is always there; brotli and zstandard are when they are installed (`skitai[compress]`).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

from . import encodings

try:
    from brotli import compress as brotli_compress
except ImportError:
    brotli_compress = None
try:
    from zstandard import ZstdCompressor
except ImportError:
    ZstdCompressor = None

MIN_SIZE = 1024  # bytes; what fits into one packet anyway is not worth the work

# Levels for responses made while somebody waits.
_BROTLI_QUALITY = 5
_ZSTD_LEVEL = 3
_GZIP_LEVEL = 6

_TEXTLIKE = frozenset(
    {
        "application/json",
        "application/javascript",
        "application/xml",
        "application/wasm",
        "application/rtf",
        "font/ttf",
        "font/otf",
        "image/bmp",
        "image/x-icon",
    }
)


def compressed(body: bytes, accept: str, content_type: str) -> tuple[str, bytes] | None:
    """(coding, smaller body) in the coding that the client likes best; None: send it as it is.

    accept: the client's Accept-Encoding field, "" if it sent none. The response then varies by
    that field, also when this is None. Bodies below MIN_SIZE bytes and types that are packed
    already are left alone.
    """
    if len(body) < MIN_SIZE or not is_compressible(content_type):
        return None
    coding = encodings.choose(encodings.preferred(accept), CODERS)
    if not coding:
        return None
    smaller = CODERS[coding](body)
    return (coding, smaller) if len(smaller) < len(body) else None


def is_compressible(content_type: str) -> bool:
    """Whether a body of this type is likely to become much smaller."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXTLIKE or kind.endswith(("+json", "+xml"))


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)  # no time: the same body, the same bytes


CODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip}
if brotli_compress is not None:
    CODERS["br"] = lambda body: brotli_compress(body, quality=_BROTLI_QUALITY)
if ZstdCompressor is not None:
    CODERS["zstd"] = lambda body: ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
