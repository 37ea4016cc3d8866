"""Answers of members that are kept to be given again: a book in the memory of one worker.

Used on the loop only; no I/O, no clock. Its law:

- All answers together, with what the book costs, are never more than the limit. The least recently
  used go first.
- One answer takes an eighth of it at most, so that a large one does not push out all others.
- Of one key there are several answers if they vary by fields of the request, `VARIANTS` at most.

Each worker has a book of its own and is its only writer, so nothing is locked and nothing on disk
can be half written. The price is that each worker asks the member once, and that a change that
comes through one worker (POST, PUT, DELETE) makes that worker forget the old answer; the others
give it as long as it is fresh, as any cache on another way to the member would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import proxy_cache_rules as rules
from .proxy_cache_rules import Fields, Terms

SHARE = 8  # of the limit is the most that one answer takes
VARIANTS = 8
OVERHEAD = 1024  # bytes that an answer costs besides its body and fields, roughly


class Kept:
    """One answer. lines: of the header, as clients get them; fields: as the member had them.

    names, values: the request fields it varies by, and what they said.
    """

    __slots__ = (
        "body",
        "code",
        "fields",
        "lines",
        "names",
        "reason",
        "size",
        "terms",
        "values",
    )

    def __init__(
        self,
        code: int,
        reason: bytes,
        fields: Fields,
        lines: bytes,
        body: bytes,
        terms: Terms,
        names: tuple[bytes, ...],
        values: tuple[bytes, ...],
    ) -> None:
        self.code = code
        self.reason = reason
        self.fields = fields
        self.lines = lines
        self.body = body
        self.terms = terms
        self.names = names
        self.values = values
        self.size = OVERHEAD + len(body) + 2 * len(lines) + sum(map(len, values))

    def with_body(self, body: bytes) -> Kept:
        """The same, when its body is here."""
        return Kept(
            self.code,
            self.reason,
            self.fields,
            self.lines,
            body,
            self.terms,
            self.names,
            self.values,
        )

    def field(self, name: bytes) -> bytes | None:
        """The first field of this lower-case name."""
        return next((value for key, value in self.fields if key.lower() == name), None)


class Store:
    """limit: bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.hits = 0  # requests answered from here
        self.misses = 0  # that could have been, but were passed on
        self._answers: dict[bytes, list[Kept]] = {}  # by key, in the order of their last use

    def __len__(self) -> int:
        return sum(map(len, self._answers.values()))

    @property
    def largest(self) -> int:
        """Bytes of a body beyond which it is not kept."""
        return self.limit // SHARE

    def find(self, key: bytes, known: Mapping[bytes, list[bytes]]) -> Kept | None:
        """The answer for a request with these fields, fresh or not."""
        found = self._answers.get(key)
        if found is None:
            return None
        for kept in reversed(found):  # the newest, if what it varies by was changed (section 4.1)
            if not kept.names or rules.selected(kept.names, known) == kept.values:
                del self._answers[key]
                self._answers[key] = found
                return kept
        return None

    def keep(self, key: bytes, kept: Kept) -> None:
        """Take in an answer, in place of one for the same requests."""
        before = self._answers.get(key, [])
        self.drop(key)
        after = [each for each in before if (each.names, each.values) != (kept.names, kept.values)]
        if kept.size <= self.largest:
            after.append(kept)
        if after:
            self._answers[key] = after = after[-VARIANTS:]
            self.size += _cost(key, after)
        while self.size > self.limit:
            self.drop(next(iter(self._answers)))

    def drop(self, key: bytes) -> None:
        """Forget all answers of a key."""
        found = self._answers.pop(key, None)
        if found is not None:
            self.size -= _cost(key, found)

    def status(self) -> dict[str, Any]:
        """For `was.cachefs`."""
        return {
            "answers": len(self),
            "bytes": self.size,
            "max_bytes": self.limit,
            "hits": self.hits,
            "misses": self.misses,
        }


def _cost(key: bytes, answers: list[Kept]) -> int:
    """Bytes. Who asks chooses the key, and may choose a long one."""
    return len(key) + sum(each.size for each in answers)
