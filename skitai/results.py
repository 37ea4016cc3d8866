"""What a call brings back: one `Result` per member, `Results` for all of them.

Nothing here raises for a member's failure: `status` says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, Protocol, overload

import msgspec

from skitai.errors import BadWireData, CallFailed, DeadlinePassed
from skitai.pages import phrase


class Status(IntEnum):
    """How a call to one member ended. An IntEnum, so `result.status == 3` works."""

    NOT_CONNECTED = 0
    TIMEOUT = 1
    FAILED = 2  # network, protocol, fault
    NORMAL = 3


class Source(Protocol):
    """The call that results come from: what their `cache` and `expire` act on."""

    @property
    def members(self) -> int:
        """How many results it has."""

    @property
    def cached_time(self) -> float:
        """When they were put into the result cache, epoch seconds; 0.0: they were not."""

    def cache(self, timeout: float) -> None:
        """Keep them, if they may be kept."""

    def expire(self) -> None:
        """Forget what is kept of them."""


class Result:
    """The answer of one member.

    status: see `Status`.
    data: text for text types (charset honoured), bytes for others, the Python value for RPC;
        "" unless the status is NORMAL. A filter may replace it.
    code: the HTTP status or RPC fault code, of a database the SQLSTATE of an error; 0 when nothing
        came back.
    msg: the reason in words.
    node: "host:port" of the member that answered, or was asked.
    elapsed: seconds from sending to the answer, or to giving up.
    retries: other members that were asked besides the first, as repeats or hedges.
    """

    __slots__ = (
        "_fields",
        "_headers",
        "code",
        "data",
        "elapsed",
        "msg",
        "node",
        "retries",
        "source",
        "status",
    )

    def __init__(
        self,
        status: Status,
        data: Any,
        code: int | str,
        msg: str,
        node: str,
        elapsed: float,
        fields: tuple[tuple[bytes, bytes], ...] = (),
        retries: int = 0,
    ) -> None:
        """fields: of the response's header, as they came."""
        self.status = status
        self.data = data
        self.code = code
        self.msg = msg
        self.node = node
        self.elapsed = elapsed
        self._fields = fields
        self._headers: tuple[tuple[str, str], ...] | None = None
        self.retries = retries
        self.source: Source | None = None

    @property
    def ok(self) -> bool:
        """True when the member gave a normal answer."""
        return self.status is Status.NORMAL

    def throw(self) -> Result:
        """The result itself if it is normal: `was.wget(url).getwait(2).throw().data`.

        Raises DeadlinePassed if there was no answer in time, CallFailed for any other failure.
        """
        if not self.ok:
            raise DeadlinePassed(self) if self.status is Status.TIMEOUT else CallFailed(self)
        return self

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Response header fields in order, names in lower case."""
        if self._headers is None:  # few look at them
            self._headers = tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in self._fields
            )
        return self._headers

    @property
    def text(self) -> str:
        """The data as text; bytes as UTF-8, with a replacement character for what is none."""
        data = self.data
        return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)

    @property
    def reason(self) -> str:
        """Why there is no normal answer, else what its HTTP status means: "Not Found"."""
        return self.msg or (phrase(self.code) if isinstance(self.code, int) else self.code)

    def json(self) -> Any:
        """The data, read as JSON. Raises BadWireData for what is none, with who sent it."""
        if not self.ok:
            raise BadWireData(f"no JSON from {self.node}, {self}")
        try:
            return msgspec.json.decode(self.data)
        except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError) as error:
            raise BadWireData(f"{self.node} has not sent JSON: {error}") from None

    @property
    def is_cached(self) -> bool:
        """True when it comes from the result cache, and nobody was asked."""
        return self.cached_time > 0.0

    @property
    def cached_time(self) -> float:
        """When it was put into the result cache, epoch seconds; 0.0 when it is fresh."""
        return self.source.cached_time if self.source is not None else 0.0

    def cache(self, timeout: float = 300.0) -> Result:
        """Have whoever asks the same get this answer for so many seconds; 0 is `expire`.

        In this worker, or with `result_cache` in the conf in all that share it. Only a normal
        answer with HTTP status 200 that is not from the cache is kept, else nothing happens; nor
        for one result of a map, of which `Results.cache` keeps all. What is kept is what came,
        before any filter. Gives the result itself. Raises WrongUse for what is no time.
        """
        if self.source is not None and self.source.members == 1:
            self.source.cache(timeout)
        return self

    def expire(self) -> None:
        """Have the result cache forget the answer to what was asked; see `cache`."""
        if self.source is not None and self.source.members == 1:
            self.source.expire()

    def get_header(self, name: str, default: str | None = None) -> str | None:
        """The first response header field of this name, case ignored."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key == wanted), default)

    def __str__(self) -> str:
        if self.ok:
            return str(self.data)
        where = "" if self.node in self.msg else f"{self.node}: "
        return f"{where}{self.status.name.lower().replace('_', ' ')}: {self.msg}"

    def __repr__(self) -> str:
        return (
            f"<Result {self.node} {self.status.name} {self.code} {self.msg!r} {self.elapsed:.3f}s>"
        )


class SqlResult(Result):
    """The answer of one database.

    data: a list of rows (`skitai.rows.Row`), [] for a statement that has none.
    columns: their names, in order.
    rowcount: rows that came, or that were inserted, changed or deleted; -1 if that is not known.
    code: 200, or the SQLSTATE of an error: five characters.
    """

    __slots__ = ("columns", "rowcount")

    def __init__(
        self,
        status: Status,
        data: Any,
        code: int | str,
        msg: str,
        node: str,
        elapsed: float,
        fields: tuple[tuple[bytes, bytes], ...] = (),
        retries: int = 0,
        columns: tuple[str, ...] = (),
        rowcount: int = -1,
    ) -> None:
        super().__init__(status, data, code, msg, node, elapsed, fields, retries)
        self.columns = columns
        self.rowcount = rowcount


class Results(Sequence[Result]):
    """The answers of all members, in the order of the members in the conf."""

    __slots__ = ("_results",)

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = tuple(results)

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | Sequence[Result]:
        return self._results[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    @property
    def status(self) -> list[Status]:
        """The status of each member."""
        return [result.status for result in self._results]

    @property
    def ok(self) -> bool:
        """True when every member gave a normal answer."""
        return all(result.ok for result in self._results)

    def throw(self) -> Results:
        """The results themselves if all are normal. Raises what the first that is not would."""
        for result in self._results:
            result.throw()
        return self

    @property
    def is_cached(self) -> bool:
        """True when all of them come from the result cache, and nobody was asked."""
        return all(result.is_cached for result in self._results)

    def cache(self, timeout: float = 300.0) -> Results:
        """Have whoever asks the same get these answers for so many seconds; see `Result.cache`.

        All members' answers to a call are kept, or none: each must be normal, with status 200.
        """
        for source in self._sources():
            source.cache(timeout)
        return self

    def expire(self) -> None:
        """Have the result cache forget the answers to what was asked."""
        for source in self._sources():
            source.expire()

    def _sources(self) -> list[Source]:
        """One for each call."""
        found = {id(each.source): each.source for each in self._results if each.source is not None}
        return list(found.values())

    @property
    def normal(self) -> list[Result]:
        """Those that answered normally."""
        return [result for result in self._results if result.ok]

    @property
    def failed(self) -> list[Result]:
        """Those that did not answer normally."""
        return [result for result in self._results if not result.ok]

    def __repr__(self) -> str:
        return f"Results({list(self._results)!r})"
