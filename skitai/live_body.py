"""A request body that is sent while it is made: what an iterator gives, in chunks.

For apps that say `Transfer-Encoding: chunked`, as not all servers take that. The iterator runs on
the handler's own thread, by `run`, when the call is out already; the loop sends what is there. All
of it is kept, in memory or a temporary file, so it can be sent again, and to several members at
once.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator

from skitai.errors import WrongUse

IN_MEMORY = 1024 * 1024  # bytes; beyond them it goes to a temporary file
PIECE = 256 * 1024  # bytes that are read at once


class LiveBody:
    """An `Upload` whose length nobody knows. Read by any thread, while one thread runs it."""

    length = None

    def __init__(self, pieces: Iterable[object]) -> None:
        self._source: Iterable[object] | None = pieces  # None: it was run, or is
        self._spool = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # see __del__
        self._lock = threading.Lock()
        self._size = 0
        self._waiting: list[Callable[[], None]] = []
        self.is_whole = False
        self.has_failed = False  # the iterator has raised: what is there is not all

    def __del__(self) -> None:
        self._spool.close()

    def run(self) -> None:
        """Read all of the iterator. Once; later calls do nothing.

        Raises what it raises, or WrongUse for a piece that is not str or bytes.
        """
        source, self._source = self._source, None
        if source is None:
            return
        try:
            for piece in source:
                self._add(_checked(piece))
        except BaseException:
            self.has_failed = True
            raise
        finally:
            self.is_whole = not self.has_failed
            self._tell()

    def read(self, at: int) -> bytes:
        """Some of what is there from this place on; b"" if there is no more, or not yet."""
        with self._lock:
            self._spool.seek(at)
            return self._spool.read(PIECE)

    def when_more(self, at: int, tell: Callable[[], None]) -> None:
        """Call `tell`, on any thread, when there is more than this, or the end of it.

        More than once at worst.
        """
        with self._lock:
            self._waiting.append(tell)
            is_there = self._size > at
        if is_there or self.is_whole or self.has_failed:
            self._tell()

    def pieces(self) -> Iterator[bytes]:
        """See `Upload`; runs the iterator if nobody has done so."""
        self.run()
        at = 0
        while piece := self.read(at):
            at += len(piece)
            yield piece

    def _add(self, piece: bytes) -> None:
        with self._lock:
            self._spool.seek(self._size)
            self._spool.write(piece)
            self._size += len(piece)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for tell in waiting:
            tell()


def _checked(piece: object) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if not isinstance(piece, bytes):
        raise WrongUse(
            f"the iterator for a body gave a {type(piece).__name__}; its pieces are str or bytes"
        )
    return piece
