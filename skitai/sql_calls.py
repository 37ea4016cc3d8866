"""Handles for databases: what `was.db`, `was.dlb` and `was.dmap` give back."""

from __future__ import annotations

from skitai import rows, sql
from skitai.collecting import Filter
from skitai.engine import DatabaseMembers, DatabaseServer, Engine, Held, Reach
from skitai.errand import Errand
from skitai.errors import WrongUse
from skitai.handle import DEFAULT_TIMEOUT, Handle
from skitai.keeping import Keeping
from skitai.request import Request
from skitai.row_stream import BATCH, RowStream
from skitai.sql import Params
from skitai.transaction import Isolation, Transaction

STREAM_TIMEOUT = 30.0  # seconds for each batch of a stream, which may have to be sorted first


class SqlHandle(Handle):
    """Databases: `s.execute("SELECT name FROM cities WHERE id = %s", (5,))` sends a statement.

    Several statements may be out at once; they go over connections of their own, and may run in any
    order. For those that belong together there is `transaction`.
    """

    def __init__(
        self,
        engine: Engine,
        target: DatabaseMembers | DatabaseServer,
        filter: Filter | None,
        *,
        request: Request,
        timeout: float = DEFAULT_TIMEOUT,
        errand: Errand,
        keeping: Keeping | None = None,
    ) -> None:
        super().__init__(engine, target, filter, timeout=timeout, errand=errand, keeping=keeping)
        self._place = target
        self._request = request

    def execute(self, statement: str, params: Params = None) -> SqlHandle:
        """Send a statement.

            s = was.db("@mydb")
            s.execute("SELECT name FROM cities WHERE population > %s", (100000,))
            rows = s.getwait(timeout=2).data

        params: a list or tuple for `%s`, a dict for `%(name)s`; they are bound, never put into the
            text. None: there are no placeholders, and a percent sign is one.
        Gives the handle itself. Raises WrongUse for params that do not fit, or cannot be sent.
        """
        place = self._place
        is_write = isinstance(place, DatabaseMembers) and place.is_write
        ask = sql.statement(statement, params, is_write=is_write, request=self._request)
        self._send(ask, rows.sql)
        return self

    def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        read_only: bool = False,
        deferrable: bool = False,
    ) -> Transaction:
        """Statements that are done together or not at all; see `Transaction`.

            with was.db("@mydb").transaction() as tx:
                tx.execute("UPDATE accounts SET amount = amount - 5 WHERE id = 1").getwait()
                tx.execute("UPDATE accounts SET amount = amount + 5 WHERE id = 2").getwait()

        isolation: "read committed", "repeatable read" or "serializable"; None: as the server has
            it. Raises WrongUse for all members of a cluster at once.
        """
        return Transaction(
            self._engine,
            self._held(),
            self._errand_of_it,
            self._request,
            self._timeout,
            isolation=isolation,
            read_only=read_only,
            deferrable=deferrable,
        )

    def stream(
        self,
        statement: str,
        params: Params = None,
        *,
        batch: int = BATCH,
        timeout: float = STREAM_TIMEOUT,
    ) -> RowStream:
        """The rows of a large result, which is never held as a whole.

            return (f"{row.id},{row.name}\\n" for row in s.stream("SELECT * FROM cities"))

        They are fetched from a cursor of the server, so many at once, when they are taken: a client
        that reads slowly makes the server wait. `async for` in async handlers.

        timeout: seconds for each batch. Raises WrongUse as `execute` and `transaction`; the loop
        over it raises TransactionFailed.
        """
        if batch < 1:
            raise WrongUse(f"batch={batch} is no number of rows from 1 on")
        ask = sql.statement(statement, params, request=self._request)
        reading = Transaction(
            self._engine,
            self._held(),
            None,  # the time of a stream is not that of its handler
            self._request,
            timeout,
            read_only=False,
        )
        return RowStream(reading, ask, batch, self._errand_of_it)

    def _held(self) -> Held:
        place = self._place
        if isinstance(place, DatabaseMembers) and place.reach is Reach.ALL:
            raise WrongUse("a transaction is with one member: was.db or was.dlb, not was.dmap")
        return self._engine.hold(place, self._request)

    @property
    def _errand_of_it(self) -> Errand:
        assert self._errand is not None
        return self._errand
