"""The statements that one connection has prepared. Pure.

`PREPARED_MAX` of them at most; of more, the one not used for longest makes room.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count

PREPARED_MAX = 100  # as of psycopg; each takes memory in its server process

Key = bytes | tuple[bytes, tuple[int, ...]]  # text, and the types of parameters if there are any


class Prepared:
    """The book of one connection."""

    __slots__ = ("_names", "_numbers")

    def __init__(self) -> None:
        self._names: OrderedDict[Key, bytes] = OrderedDict()  # the least recently used first
        self._numbers = count(1)

    def name(self, key: Key) -> bytes | None:
        """What a statement is called; None: it is not prepared."""
        name = self._names.get(key)
        if name is not None:
            self._names.move_to_end(key)
        return name

    def surplus(self) -> bytes | None:
        """What must go before another one is prepared, and is not here any more; None: nothing."""
        if len(self._names) < PREPARED_MAX:
            return None
        return self._names.popitem(last=False)[1]

    def add(self, key: Key) -> bytes:
        """The name for one more."""
        name = self._names[key] = b"skitai_%d" % next(self._numbers)
        return name

    def forget(self, key: Key) -> None:
        """It is not prepared any more."""
        self._names.pop(key, None)
