"""What a shared cache may keep of members' answers, and when it may use it (RFC 9111). Pure.

Stricter than the RFC where that is safer:

- Only what says itself how long it is fresh is kept: nothing is guessed from Last-Modified.
- Answers with Set-Cookie are not kept, nor those to requests with Authorization.
- Answers to requests with cookies are kept, and given to such, only if they are marked for all:
  `public` or `s-maxage`. An app that forgets `Vary: Cookie` must not show a user's page to others.
- `private` and `no-cache` with field names count as without them.

Times are wall-clock seconds, as those of HTTP are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

Fields = list[tuple[bytes, bytes]]

# Statuses whose meaning does not depend on more than is kept. 206 is a part, 304 is of another one.
KEPT = frozenset({200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501})
ERRORS = frozenset({500, 502, 503, 504})  # for stale-if-error (RFC 5861 section 4)
FOREVER = 2**31  # seconds; section 1.2.2: a number that is too large is this

_DIRECTIVE = re.compile(
    rb'[\s,]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s",]*)))?'
)
# Conditions and parts that are the member's to judge.
_APART = (b"range", b"if-range", b"if-match", b"if-unmodified-since", b"authorization")
# Fields that the proxy writes itself, and that are not in the key.
_OURS = frozenset((b"x-forwarded-for", b"forwarded", b"via", b"x-request-id"))


class Wish(NamedTuple):
    """What a request lets a cache do. Ages in seconds.

    has_cookies: only what is marked for all may be used, and kept.
    """

    must_ask: bool = False
    only_if_kept: bool = False
    max_age: int | None = None
    min_fresh: int = 0
    max_stale: int = 0
    has_cookies: bool = False


class Terms(NamedTuple):
    """Under which a kept answer may be used.

    lifetime: of its freshness, from its making on. initial_age: when it was received.
    received: when that was. is_strict: never to be used when it is stale. stale_if_error: how long
    it may, if the member fails. is_for_all: also to requests with cookies.
    """

    lifetime: float
    initial_age: float
    received: float
    is_strict: bool
    stale_if_error: float
    is_for_all: bool

    def age(self, now: float) -> float:
        """Section 4.2.3."""
        return self.initial_age + max(0.0, now - self.received)


def grouped(fields: Fields) -> dict[bytes, list[bytes]]:
    """All values of each field, by its name in lower case."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(value)
    return found


def directives(values: Iterable[bytes]) -> dict[bytes, bytes]:
    """Cache-Control (section 5.2), names in lower case; b"" for those without an argument.

    Of one that comes twice the lesser argument counts, as the stricter one.
    """
    found: dict[bytes, bytes] = {}
    for name, quoted, bare in _DIRECTIVE.findall(b",".join(values)):
        argument = quoted or bare
        key = name.lower()
        if key in found:
            argument = min(found[key], argument, key=_seconds)
        found[key] = argument
    return found


def wish(method: str, known: Mapping[bytes, list[bytes]]) -> Wish | None:
    """What a request without a body wants; None: it has nothing to do with a cache."""
    if method not in ("GET", "HEAD") or any(name in known for name in _APART):
        return None
    given = directives(known.get(b"cache-control", ()))
    if b"no-store" in given:
        return None
    must_ask = b"no-cache" in given
    if b"cache-control" not in known:  # section 5.4
        must_ask = any(b"no-cache" in value.lower() for value in known.get(b"pragma", ()))
    max_stale = 0
    if b"max-stale" in given:
        max_stale = _seconds(given[b"max-stale"]) if given[b"max-stale"] else FOREVER
    return Wish(
        must_ask,
        b"only-if-cached" in given,
        _seconds(given[b"max-age"]) if b"max-age" in given else None,
        _seconds(given.get(b"min-fresh", b"0")),
        max_stale,
        b"cookie" in known,
    )


def terms(
    code: int, known: Mapping[bytes, list[bytes]], wanted: Wish, asked: float, now: float
) -> Terms | None:
    """How an answer may be used; None: it must not be kept (section 3).

    known: its fields. asked, now: when it was asked for, and received.
    """
    given = directives(known.get(b"cache-control", ()))
    if code not in KEPT or not given.keys().isdisjoint((b"no-store", b"private")):
        return None
    if b"set-cookie" in known or varies_by(known) is None:
        return None
    is_for_all = b"public" in given or b"s-maxage" in given
    if wanted.has_cookies and not is_for_all:
        return None
    lifetime = _lifetime(given, known, now)
    has_validator = b"etag" in known or b"last-modified" in known
    if lifetime is None or (lifetime <= 0 and not has_validator):
        return None
    must_ask = b"no-cache" in given
    if must_ask and not has_validator:
        return None
    made = date(known.get(b"date", ()))
    age = _seconds(known[b"age"][0].strip()) if b"age" in known else 0
    apparent = max(0.0, now - made) if made is not None else 0.0
    strict = (b"must-revalidate", b"proxy-revalidate", b"s-maxage", b"no-cache")
    return Terms(
        0.0 if must_ask else lifetime,
        max(apparent, age + max(0.0, now - asked)),
        now,
        not given.keys().isdisjoint(strict),
        _seconds(given.get(b"stale-if-error", b"0")),
        is_for_all,
    )


def _lifetime(
    given: Mapping[bytes, bytes], known: Mapping[bytes, list[bytes]], now: float
) -> float | None:
    """Section 4.2.1; None if the answer does not say."""
    for name in (b"s-maxage", b"max-age"):
        if name in given:
            return _seconds(given[name])
    if b"expires" in known:
        until = date(known[b"expires"])
        made = date(known.get(b"date", ()))
        # Section 5.3: what is no date is past.
        return 0.0 if until is None else until - (now if made is None else made)
    return 0.0 if b"no-cache" in given else None


def is_usable(kept: Terms, wanted: Wish, now: float) -> bool:
    """Whether an answer may be used without asking the member (section 4)."""
    if wanted.must_ask or (wanted.has_cookies and not kept.is_for_all):
        return False
    age = kept.age(now)
    if wanted.max_age is not None and age > wanted.max_age:
        return False
    left = kept.lifetime - age
    if left > 0:
        return left >= wanted.min_fresh
    return not kept.is_strict and wanted.max_stale > -left


def is_usable_on_error(kept: Terms, wanted: Wish, now: float) -> bool:
    """Whether it may be used because the member fails (RFC 5861 section 4)."""
    if kept.is_strict or (wanted.has_cookies and not kept.is_for_all):
        return False
    return kept.age(now) - kept.lifetime < kept.stale_if_error


def varies_by(known: Mapping[bytes, list[bytes]]) -> tuple[bytes, ...] | None:
    """The request fields that an answer depends on, sorted; None: on more than fields tell."""
    names = {name.strip().lower() for name in b",".join(known.get(b"vary", ())).split(b",")}
    names.discard(b"")
    if b"*" in names or not names.isdisjoint(_OURS):
        return None
    return tuple(sorted(names))


def selected(names: Iterable[bytes], known: Mapping[bytes, list[bytes]]) -> tuple[bytes, ...]:
    """What a request says in these fields (section 4.1); those that are not there are b""."""
    return tuple(b", ".join(value.strip() for value in known.get(name, ())) for name in names)


def refreshed(before: Fields, news: Fields) -> Fields:
    """The fields of a kept answer, after a 304 for it (section 3.2)."""
    fixed = {b"content-length", b"content-encoding", b"content-type", b"content-range", b"etag"}
    # How old it was is not how old it is, even if the 304 does not say that.
    changed = ({name.lower() for name, _ in news} | {b"age"}) - fixed
    kept = [(name, value) for name, value in before if name.lower() not in changed]
    return kept + [(name, value) for name, value in news if name.lower() in changed]


def date(values: Iterable[bytes]) -> float | None:
    """An HTTP date (RFC 9110 section 5.6.7); None for what is none."""
    for value in values:
        try:
            found = parsedate_to_datetime(value.decode("latin-1"))
            return found.timestamp() if found.tzinfo is not None else None
        except (ValueError, OverflowError):
            return None
    return None


def _seconds(text: bytes) -> int:
    """Section 1.2.2; what is no number is 0, as the stricter reading."""
    return min(int(text), FOREVER) if text.isdigit() and len(text) < 20 else 0
