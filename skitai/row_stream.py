"""A large result, read from a cursor of the server batch by batch, as its rows are taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from msgspec.structs import replace

from skitai.engine import Sql
from skitai.errand import Errand, gone
from skitai.errors import TransactionFailed
from skitai.results import Result
from skitai.rows import Row
from skitai.transaction import Transaction

BATCH = 500  # rows; so a batch is some ten kilobytes, and costs little against its round trip

_CURSOR = b"skitai_rows"


class RowStream:
    """The rows, once, for a plain loop or an async one. Ends its transaction however it is left."""

    def __init__(self, transaction: Transaction, ask: Sql, batch: int, errand: Errand) -> None:
        self._transaction = transaction
        self._declare = replace(
            ask, text=b"DECLARE %b NO SCROLL CURSOR FOR %b" % (_CURSOR, ask.text), idempotent=False
        )
        self._fetch = Sql(b"FETCH %d FROM %b" % (batch, _CURSOR), (), (), (), False, ask.request)
        self._batch = batch
        self._errand = errand

    def __iter__(self) -> Iterator[Row]:
        with self._transaction as tx:
            self._errand.holds(tx)
            try:
                self._rows(tx.send(self._declare).getwait())
                while True:
                    rows = self._rows(tx.send(self._fetch).getwait())
                    yield from rows
                    if len(rows) < self._batch:
                        break
            finally:
                self._errand.let_go(tx)

    async def __aiter__(self) -> AsyncIterator[Row]:
        async with self._transaction as tx:
            self._errand.holds(tx)
            try:
                self._rows(await tx.send(self._declare))
                while True:
                    rows = self._rows(await tx.send(self._fetch))
                    for row in rows:
                        yield row
                    if len(rows) < self._batch:
                        break
            finally:
                self._errand.let_go(tx)

    def _rows(self, result: Any) -> list[Row]:
        assert isinstance(result, Result)
        if result.ok:
            rows: list[Row] = result.data
            return rows
        if self._errand.is_client_gone:
            raise gone()
        state = result.code if isinstance(result.code, str) else ""
        raise TransactionFailed(f"the rows have ended: {result}", state)
