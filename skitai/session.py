"""`was.session`: what a client was given to keep, sealed so that it can neither read nor change it.

Nothing is kept on the server: all workers and servers that have the same securekey share all
sessions. `Sessions` is one per worker and has no state; a `Session` is one per request, used by
its handler alone.

In the seal are JSON and the time at which it is over. It is sent again when something has
changed, nested values included, or half of its time has passed; else nothing is sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from typing import Any

import msgspec

from skitai import cookie
from skitai.cookie import Expires
from skitai.errors import SessionTooLarge
from skitai.seal import Seal, sealed_length

COOKIE_MAX = 4096  # bytes of name, = and value; browsers keep no more (RFC 6265 section 6.1)

# What is sealed for it opens as nothing else. The number is that of `_Payload`.
_PURPOSE = b"session 1"
_ALL = f"{cookie.SESSION}="


class _Payload(msgspec.Struct, array_like=True):
    """What is sealed."""

    over: int  # epoch seconds
    seconds: int  # the session's own lifetime; 0: as the conf says
    values: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_UNFIT = (TypeError, ValueError, OverflowError, RecursionError)  # what encoding raises
_decode_payload = msgspec.json.Decoder(_Payload)


class Sessions:
    """Opens the session of each request.

    timeout: seconds without a request after which a session is over, at least 1.
    """

    def __init__(self, seal: Seal, timeout: int) -> None:
        self.seal = seal
        self.timeout = timeout

    def open(self, header: str | None, is_secure: bool) -> Session:
        """The session in a request's Cookie field.

        An empty one if there is none, it is over, or it is not as one of us has sealed it. Of
        several, which a neighbouring domain may have added, the first that is.
        """
        for name, text in cookie.pairs(header or ""):
            if name == cookie.SESSION and (payload := self._payload(text)) is not None:
                return Session(self, payload, is_secure)
        return Session(self, None, is_secure)

    def _payload(self, text: str) -> _Payload | None:
        if len(_ALL) + len(text) > COOKIE_MAX:  # none of ours; spare us the work
            return None
        plain = self.seal.open(text, _PURPOSE)
        if plain is None:
            return None
        payload = _decode_payload.decode(plain)
        return payload if time.time() < payload.over else None


class Session(MutableMapping[str, Any]):
    """A dict with str keys, and values that JSON carries: they come back with the next request.

        was.session["user"] = "hansroh"
        was.session.get("user")
        del was.session["user"]

    `del` of a key that is not there is fine. About 3,000 bytes of JSON fit.
    """

    __slots__ = ("_came", "_is_secure", "_seconds", "_sessions", "_values")

    def __init__(self, sessions: Sessions, came: _Payload | None, is_secure: bool) -> None:
        self._sessions = sessions
        self._came = came
        self._is_secure = is_secure
        self._seconds = came.seconds if came else 0
        self._values: dict[str, Any] = _decode.decode(came.values) if came else {}

    def set(self, key: str, value: Any) -> None:
        """Keep a value. Raises TypeError for a key that is not a str."""
        if not isinstance(key, str):
            raise TypeError(f"was.session[{key!r}]: the key is a {type(key).__name__}; give a str")
        self._values[key] = value

    def has_key(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def commit(self, expires: Expires = None) -> None:
        """Find out now what the end of the request would, and set how long this session lasts.

        Nothing need be committed: the server does it when the handler has returned, with what
        was set until then.

        expires: as in `was.cookie.set`: seconds without a request, kept with the session;
            "now" or 0 clears it. None: as it was, which is sessiontimeout of the conf at first.
        Raises TypeError for a value that JSON does not carry, SessionTooLarge, and ValueError for
        another `expires`.
        """
        now = time.time()
        seconds = cookie.lifetime(expires, now)
        if seconds == 0:
            self.clear()
        elif seconds is not None:
            self._seconds = seconds
        self._payload(now)

    def field(self, now: float) -> tuple[str, str] | None:
        """The header field that tells the client of all changes; None if there are none.

        now: epoch seconds. Raises as `commit`.
        """
        if not self._values:
            return self._field("", 0, now) if self._came else None
        payload = self._payload(now)
        if payload is None:
            return None
        text = self._sessions.seal.seal(payload, _PURPOSE)
        return self._field(text, self._lifetime, now)

    @property
    def _lifetime(self) -> int:
        return self._seconds or self._sessions.timeout

    def _payload(self, now: float) -> bytes | None:
        """What is to be sealed; None if what the client has is as good."""
        try:
            values = _encode(self._values)
        except _UNFIT:
            raise TypeError(self._complaint()) from None
        came = self._came
        if came is None or values != bytes(came.values) or self._seconds != came.seconds:
            if _decode.decode(values) != self._values:
                raise TypeError(self._complaint())
        elif now < came.over - self._lifetime / 2:
            return None
        over = int(now) + self._lifetime
        payload = _encode(_Payload(over, self._seconds, msgspec.Raw(values)))
        size = len(_ALL) + sealed_length(len(payload))
        if size > COOKIE_MAX:
            raise SessionTooLarge(self._too_large(size))
        return payload

    def _complaint(self) -> str:
        key = next(key for key, value in self._values.items() if not _is_carried({key: value}))
        return (
            f"was.session[{key!r}] is a {type(self._values[key]).__name__} that is or holds what"
            " JSON cannot bring back as it is; keep None, bool, int, float, str, lists of these"
            " and dicts with str keys"
        )

    def _too_large(self, size: int) -> str:
        sizes = {key: len(_encode(value)) for key, value in self._values.items()}
        key = max(sizes, key=sizes.__getitem__)
        return (
            f"the session is a cookie of {size} bytes, and browsers keep none over {COOKIE_MAX};"
            f" the largest value is was.session[{key!r}] with {sizes[key]} bytes of JSON; store it"
            " on the server, and in the session only its key"
        )

    def _field(self, text: str, seconds: int, now: float) -> tuple[str, str]:
        text = cookie.line(cookie.SESSION, text, seconds, now, secure=self._is_secure)
        return "Set-Cookie", text

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    __setitem__ = set

    def __delitem__(self, key: str) -> None:
        self._values.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _is_carried(values: dict[str, Any]) -> bool:
    try:
        return _decode.decode(_encode(values)) == values
    except _UNFIT:
        return False
