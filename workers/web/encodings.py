"""Which content codings a client takes (RFC 9110 section 12.5.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache

CODINGS = ("br", "zstd", "gzip")  # what we can send, in the order we would choose
LONG = 512  # characters of a field; a longer one is not looked at, browsers send thirty

_MEMBER = re.compile(r"([^\s;,]+)[ \t]*(?:;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?)[ \t]*)?")
_ALIASES = {"x-gzip": "gzip"}  # section 8.4.1.3


def preferred(accept: str) -> tuple[str, ...]:
    """The codings that a client likes no less than the plain form, the best first.

    accept: its Accept-Encoding field, "" if it sent none.
    """
    return _preferred(accept) if 0 < len(accept) <= LONG else ()


def choose(codings: tuple[str, ...], offered: Container[str]) -> str:
    """The first of them that is offered; "" is the plain form."""
    for coding in codings:
        if coding in offered:
            return coding
    return ""


@lru_cache(maxsize=256)  # there are a few browsers, and each always says the same
def _preferred(accept: str) -> tuple[str, ...]:
    weights: dict[str, float] = {}
    for member in accept.split(","):
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is not None:  # else a mistake, and its coding is one that was not named
            name = match[1].lower()
            weights[_ALIASES.get(name, name)] = float(match[2] or 1)
    others = weights.get("*", 0.0)
    plain = weights.get("identity", others)
    liked = {coding: weights.get(coding, others) for coding in CODINGS}
    best = [coding for coding in CODINGS if liked[coding] > 0 and liked[coding] >= plain]
    return tuple(sorted(best, key=lambda coding: -liked[coding]))
