"""Header fields on their way through the proxy. Pure.

What is meant for one connection stays there: the fields that RFC 9110 section 7.6.1 names, those
that `Connection` names, and the framing, which is made anew. All others pass as they came, bytes,
order, case and repetitions; nothing is decoded.

What a client says of those before it is dropped, unless the client is a trusted proxy, whose lists
we add to. So a member that trusts us can believe what it reads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

Fields = list[tuple[bytes, bytes]]
Apart = dict[bytes, list[bytes]]

_HOP = {
    *(b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te"),
    *(b"content-length", b"trailer"),
}
_LISTS = (b"x-forwarded-for", b"forwarded")
_OF_REQUEST = frozenset(
    {
        *(_HOP | set(_LISTS)),
        *(b"host", b"expect", b"via", b"max-forwards", b"x-request-id", b"proxy-authorization"),
        *(b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-port"),
    }
)
_OF_RESPONSE = frozenset({*_HOP, b"date", b"location", b"proxy-authenticate"})
# Never in a trailer section (RFC 9110 section 6.5.1): what frames, routes, authenticates.
_NOT_TRAILING = frozenset(
    {
        *_OF_REQUEST,
        *(b"authorization", b"cookie", b"set-cookie", b"content-type", b"content-encoding"),
        *(b"content-range", b"cache-control", b"age", b"expires", b"vary", b"date", b"location"),
    }
)
_KEEP_ALIVE = [b"keep-alive"]
_OURS = frozenset({b"close", b"keep-alive", b"upgrade", b"te"})

_STATUS_LINES: dict[tuple[int, bytes], bytes] = {}


class Split(NamedTuple):
    """lines: what passes, one for each field. apart: all values of what does not, by name."""

    lines: list[bytes]
    apart: Apart


def of_request(fields: Fields) -> Split:
    """The header of a request."""
    return _split(fields, _OF_REQUEST)


def of_response(fields: Fields) -> Split:
    """The header of a response."""
    return _split(fields, _OF_RESPONSE)


def _split(fields: Fields, names: frozenset[bytes]) -> Split:
    lines: list[bytes] = []
    apart: Apart = {}
    for name, value in fields:
        lower = name.lower()
        if b"_" in lower and lower.replace(b"_", b"-") in names:
            continue  # a member behind CGI or WSGI would take it for the one with a dash
        if lower in names:
            if lower in apart:
                apart[lower].append(value)
            else:
                apart[lower] = [value]
        else:
            lines.append(b"%b: %b\r\n" % (name, value))
    connection = apart.get(b"connection")
    if connection is not None and connection != _KEEP_ALIVE:
        named = tokens(connection) - _OURS
        if named:
            lines = [line for line in lines if line.partition(b":")[0].lower() not in named]
    return Split(lines, apart)


def tokens(values: list[bytes]) -> set[bytes]:
    """The members of a list, in lower case."""
    return {each.strip(b" \t").lower() for each in b",".join(values).split(b",")}


def trailer_lines(fields: Fields) -> bytes:
    """A trailer section: what of it may pass."""
    return b"".join(
        b"%b: %b\r\n" % (name, value) for name, value in fields if name.lower() not in _NOT_TRAILING
    )


@lru_cache(1024)
def forwarded(peer: str, scheme: str, host: bytes) -> bytes:
    """The lines that say whom a request is for (RFC 7239). host: as the client has called it."""
    return extended(peer, scheme, host, {})


def extended(peer: str, scheme: str, host: bytes, before: Apart) -> bytes:
    """The same, added to what trusted proxies have said before.

    peer: whom we have it from. scheme and host: what the client has used, as they say.
    """
    address = peer.encode() or b"unknown"
    node = b'"[%b]"' % address if b":" in address else address
    element = b"for=%b;proto=%b" % (node, scheme.encode())
    if host:
        element += b';host="%b"' % host
    hops = b", ".join([*before.get(b"x-forwarded-for", ()), address])
    elements = b", ".join([*before.get(b"forwarded", ()), element])
    lines = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (hops, scheme.encode())
    if host:
        lines += b"X-Forwarded-Host: %b\r\n" % host
    return lines + b"Forwarded: %b\r\n" % elements


def status_line(code: int, reason: bytes) -> bytes:
    """As the member has it; the version is ours."""
    key = (code, reason)
    line = _STATUS_LINES.get(key)
    if line is None:
        line = b"HTTP/1.1 %d %b\r\n" % key
        if len(_STATUS_LINES) < 256:  # a member may have any number of reasons
            _STATUS_LINES[key] = line
    return line


def location(value: bytes, host: bytes, prefix: bytes) -> bytes:
    """Where a member sends the client, as the client must ask for it.

    host: what the member was called. prefix: what was taken off the path, b"" for nothing.
    """
    for scheme in (b"http://", b"https://"):
        start = scheme + host
        if value.startswith(start) and value[len(start) : len(start) + 1] in (b"", b"/", b"?"):
            value = value[len(start) :]
            value = value if value.startswith(b"/") else b"/" + value
            break
    is_ours = value.startswith(b"/") and not value.startswith(b"//")
    if not is_ours or value == prefix or value.startswith((prefix + b"/", prefix + b"?")):
        return value
    return prefix + value


def interim(code: int, reason: bytes, fields: Fields) -> bytes:
    """An interim response (RFC 9110 section 15.2)."""
    return b"%b%b\r\n" % (status_line(code, reason), b"".join(of_response(fields).lines))
