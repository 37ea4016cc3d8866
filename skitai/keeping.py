"""What an app says of the result cache: before a call for how long, and with results in hand."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

from skitai.decoding import Decode
from skitai.engine import Call, Engine, Keep, Reply
from skitai.errors import WrongUse
from skitai.results import Result, Status

FIT_CODE = 200  # other answers are of the moment: errors, redirects, parts


class Keeping(NamedTuple):
    """`cache=` and `stale=` of a call."""

    seconds: float
    stale: float

    def of(self, decode: Decode) -> Keep:
        """The same for a call whose replies are decoded so."""
        return Keep(self.seconds, self.stale, partial(_is_fit, decode))


def wanted(cache: float | None, stale: float) -> Keeping | None:
    """None for a call that is not to be kept. Raises WrongUse."""
    if cache is None:
        if stale:
            raise WrongUse("stale= goes on where cache= ends; write cache=60, stale=300")
        return None
    return Keeping(_seconds("cache", cache), _seconds("stale", stale))


class Source:
    """The call that results come from. A `skitai.results.Source`."""

    __slots__ = ("_call", "_engine", "_fit")

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._call = call
        self._fit = 0  # results that may be kept

    def gave(self, result: Result) -> None:
        """One result of it was decoded, and not filtered yet."""
        self._fit += result.status is Status.NORMAL and result.code == FIT_CODE
        result.source = self

    @property
    def members(self) -> int:
        return len(self._call.nodes)

    @property
    def cached_time(self) -> float:
        return self._call.cached_time

    def cache(self, timeout: float) -> None:
        if timeout <= 0:
            self.expire()
        elif self._fit == len(self._call.nodes) and not self._call.cached_time:
            self._engine.keep(self._call, _seconds("timeout", timeout))

    def expire(self) -> None:
        self._engine.forget(self._call)


def _is_fit(decode: Decode, reply: Reply) -> bool:
    result = decode(reply)
    return result.ok and result.code == FIT_CODE


def _seconds(name: str, value: float) -> float:
    if not 0.0 <= value < math.inf:  # which NaN is not either
        raise WrongUse(f"{name}={value!r} is not a number of seconds from 0 on")
    return value
