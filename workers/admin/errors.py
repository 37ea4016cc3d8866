"""The errors of one worker: what was logged at level error or above, those alike together.

A handler of the logging module, so it hears of all that goes wrong, in apps and in the worker
itself, on whatever thread. It runs there, under the lock that the logging module holds for it, and
does nothing but put the record into a small book. Alike is what was logged by the same line of
code, for an exception of the same kind that was raised by the same line.
"""

from __future__ import annotations

import logging
from types import TracebackType

import msgspec

from .document import Failure

KEPT = 50  # then those go that were heard of the longest ago
TEXT_MAX = 20_000  # characters of a message, and of the end of a traceback

Alike = tuple[object, ...]


class _Entry(msgspec.Struct):
    first: float
    count: int
    last: Failure


class Errors(logging.Handler):
    """The book of one worker."""

    def __init__(self, ordinal: int) -> None:
        super().__init__(logging.ERROR)
        self._ordinal = ordinal
        self._book: dict[Alike, _Entry] = {}  # the one heard of last is last
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        try:
            self._note(record)
        except Exception:  # a message whose arguments do not fit; the log says so, too
            self.handleError(record)

    def book(self) -> list[Failure]:
        """The newest first."""
        self.acquire()
        try:
            return [each.last for each in reversed(self._book.values())]
        finally:
            self.release()

    def _note(self, record: logging.LogRecord) -> None:
        alike = _alike(record)
        known = self._book.pop(alike, None)
        if known is None and len(self._book) >= KEPT:
            del self._book[next(iter(self._book))]
        first = record.created if known is None else known.first
        count = 1 if known is None else known.count + 1
        trace = ""
        if record.exc_info:
            trace = self._formatter.formatException(record.exc_info)
        failure = Failure(
            at=record.created,
            first=first,
            count=count,
            worker=self._ordinal,
            logger=record.name,
            message=_encodable(record.getMessage()[:TEXT_MAX]),
            traceback=_encodable(trace[-TEXT_MAX:]),
            request=getattr(record, "request_id", ""),
        )
        self._book[alike] = _Entry(first, count, failure)


def _encodable(text: str) -> str:
    """With lone surrogates spelled out: of a name of a file, or of what a client sent as JSON."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _alike(record: logging.LogRecord) -> Alike:
    where = (record.pathname, record.lineno)
    if not record.exc_info or record.exc_info[1] is None:
        return where
    kind, _, trace = record.exc_info
    return (*where, kind, *_raised_at(trace))


def _raised_at(trace: TracebackType | None) -> tuple[object, ...]:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return () if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
