"""What a call brings back: one `Result` per member, `Results` for all of them.

Nothing here raises for a member's failure: `status` says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, overload


class Status(IntEnum):
    """How a call to one member ended. An IntEnum, so `result.status == 3` works."""

    NOT_CONNECTED = 0
    TIMEOUT = 1
    FAILED = 2  # network, protocol, fault
    NORMAL = 3


class Result:
    """The answer of one member.

    status: see `Status`.
    data: text for text types (charset honoured), bytes for others, the Python value for RPC;
        "" unless the status is NORMAL. A filter may replace it.
    code: the HTTP status or RPC fault code; 0 when nothing came back.
    msg: the reason in words.
    node: "host:port" of the member that answered, or was asked.
    elapsed: seconds from sending to the answer, or to giving up.
    headers: response header fields in order, names in lower case.
    """

    __slots__ = ("code", "data", "elapsed", "headers", "msg", "node", "status")

    def __init__(
        self,
        status: Status,
        data: Any,
        code: int,
        msg: str,
        node: str,
        elapsed: float,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.status = status
        self.data = data
        self.code = code
        self.msg = msg
        self.node = node
        self.elapsed = elapsed
        self.headers = headers

    @property
    def ok(self) -> bool:
        """True when the member gave a normal answer."""
        return self.status is Status.NORMAL

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

    @property
    def failed(self) -> list[Result]:
        """Those that did not answer normally."""
        return [result for result in self._results if not result.ok]

    def __repr__(self) -> str:
        return f"Results({list(self._results)!r})"
