"""`was.request.headers`: the header fields of a request as a mapping. A view; it keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping


class Headers(Mapping[str, str]):
    """Names without regard to case, in the order in which they came; the first of a name counts.

    was.request.headers["User-Agent"]
    """

    __slots__ = ("_fields", "_find")

    def __init__(
        self, fields: list[tuple[bytes, bytes]], find: Callable[[str], str | None]
    ) -> None:
        """find: the value of the first field of a name."""
        self._fields = fields
        self._find = find

    def __getitem__(self, name: str) -> str:
        value = self._find(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __iter__(self) -> Iterator[str]:
        seen = set()
        for name, _ in self._fields:
            key = name.lower()
            if key not in seen:
                seen.add(key)
                yield name.decode("latin-1")

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._fields})

    def get_all(self, name: str) -> list[str]:
        """All values of a name, in order; [] if there is none."""
        key = name.lower().encode("latin-1", "replace")
        found = (value for each, value in self._fields if each.lower() == key)
        return [value.decode("latin-1").strip(" \t") for value in found]

    def __repr__(self) -> str:
        return f"<Headers {dict(self)}>"
