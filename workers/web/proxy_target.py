"""What a member is asked for when a request below a prefix is passed on. Pure.

The route was found by the decoded path, the member gets the path as it came, so both must mean
the same. What could make a member see another path than the one that was looked at is refused:

- dot segments, encoded ones (`%2e%2e`, `..%2f`), behind backslashes, with parameters (`..;`) too
- NUL and other control characters
- a prefix whose slashes are encoded, which would not be found at its start
- a rest that begins with two slashes: a target like `//host/path` names another host to some
- a fragment, which is no part of a target (RFC 9112 section 3.2.1)
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

# What makes a second look necessary. Most paths have none of it.
_ODD = re.compile(rb"%|/\.|//|\\|#|\.\.")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SLASHES = re.compile(r"[/\\]")
_TWO_SLASHES = re.compile(r"[/\\]{2}")


class Odd(ValueError):
    """A path that is not passed on; the text says why."""


def member_target(target: bytes, path: str, base: str, keep_prefix: bool) -> bytes:
    """The origin form that goes to the member (RFC 9112 section 3.2.1). Raises Odd.

    target: path and query as they came. path: decoded. base: the prefix of the route without
    trailing slash, "" for the root; the path is below it.
    """
    raw, mark, query = target.partition(b"?")
    is_odd = _ODD.search(raw) is not None
    if is_odd:
        _check(raw, path, base)
    if base and not (keep_prefix and not is_odd):
        rest = _behind(raw, base)
        raw = raw if keep_prefix else rest or b"/"
    return raw + mark + query


def _check(raw: bytes, path: str, base: str) -> None:
    if b"#" in raw:
        raise Odd("The request target has a fragment.")
    if _CONTROL.search(path):
        raise Odd("The path has a control character.")
    segments = _SLASHES.split(path)
    if any(each.partition(";")[0] in (".", "..") for each in segments):
        raise Odd("The path has a segment of dots.")
    if _TWO_SLASHES.match(path, len(base)):
        raise Odd("The path begins with two slashes.")


def _behind(raw: bytes, base: str) -> bytes:
    """What of a path as it came stands behind the prefix, however that is encoded."""
    prefix = base.encode()
    if raw.startswith(prefix) and raw[len(prefix) : len(prefix) + 1] in (b"", b"/"):
        return raw[len(prefix) :]
    depth = base.count("/") + 1
    pieces = raw.split(b"/", depth)
    if [unquote_to_bytes(piece) for piece in pieces[:depth]] != prefix.split(b"/"):
        raise Odd("The path has an encoded slash in its prefix.")
    return b"/" + pieces[depth] if len(pieces) > depth else b""
