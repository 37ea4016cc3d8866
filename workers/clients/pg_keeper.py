"""Keeps the connections to one database: does what the pool's book says.

Runs on the loop. Opens, hands out, takes back, closes those that are idle for long or old.

Its law:
- A connection is put down only when the server says that no transaction is open and nothing runs.
  What is left behind in another state is cleaned first: cancelled, rolled back, or else closed.
- One that breaks makes the others suspect: all idle ones are asked at once whether they live.
- A server that has just been there and does not take connections is being restarted, as a rule: for
  `RESTART` those who have nobody else to ask wait for it instead of failing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Protocol

import psycopg

from skitai.engine import DatabaseServer, Sql
from skitaid.workers.settings import DatabaseAccess, DatabaseLimits

from . import pg_dial
from .pg_connection import PgConnection, plain
from .pg_prepared import Key
from .pg_report import Figures, holders
from .pg_waiting import Ending
from .pool import Pool

log = logging.getLogger(__name__)

CLEAN_TIMEOUT = 2.0  # seconds for a cancelled statement to end; a server that is well takes ms
CANCEL_AGAIN = 0.2  # seconds
PROBE_TIMEOUT = 1.0  # seconds for a suspect to answer
RESTART = 5.0  # seconds in which a server may come back without anybody being told
PAUSE = 0.05, 0.25  # seconds between attempts meanwhile: the first, and the longest
PACE = 4  # connections being opened at one time: each makes the server start a process
HOT = 5  # times that a statement comes before it is prepared, as with psycopg
HOT_MAX = 2000  # statements that are counted
SWEEP = 1.0  # seconds
CROWDED = 0.5  # seconds in vain after which the log says who has the connections
SPREAD = 0.1  # of the lifetime

ROLLBACK = Sql(b"ROLLBACK", None, (), (), False)
NOTHING = Sql(b"", None, (), (), False)


class Waiter(Protocol):
    """Someone who wants a connection.

    is_patient: a server that is being restarted is waited for. since: the keeper's: when it began
    to wait, monotonic.
    """

    is_patient: bool
    since: float

    def connected(self, connection: PgConnection) -> None:
        """Here it is; it comes back by `freed` or `clean`, unless it breaks."""

    def not_connected(self, reason: str, code: str) -> None:
        """None can be had. code: SQLSTATE, "" if the server did not say."""


class PgKeeper:
    """The connections to one database from one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        server: DatabaseServer,
        limits: DatabaseLimits,
        access: DatabaseAccess,
        application: str,
    ) -> None:
        """application: what we are called in pg_stat_activity."""
        self.node = server.node
        self.pool: Pool[PgConnection, Waiter] = Pool(limits.connections, pace=PACE)
        self.figures = Figures()
        self.loop = loop
        self._limits = limits
        self._is_pooled = access.is_pooled
        self._parameters = pg_dial.parameters(server, access, application)
        self._counts: dict[Key, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._was_up = 0.0  # monotonic, when we last know that it took connections
        self._is_closed = self._is_resting = False
        self._refusal = ""  # why nobody gets a connection
        self._told_of_crowd = 0.0
        if limits.connections_min:
            self._sweep_later()

    def want(self, waiter: Waiter) -> None:
        """Give the waiter a connection: at once if one is idle."""
        if self._refusal:
            waiter.not_connected(f"{self.node} {self._refusal}", "")
            return
        connection = self.pool.take()
        if connection is not None:
            connection.since = time.monotonic()
            waiter.connected(connection)
            return
        waiter.since = time.monotonic()
        self.figures.waited += 1
        if self.pool.wait(waiter):
            self._open()
        self._sweep_later()

    def forget(self, waiter: Waiter) -> None:
        """The waiter does not want one any more."""
        if waiter in self.pool.waiting:
            self.pool.forget(waiter)
            self._tell_of_crowd(waiter)

    def freed(self, connection: PgConnection) -> None:
        """Somebody is done with it."""
        if not connection.is_clean:
            self.clean(connection, _nobody)
            return
        now = time.monotonic()
        if now >= connection.expires or self._is_closed:
            self.figures.closed_by_age += 1
            connection.close()
            return
        waiter = self.pool.give_back(connection)
        if waiter is not None:
            connection.since = now
            waiter.connected(connection)
        elif self._is_resting:
            connection.close()
        else:
            connection.free_at = now

    def clean(self, connection: PgConnection, told: Callable[[bool], None]) -> None:
        """End whatever was begun on it, then take it back, or close it.

        Whoever has a statement running is not told how it ends. told: called once, with whether the
        server is alive.
        """
        running: Ending | None = None
        if connection.is_busy:
            running = Ending(self.loop)
            connection.hand_over(running)
        self._spawn(self._clean(connection, running, told))

    def rest(self) -> None:
        """Keep no connection for later: the idle ones close, the others when they are free.

        Whoever wants one still gets it.
        """
        self._is_resting = True
        for connection in list(self.pool.idle):
            connection.close()

    def cut(self, reason: str) -> None:
        """Close all, also under those who have one; nobody gets any more. reason: what it did."""
        self._refusal = reason
        self.rest()
        for waiter in list(self.pool.waiting):
            self.pool.forget(waiter)
            waiter.not_connected(f"{self.node} {reason}", "")
        for connection in list(self.pool.busy):
            connection.close(reason)

    def resume(self) -> None:
        """As from the beginning, after `rest` or `cut`."""
        self._is_resting = False
        self._refusal = ""

    def close(self) -> None:
        """Close all. For the end of the worker."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for task in self._tasks:
            task.cancel()
        for connection in [*self.pool.idle, *self.pool.busy]:
            connection.close()

    # --- pg_connection.Home ---

    def gone(self, connection: PgConnection) -> None:
        """`Home`."""
        if self.pool.lost(connection) and not self._is_closed:
            self._open()
        if connection.ended and not self._refusal:
            self._was_up = time.monotonic()
            self._failed(f"{self.node}: {connection.ended}")
            self._suspect()

    def is_hot(self, key: Key) -> bool:
        """`Home`."""
        if self._is_pooled:
            return False
        counts = self._counts
        count = counts[key] = counts.get(key, 0) + 1
        if len(counts) > HOT_MAX:
            counts.clear()
        return count > HOT

    # --- opening ---

    def _open(self) -> None:
        self._spawn(self._connect())

    async def _connect(self) -> None:
        """One more connection. It counts as being opened until then, pauses included."""
        pause = PAUSE[0]
        while True:
            try:
                async with asyncio.timeout(self._limits.connect_timeout):
                    raw = await pg_dial.dial(self._parameters)
                break
            except TimeoutError:
                reason, code = f"none within {self._limits.connect_timeout:g} s", ""
            except (psycopg.Error, OSError, ValueError) as error:  # a name that is none
                reason, code = pg_dial.why(error)
            reason = f"no connection to {self.node}: {reason}"
            self._failed(reason)
            if not self._may_come_back(code):
                self._not_opened(reason, code)
                return
            for waiter in [each for each in self.pool.waiting if not each.is_patient]:
                self.pool.forget(waiter)
                waiter.not_connected(reason, code)
            await asyncio.sleep(pause * (1.0 + random.random()))
            pause = min(2 * pause, PAUSE[1])
        self._opened(raw)

    def _may_come_back(self, code: str) -> bool:
        if self._is_closed or not any(each.is_patient for each in self.pool.waiting):
            return False
        is_new = code not in pg_dial.FINAL
        return is_new and not self._refusal and time.monotonic() - self._was_up < RESTART

    def _opened(self, raw: pg_dial.Raw) -> None:
        now = self._was_up = time.monotonic()
        life = self._limits.max_lifetime * (1.0 - SPREAD * random.random())
        connection = PgConnection(self.loop, raw, self, now + life if life else float("inf"))
        self.figures.opened += 1
        waiter = self.pool.opened(connection)
        if self.pool.may_open():
            self._open()
        self._sweep_later()
        if waiter is not None:
            waiter.connected(connection)
        elif self._is_resting:
            connection.close()

    def _not_opened(self, reason: str, code: str) -> None:
        waiter = self.pool.not_opened()
        if self.pool.may_open():
            self._open()
        if waiter is not None:
            waiter.not_connected(reason, code)

    def _failed(self, reason: str) -> None:
        self.figures.last_error = reason
        self.figures.last_error_at = time.time()

    # --- cleaning ---

    async def _clean(
        self, connection: PgConnection, running: Ending | None, told: Callable[[bool], None]
    ) -> None:
        try:
            async with asyncio.timeout(CLEAN_TIMEOUT):
                if running is not None:
                    while not running.over.done():
                        await connection.raw.cancel_safe(timeout=CLEAN_TIMEOUT)
                        # Again if it came before the server had read the statement.
                        await asyncio.wait([running.over], timeout=CANCEL_AGAIN)
                if not connection.is_closed and not connection.is_clean:
                    ending = Ending(self.loop)
                    connection.start(ending, ROLLBACK)
                    await ending.over
        except TimeoutError:
            connection.close(f"nothing ended within {CLEAN_TIMEOUT:g} s of being cancelled")
            told(False)
            return
        except (psycopg.Error, OSError) as error:  # nobody is there who could cancel
            connection.close(plain(error))
            told(False)
            return
        if running is not None and self._is_pooled and not connection.is_closed:
            connection.close()  # the pooler passes a cancel on when it likes: it might hit the next
        if not connection.is_closed:
            self.freed(connection)
        told(True)

    def _suspect(self) -> None:
        """One has broken: see at once which of the idle ones are alive."""
        while not self._is_closed and (connection := self.pool.take()) is not None:
            self._spawn(self._probe(connection))

    async def _probe(self, connection: PgConnection) -> None:
        ending = Ending(self.loop)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                connection.start(ending, NOTHING)
                await ending.over
        except TimeoutError:
            connection.close()
        else:
            if not connection.is_closed:
                self.freed(connection)

    # --- time ---

    def _sweep_later(self) -> None:
        if self._sweep is None and not self._is_closed:
            self._sweep = self.loop.call_later(SWEEP, self._sweep_all)

    def _sweep_all(self) -> None:
        self._sweep = None
        now = time.monotonic()
        limits = self._limits
        for waiter in list(self.pool.waiting):
            if not limits.wait_timeout or now - waiter.since < limits.wait_timeout:
                break  # those behind it have waited less
            self.pool.forget(waiter)
            self._tell_of_crowd(waiter)
            is_down = self.figures.last_error and not self.pool.busy
            reason = self.figures.last_error if is_down else f"{self.node}: {self._crowd(waiter)}"
            waiter.not_connected(reason, "")
        for connection in list(self.pool.idle):
            is_surplus = self.pool.size > limits.connections_min and limits.idle_timeout
            if now >= connection.expires:
                self.figures.closed_by_age += 1
                connection.close()
            elif is_surplus and now - connection.free_at >= limits.idle_timeout:
                connection.close()
        while not self._is_resting and self.pool.may_fill(limits.connections_min):
            self._open()
        if self.pool.size or self.pool.waiting or limits.connections_min:
            self._sweep_later()

    def _crowd(self, waiter: Waiter) -> str:
        waited = time.monotonic() - waiter.since
        return f"no connection became free within {waited:.1f} s; {holders(self.pool)}"

    def _tell_of_crowd(self, waiter: Waiter) -> None:
        """Somebody has waited in vain: say who has the connections, now and then."""
        now = time.monotonic()
        if now - waiter.since < CROWDED or now - self._told_of_crowd < 10 * SWEEP:
            return
        self._told_of_crowd = now
        log.warning("%s: %s", self.node, self._crowd(waiter))

    def _spawn(self, coroutine: pg_dial.Work) -> None:
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _nobody(is_alive: bool) -> None:
    """For cleaning that nobody waits for."""
