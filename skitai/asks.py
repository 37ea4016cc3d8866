"""From what an app writes to the bytes of a request: `Ask`s. Pure, but for files that are read."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from skitai import address, fields, multipart_form
from skitai.content_coding import ACCEPTED
from skitai.engine import Ask, Upload
from skitai.errors import WrongUse
from skitai.file_body import FileBody, part_of, spooled
from skitai.live_body import LiveBody
from skitai.wire import urlencoded

Headers = Mapping[str, str]
Login = str | tuple[str, str]
Params = Any  # a mapping, str, bytes, an open file or an iterator of bytes; see `WAS.wget`

FOLLOWED = 10  # redirects with `follow = True`; curl has 50, browsers 20, nobody needs either

_FORM = b"application/x-www-form-urlencoded"
_BINARY = b"application/octet-stream"
_JSON = b"application/json"

_CODING = "transfer-encoding"

_METHOD = re.compile(r"[A-Z][A-Z-]*")
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))  # RFC 9110, 9.2.2
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))  # these take params as their body, others as query

_OURS = {"user-agent": b"User-Agent: Skitai\r\n", "accept-encoding": ACCEPTED}
_ALL_OURS = b"".join(_OURS.values())

_encode = msgspec.json.Encoder().encode


class Given(NamedTuple):
    """Header lines that an app gives, ready for the wire.

    names: in lower case; what we would send by ourselves under one of them is left out.
    """

    lines: bytes = b""
    names: frozenset[str] = frozenset()

    def joined(self, other: Given) -> Given:
        """Both. Raises WrongUse for a field that is in both."""
        twice = self.names & other.names
        if twice:
            raise WrongUse(f"headers: {', '.join(sorted(twice))} was given with the handle already")
        return Given(self.lines + other.lines, self.names | other.names)


NONE_GIVEN = Given()


def given(headers: Headers | None, login: Login | None) -> Given:
    """Raises WrongUse for a field that would break the header, or is not the app's to send."""
    if headers is None and login is None:
        return NONE_GIVEN
    names: set[str] = set()
    lines: list[str] = []
    for name, value in (headers or {}).items():
        if name.lower() == _CODING and value.strip().lower() == "chunked":
            names.add(_CODING)  # the line is ours to write, if the body is one that can be sent so
            continue
        try:
            fields.checked_to_send(name, value)
        except ValueError as error:
            raise WrongUse(f"headers: {error}") from None
        names.add(name.lower())
        lines.append(f"{name}: {value}\r\n")
    if login is not None:
        if "authorization" in names:
            raise WrongUse("login= makes an Authorization field, and headers= has another one")
        names.add("authorization")
        lines.append(f"Authorization: {basic(login)}\r\n")
    return Given("".join(lines).encode("latin-1"), frozenset(names))


def basic(login: Login) -> str:
    """The credentials of Basic authentication (RFC 7617), as UTF-8.

    login: "user:password", "user/password" if there is no colon, or a pair. Raises WrongUse,
    without repeating what was given.
    """
    if isinstance(login, str):
        user, sign, password = login.partition(":")
        if not sign:
            user, sign, password = login.partition("/")
        if not sign:
            raise WrongUse('login has no password: write login="user:password", or a pair')
    else:
        user, password = login
    if ":" in user:
        raise WrongUse("login: RFC 7617 has no form for a user name with a colon")
    try:
        pair = fields.checked_text("login", f"{user}:{password}").encode()
    except ValueError:
        raise WrongUse("login holds a control character, or half a surrogate pair") from None
    return f"Basic {base64.b64encode(pair).decode()}"


def http(
    target: bytes,
    method: str | None = None,
    params: Params = None,
    json: Any = None,
    *,
    multipart: bool = False,
    given: Given = NONE_GIVEN,
    follow: bool | int = False,
    passed: bytes = b"",
) -> Ask:
    """A request for a page; see `WAS.wget` for what the arguments mean.

    Raises WrongUse for what cannot be sent, TypeError for a value JSON cannot carry, OSError for a
    file that cannot be read.
    """
    times = FOLLOWED if follow is True else int(follow)
    if method is None:
        if params is None and json is None and _CODING not in given.names:
            start = b"GET %b HTTP/1.1\r\n" % target
            return Ask(start, _ours(given) + given.lines, b"", True, True, times, passed)
        method = "POST"
    method = _checked_method(method)
    kind: bytes = b""
    body: bytes | Upload = b""
    is_live = _CODING in given.names
    if params is not None and (json is not None or method not in _WITH_BODY):
        target = _with_query(target, params)
    elif params is not None:
        kind, body = _body(params, multipart=multipart, is_live=is_live)
    if json is not None:
        kind, body = _JSON, _encode(json)
    lines = _ours(given) + given.lines
    if isinstance(body, LiveBody):
        lines = b"%bTransfer-Encoding: chunked\r\n" % lines
    elif is_live:
        raise WrongUse("Transfer-Encoding: chunked is for a body that an iterator makes")
    elif kind or method in _WITH_BODY:
        length = len(body) if isinstance(body, bytes) else body.length
        assert length is not None
        lines = b"%bContent-Length: %d\r\n" % (lines, length)
    if kind and "content-type" not in given.names:
        lines = b"%bContent-Type: %b\r\n" % (lines, kind)
    return Ask(
        b"%b %b HTTP/1.1\r\n" % (method.encode("ascii"), target),
        lines,
        body,
        idempotent=method in _IDEMPOTENT,
        expects_body=method != "HEAD",
        follow=times,
        passed=passed,
    )


@lru_cache(64)
def _checked_method(method: str) -> str:
    method = method.upper()
    if not _METHOD.fullmatch(method) or method == "CONNECT":
        raise WrongUse(f"method={method!r} is none that a server can be asked with")
    return method


def get(target: bytes) -> Ask:
    """A plain GET."""
    return http(target)


def post(
    target: bytes, kind: bytes, body: bytes, given: Given = NONE_GIVEN, passed: bytes = b""
) -> Ask:
    """A POST of a body of this type. Raises WrongUse if it shall be chunked."""
    if _CODING in given.names:
        raise WrongUse("Transfer-Encoding: chunked is for a body that an iterator makes")
    lines = b"%b%bContent-Type: %b\r\nContent-Length: %d\r\n" % (
        _ours(given),
        given.lines,
        kind,
        len(body),
    )
    start = b"POST %b HTTP/1.1\r\n" % target
    return Ask(start, lines, body, idempotent=False, passed=passed)


def _ours(given: Given) -> bytes:
    if not given.names:
        return _ALL_OURS
    return b"".join(line for name, line in _OURS.items() if name not in given.names)


def _with_query(target: bytes, params: Params) -> bytes:
    match params:
        case Mapping():
            _refuse_files(params)
            query = urlencoded.dump(params)
        case str():
            query = address.quoted_query(params).encode("ascii")
        case _:
            raise WrongUse(f"params for the query is a {type(params).__name__}; give a mapping")
    if not query:
        return target
    return b"%b%b%b" % (target, b"&" if b"?" in target else b"?", query)


def _body(
    params: Params, *, multipart: bool, is_live: bool = False
) -> tuple[bytes, bytes | Upload]:
    """(content type, body)"""
    match params:
        case Mapping():
            if multipart:
                return multipart_form.encoded(params)
            _refuse_files(params)
            return _FORM, urlencoded.dump(params)
        case _ if multipart:
            raise WrongUse(
                f"params is a {type(params).__name__}; a multipart form is made of a mapping"
            )
        case bytes():
            return _FORM, params
        case str():
            return _FORM, params.encode("utf-8")
        case _ if hasattr(params, "read"):
            return _BINARY, FileBody([part_of(params)])
        case Iterator():
            return _BINARY, LiveBody(params) if is_live else spooled(params)
    raise WrongUse(
        f"params is a {type(params).__name__}; give a mapping for a form, or as the body a str,"
        " bytes, an open file or an iterator of bytes"
    )


def _refuse_files(params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        if hasattr(value, "read"):
            raise WrongUse(f"{name} is a file: forms with files are sent with multipart=True")
